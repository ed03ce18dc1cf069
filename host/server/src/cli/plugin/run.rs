//! `llm-bench plugin run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use llm_bench_core::answers::Answers;
use llm_bench_core::orchestrator::{NewRehearsal, Settings};
use llm_bench_core::plugin::{Plugin, gold_columns};
use llm_bench_core::{Error, Json, Result};
use tokio_util::sync::CancellationToken;

use super::report;
use crate::app::{App, AppConfig};
use crate::cli::data_files::DataFilesArgument;
use crate::cli::limit_arguments::LimitArguments;
use crate::cli::model_arguments::ModelArguments;
use crate::cli::sandbox_arguments::SandboxArguments;
use crate::cli::{DataArguments, ExitCode, OutputFormat, output, run, sources, stop};
use crate::order::{DEFAULT_CONCURRENCY, DEFAULT_SEED};
use crate::view::{RehearsalView, read_answers};

/// The part that `--model` plays.
const SUBJECT: &str = "subject";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct TryArguments {
    /// The component, or the name of a plugin that is there.
    file: String,
    /// Rows: a file (JSON Lines or CSV), a folder with a file a split, or a registered dataset.
    #[arg(long, value_name = "D")]
    data: String,
    /// The split to take [default: test, else validation, else the first].
    #[arg(long, value_name = "S")]
    split: Option<String>,
    /// At most so many rows, from the first.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The plugin's settings: a JSON object, or @FILE [default: the plugin's example config].
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
    /// Recorded answers instead of models: what --samples wrote, here or of `llm-bench run`, or calls of your own.
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    answers: Option<PathBuf>,
    /// The model under test: a registered one, or a folder with an ONNX model.
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// A model for a further part of the plugin, such as judge=M.
    #[arg(long = "part", value_name = "NAME=M", value_parser = run::part)]
    parts: Vec<(String, String)>,
    #[command(flatten)]
    data_files: DataFilesArgument,
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Samples in flight at once.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    result: run::ResultArguments,
    #[command(flatten)]
    models: ModelArguments,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    folder: DataArguments,
}

const NOTES: &str = "\
Nothing is registered or stored. A scorer without a solver judges the solutions among the answers.

The answers are JSON, a value a line: samples with `id` (the row, from 0) and `calls`, as --samples writes them; or single
calls, which answer in any sample:
  {\"kind\": \"generate\", \"part\": \"subject\", \"request\": [{\"prompt\": \"2 + 2 =\", \"sampling\": {\"max_tokens\": 8}}],
   \"response\": [\" 4\"]}
A call is found by its part, its kind and its requests with all their settings. A request that none answers fails its
sample as `not-recorded`. Record them with the same --seed.

Exit codes: 0 every sample is completed, 1 a sample or the aggregator failed or it was stopped, 2 wrong usage.";

pub(super) async fn run(arguments: TryArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    arguments.result.check_writable()?;
    let (app, order) = tokio::select! {
        prepared = prepare(&arguments) => prepared?,
        () = stop.cancelled() => return Err(Error::cancelled("stopped before the first sample began")),
    };
    let (plugin, config) = (order.plugin.clone(), order.config.clone());
    let bar = ProgressBar::new(0).with_style(run::progress_style());
    let rehearsal = app.orchestrator.rehearse(order, &stop, |finished, rows| {
        if finished == 0 {
            output::note(&format!("trying {rows} rows"));
        }
        bar.set_length(rows);
        bar.set_position(finished);
    });
    let rehearsal = rehearsal.await;
    bar.finish_and_clear();
    let view = RehearsalView::new(&plugin, config, rehearsal?);
    write(&view, &arguments.result)?;
    let failed = view.samples.iter().filter(|sample| sample.sample.error.is_some()).count();
    let missing = view.rows - view.samples.len() as u64;
    if missing > 0 {
        output::complain(&format!("stopped: {missing} of {} rows were not tried to their end", view.rows));
    }
    let is_whole = failed == 0 && missing == 0 && view.aggregation_failure.is_none();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn prepare(arguments: &TryArguments) -> Result<(App, NewRehearsal)> {
    let asks_models = arguments.model.is_some() || !arguments.parts.is_empty();
    let config = AppConfig {
        data_dir: arguments.folder.data_dir.clone(),
        settings: Settings::default(),
        models: arguments.models.options(asks_models)?,
        sandbox: arguments.sandbox.process,
    };
    let answers = arguments.answers.as_deref().map(answers).transpose()?;
    let app = App::open(config, CancellationToken::new()).await?;
    let plugin = app.plugin_or_file(&arguments.file).await?;
    let plugin = app.with_data_files(plugin, &arguments.data_files).await?;
    let dataset = app.dataset_or_files(&arguments.data, arguments.split.as_deref()).await?;
    let config = match &arguments.config {
        Some(config) => Json::Object(sources::config(Some(config))?),
        None => plugin.descriptor.example_config.clone(),
    };
    note_open_gold(&plugin, &dataset.gold, &config);
    let mut models = BTreeMap::new();
    let subject = arguments.model.iter().map(|model| (SUBJECT, model));
    let parts = arguments.parts.iter().map(|(part, model)| (part.as_str(), model));
    for (part, model) in subject.chain(parts) {
        models.insert(part.to_owned(), app.model_or_folder(model).await?);
    }
    let limits = arguments.limits.choices().over(app.orchestrator.limits_of(&plugin)?)?;
    let order = NewRehearsal {
        plugin,
        config,
        dataset,
        split: arguments.split.clone(),
        limit: arguments.limit,
        seed: arguments.seed,
        concurrency: arguments.concurrency,
        limits,
        models,
        answers,
    };
    Ok((app, order))
}

fn answers(path: &Path) -> Result<Answers> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid("invalid-answers", format!("the answers in `{place}` cannot be read: {error}"))
    })?;
    read_answers(&text, &place)
}

fn note_open_gold(plugin: &Plugin, dataset: &[String], config: &Json) {
    if plugin.exports.solver && gold_columns(dataset, &plugin.descriptor, config).is_empty() {
        output::note(
            "note: neither the data nor the plugin names a gold column, so the solver sees whole rows",
        );
    }
}

fn write(view: &RehearsalView, arguments: &run::ResultArguments) -> Result<()> {
    if let Some(path) = &arguments.samples {
        let mut file = output::ResultFile::create(path)?;
        for sample in &view.samples {
            let line = serde_json::to_string(sample).map_err(|error| {
                Error::internal("not-json", "cannot write a sample as JSON").because(error)
            })?;
            file.write(&format!("{line}\n"))?;
        }
        file.finish()?;
    }
    let text = match arguments.format {
        OutputFormat::Json => output::json(view)?,
        OutputFormat::Table => report::text(view),
    };
    match &arguments.output {
        Some(path) => output::write_file(path, &text),
        None => output::print(&text),
    }
}
