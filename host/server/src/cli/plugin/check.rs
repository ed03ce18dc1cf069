//! `llm-bench plugin check`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use llm_bench_core::limits::Limits;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::{MetricDeclaration, Plugin, gold_columns};
use llm_bench_core::{Error, Result};

use crate::cli::sandbox_arguments::SandboxArguments;
use crate::cli::{CommonArguments, ExitCode, OutputFormat, list, output, table};
use crate::view::{CheckedPluginView, PluginView};

#[derive(Debug, Args)]
#[command(
    after_help = "A component that would be refused is refused here with the same sentence, and exit code 2."
)]
pub(super) struct CheckArguments {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    common: CommonArguments,
}

pub(super) async fn check(arguments: CheckArguments) -> Result<ExitCode> {
    let CheckArguments { file, sandbox, common } = arguments;
    if !file.is_file() {
        let message = format!("there is no file `{}`", file.display());
        return Err(Error::not_found("plugin-not-found", message));
    }
    let app = list::open_to_run(&common, &sandbox).await?;
    let plugin = app.catalog.inspect(&file, Origin::Path).await?;
    let loaded = app.catalog.sandbox.load(&plugin.digest, None).await?;
    let example = &plugin.descriptor.example_config;
    let metrics = loaded.metrics(example, &Limits::default()).await?;
    let notes = notes(&plugin, &app.catalog.reserved);
    let view = CheckedPluginView { plugin: PluginView::from(plugin), metrics, notes };
    let text = match common.format {
        OutputFormat::Json => output::json(&view)?,
        OutputFormat::Table => text(&view),
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What is accepted, and most often not meant.
fn notes(plugin: &Plugin, reserved: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    let descriptor = &plugin.descriptor;
    if reserved.iter().any(|name| name == plugin.name.as_str()) {
        notes.push(format!(
            "`{}` is the name of a built-in plugin: a server refuses an upload of it",
            plugin.name
        ));
    }
    if plugin.exports.solver && gold_columns(&[], descriptor, &descriptor.example_config).is_empty() {
        let gold = "no property of the config schema that has a default bears `\"x-gold\": true`, so that only the \
                    dataset keeps the gold answer from the solver";
        notes.push(gold.to_owned());
    }
    if descriptor.description.trim().is_empty() {
        notes.push("the description is empty: lists will not say what it measures".to_owned());
    }
    notes
}

fn text(view: &CheckedPluginView) -> String {
    let CheckedPluginView { plugin, metrics, notes } = view;
    let listed = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let fields = [
        ("plugin", format!("{}@{}", plugin.name, plugin.version)),
        ("description", plugin.description.clone()),
        ("digest", format!("sha256:{}", plugin.digest)),
        ("size", table::bytes(plugin.bytes)),
        (
            "compiled in",
            plugin.compile_ms.map_or("–".to_owned(), |milliseconds| format!("{milliseconds} ms")),
        ),
        ("contract", plugin.contract.clone()),
        ("exports", listed(&plugin.exports)),
        ("imports", listed(&plugin.imports)),
        ("parts", listed(&plugin.parts)),
        ("data files", listed(&plugin.data_files)),
        ("example config", plugin.example_config.to_string()),
    ];
    let row = |metric: &MetricDeclaration| {
        let direction = if metric.higher_is_better { "higher" } else { "lower" };
        let name = table::metric_name(&metric.name, metric.filter.as_deref());
        vec![name, list::word(&metric.aggregation), direction.to_owned(), metric.description.clone()]
    };
    let header = ["metric", "aggregation", "better", "description"];
    let mut text = String::new();
    for (field, value) in fields {
        let _ = writeln!(text, "{field:<15} {value}");
    }
    text.push('\n');
    text.push_str(&table::table(&header, &[], metrics.iter().map(row).collect()));
    for note in notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}
