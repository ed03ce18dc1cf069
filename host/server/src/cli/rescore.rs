//! `llm-bench rescore`.

use std::collections::BTreeMap;

use clap::Args;
use llm_bench_core::orchestrator::{NewRescore, Settings};
use llm_bench_core::rescore::Takes;
use llm_bench_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::model_arguments::ModelArguments;
use super::sandbox_arguments::SandboxArguments;
use super::{DataArguments, ExitCode, RecordArguments, run, sources, stop};
use crate::app::{App, AppConfig};

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct RescoreArguments {
    /// The id of the benchmark whose record is judged. It must have ended.
    id: String,
    /// A task, answered from the recorded calls: a plugin (name or name@version), or a .wasm file.
    #[arg(long, value_name = "T", conflicts_with = "scorer", required_unless_present = "scorer")]
    task: Option<String>,
    /// A scorer of the stored solutions: a plugin (name or name@version), or a .wasm file. A task is one, too.
    #[arg(long, value_name = "P")]
    scorer: Option<String>,
    /// Settings of the plugin: a JSON object, or @FILE. They are laid over those of the benchmark where the plugin
    /// bears the name of its task.
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
    /// A model for a part that the scorer asks, such as judge=M; without it the benchmark's own judge answers from
    /// the record.
    #[arg(long = "part", value_name = "NAME=M", value_parser = run::part)]
    parts: Vec<(String, String)>,
    #[command(flatten)]
    result: run::ResultArguments,
    #[command(flatten)]
    record: RecordArguments,
    #[command(flatten)]
    models: ModelArguments,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    data: DataArguments,
}

const NOTES: &str = "\
The result is a benchmark of its own, to be held against the first with `llm-bench benchmarks compare`. The same plugin
comes to the same solutions and measurements bit for bit. A sample for which a task asks what was not recorded fails as
`not-recorded`. No model is loaded but those of --part; the rows of the dataset have to be where they were.";

pub(super) async fn rescore(arguments: RescoreArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    arguments.result.check_writable()?;
    let (app, order) = tokio::select! {
        prepared = prepare(&arguments) => prepared?,
        () = stop.cancelled() => return Err(Error::cancelled("stopped before the benchmark began")),
    };
    let running = app.orchestrator.run_rescore(order, &stop, run::announce);
    let benchmark = run::with_progress(&app, running).await?;
    run::report(&app, benchmark, &arguments.result).await
}

async fn prepare(arguments: &RescoreArguments) -> Result<(App, NewRescore)> {
    let config = AppConfig {
        data_dir: arguments.data.data_dir.clone(),
        models: arguments.models.options(true)?,
        settings: Settings { record_bytes: arguments.record.bytes(), ..Settings::default() },
        sandbox: arguments.sandbox.process,
    };
    let app = App::open(config, CancellationToken::new()).await?;
    let (plugin, takes) = match (&arguments.task, &arguments.scorer) {
        (Some(task), _) => (task, Takes::Calls),
        (None, Some(scorer)) => (scorer, Takes::Solutions),
        (None, None) => return Err(Error::invalid("invalid-rescore", "name a --task or a --scorer")),
    };
    let mut parts = BTreeMap::new();
    for (part, model) in &arguments.parts {
        parts.insert(part.clone(), app.model_or_folder(model).await?);
    }
    let order = NewRescore {
        source: arguments.id.parse()?,
        plugin: app.plugin_or_file(plugin).await?,
        takes,
        config: sources::config(arguments.config.as_deref())?,
        parts,
    };
    Ok((app, order))
}
