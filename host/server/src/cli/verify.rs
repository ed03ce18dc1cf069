//! `llm-bench verify`.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use llm_bench_core::verification::Verdict;
use llm_bench_core::{Error, Result};

use super::sandbox_arguments::SandboxArguments;
use super::{CommonArguments, ExitCode, OutputFormat, list, output, stop, table};
use crate::view::{FigureView, VerificationView, VerifiedMetricView};

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct VerifyArguments {
    /// The id of a benchmark that has ended.
    id: String,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    common: CommonArguments,
}

const NOTES: &str = "\
Each stored solution is scored three times, without a model: with its own gold answer, which must give the stored score
bit for bit; with the gold answer of another sample; and blank, without an answer. Over the samples whose two gold
answers differ, a metric uses the gold answer if the own one is better by more than two standard errors of the paired
difference. It ignores the gold answer if it is not, and every sample keeps its value, or 90 % of what is earned (the sum
of the smaller values over that of the own ones) is earned with the others' gold answers too. Fewer than 20 such
samples, or a model that guesses, leave it unclear. A metric of the whole corpus, which has one value a pass, uses the
gold answer if others' keep less than 90 % of it, and ignores it if they keep all of it.

Exit codes: 0 all is well, 1 a stored score did not come out again or a metric ignores the gold answer, 2 wrong usage.";

pub(super) async fn verify(arguments: VerifyArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    let app = list::open_to_run(&arguments.common, &arguments.sandbox).await?;
    let id = arguments.id.parse()?;
    let verification = tokio::select! {
        verified = app.orchestrator.verify(id) => verified?,
        () = stop.cancelled() => return Err(Error::cancelled("stopped before all solutions were scored")),
    };
    let is_clean = verification.is_clean();
    let view = VerificationView::from(verification);
    let text = match arguments.common.format {
        OutputFormat::Json => output::json(&view)?,
        OutputFormat::Table => for_people(&view),
    };
    output::print(&text)?;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A verification as a table: the three passes side by side.
fn for_people(view: &VerificationView) -> String {
    let mut text = if view.agreement.identical {
        format!(
            "scored again, all {} solutions have the stored scores, bit for bit\n",
            view.agreement.compared
        )
    } else {
        format!("NOT as stored when scored again: {}\n", table::differing(&view.agreement))
    };
    for metric in view.metrics.iter().filter(|metric| metric.differs) {
        let name = table::metric_name(&metric.name, metric.filter.as_deref());
        let _ = writeln!(text, "NOT as stored when computed again: {name}");
    }
    if view.unsolved > 0 {
        let _ = writeln!(text, "{} samples have no solution to score", view.unsolved);
    }
    match &view.not_shuffled {
        Some(reason) => {
            let _ = writeln!(text, "the gold answers are not shuffled: {reason}");
        }
        None => {
            let _ = writeln!(text, "{} of them were held against another's gold answer, too", view.shuffled);
        }
    }
    let header = ["metric", "own gold", "shuffled gold", "blank", "gain", "± stderr", "kept", "verdict"];
    let rows = view.metrics.iter().map(row).collect();
    let _ = write!(text, "\n{}", table::table(&header, &[1, 2, 3, 4, 5, 6], rows));
    let failures = &view.failures;
    for (pass, failures) in
        [("own", &failures.real), ("shuffled", &failures.shuffled), ("blank", &failures.blank)]
    {
        if !failures.is_empty() {
            let _ = writeln!(text, "{pass}: failed {}", counts(failures));
        }
    }
    for metric in view.metrics.iter().filter(|metric| metric.verdict != Verdict::UsesGold.as_str()) {
        let name = table::metric_name(&metric.name, metric.filter.as_deref());
        let _ = writeln!(text, "{name}: {}", metric.reason);
    }
    text
}

fn row(metric: &VerifiedMetricView) -> Vec<String> {
    let figure = |figure: FigureView| table::number(figure.value);
    vec![
        table::metric_name(&metric.name, metric.filter.as_deref()),
        figure(metric.real),
        figure(metric.shuffled),
        figure(metric.blank),
        table::number(metric.gain),
        table::number(metric.gain_stderr),
        metric.kept.map_or("–".to_owned(), |kept| format!("{:.0} %", kept * 100.0)),
        in_words(&metric.verdict).to_owned(),
    ]
}

pub(super) fn in_words(verdict: &str) -> &str {
    match verdict {
        "uses-gold" => "uses the gold answer",
        "ignores-gold" => "IGNORES THE GOLD ANSWER",
        "needs-model" => "needs a model",
        "not-shuffled" => "not shuffled",
        other => other,
    }
}

fn counts(failures: &BTreeMap<String, u64>) -> String {
    let counts: Vec<_> = failures.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    counts.join(", ")
}
