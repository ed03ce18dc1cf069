//! `llm-bench benchmarks compare`.

use std::fmt::Write;

use llm_bench_core::{Result, comparison};

use super::{CommonArguments, ExitCode, OutputFormat, list, output, table};
use crate::view::{ComparedView, ComparisonView, MetricComparisonView};

pub(super) async fn compare(first: &str, second: &str, common: &CommonArguments) -> Result<ExitCode> {
    let app = list::open(common).await?;
    let first = app.orchestrator.find(first.parse()?).await?;
    let second = app.orchestrator.find(second.parse()?).await?;
    let compared = comparison::compare(&*app.benchmarks, &first, &second).await?;
    let view = ComparisonView::new(first, second, compared);
    let text = match common.format {
        OutputFormat::Json => output::json(&view)?,
        OutputFormat::Table => for_people(&view),
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn for_people(view: &ComparisonView) -> String {
    let samples = view.samples;
    let mut text = format!(
        "A  {}\nB  {}\n{} samples paired, {} in A alone, {} in B alone\n\n",
        run(&view.first),
        run(&view.second),
        samples.paired,
        samples.only_first,
        samples.only_second
    );
    let header = ["metric", "A", "B", "B − A", "± stderr", "95 % interval", "samples", "McNemar p"];
    let rows = view.metrics.iter().map(row).collect();
    text.push_str(&table::table(&header, &[1, 2, 3, 4, 5, 6, 7], rows));
    if view.metrics.iter().any(is_logarithmic) {
        text.push_str("\nln: the difference of the logarithms, e^difference being the factor from A to B\n");
    }
    for metric in &view.not_compared {
        let name = table::metric_name(&metric.name, metric.filter.as_deref());
        let _ = write!(text, "\n{name} is not compared: {}", metric.reason);
    }
    if !view.not_compared.is_empty() {
        text.push('\n');
    }
    text
}

fn run(view: &ComparedView) -> String {
    let ComparedView { id, status, model, task, dataset, split, few_shot, source } = view;
    let source = source.as_ref().map_or(String::new(), |source| format!(" · {}", source.summary()));
    format!("{id} · {model} · {task} · {dataset}/{split} · {few_shot}-shot · {status}{source}")
}

fn row(metric: &MetricComparisonView) -> Vec<String> {
    let unit = if is_logarithmic(metric) { "ln " } else { "" };
    let signed =
        |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{unit}{:+.4}", shown(value)));
    vec![
        table::metric_name(&metric.name, metric.filter.as_deref()),
        table::number(metric.first),
        table::number(metric.second),
        signed(metric.difference),
        table::number(metric.stderr),
        table::interval(metric.ci95),
        metric.count.to_string(),
        metric.mcnemar.as_ref().map_or("–".to_owned(), |mcnemar| probability(mcnemar.p_value)),
    ]
}

fn is_logarithmic(metric: &MetricComparisonView) -> bool {
    metric.scale == "logarithmic"
}

fn probability(p_value: f64) -> String {
    if p_value < 0.0001 { "< 0.0001".to_owned() } else { format!("{p_value:.4}") }
}

/// A difference as its four decimals show it: one that shows none is no negative zero.
fn shown(value: f64) -> f64 {
    if value.abs() < 0.000_05 { 0.0 } else { value }
}
