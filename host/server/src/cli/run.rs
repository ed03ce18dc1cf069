//! `llm-bench run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use llm_bench_core::benchmark::{Benchmark, Status};
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::limits::Budget;
use llm_bench_core::model::Origin;
use llm_bench_core::orchestrator::{Event, NewBenchmark};
use llm_bench_core::plugin::gold_columns;
use llm_bench_core::{Error, Result};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::model_arguments::ModelArguments;
use super::{DataArguments, OutputFormat, output, sources, stop, table};
use crate::app::{App, AppConfig};
use crate::order::{self, LimitChoices, OrderRequest};
use crate::view::{BenchmarkView, SampleView};

/// Samples read back at once for the samples file.
const SAMPLES_PAGE: u32 = 200;

#[derive(Debug, Args)]
pub struct RunArguments {
    /// A registered model, or a folder with an ONNX model.
    #[arg(long, value_name = "M")]
    model: String,
    /// A plugin (name or name@version), a preset, or a .wasm file (FILE@sha256:DIGEST pins its content).
    #[arg(long, value_name = "T")]
    task: String,
    /// A registered dataset, a file (JSON Lines or CSV), or train=a.jsonl,test=b.jsonl. A preset may bring its own.
    #[arg(long, value_name = "D")]
    dataset: Option<String>,
    /// The split to evaluate [default: test, else validation, else the first].
    #[arg(long, value_name = "S")]
    split: Option<String>,
    /// At most so many rows, from the first.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Solved examples before each question, from the split `train` [default: 0].
    #[arg(long, value_name = "K")]
    few_shot: Option<u32>,
    /// The task's settings: a JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
    /// A model for a further part of the task, such as judge=M.
    #[arg(long = "part", value_name = "NAME=M", value_parser = parse_part)]
    parts: Vec<(String, String)>,
    /// [default: 1234]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Samples in flight at once, 1 to 256 [default: 16].
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// What one sample of the task may use.
    #[arg(long, value_enum, default_value_t)]
    budget: BudgetArgument,
    /// WebAssembly fuel of a sample, instead of the budget's.
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Memory of a sample in MiB, instead of the budget's.
    #[arg(long, value_name = "N")]
    memory_mib: Option<u64>,
    /// Seconds a sample may compute, instead of the budget's.
    #[arg(long, value_name = "N")]
    timeout_s: Option<u64>,
    /// The share of samples, 0 to 1, that may fail before the benchmark does [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    max_failed: Option<f64>,
    /// A table for people, or JSON for machines.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
    /// Write the result to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write one JSON line per sample, in dataset order, with every model call.
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Run each model in a child process, as `serve` does: one that crashes, hangs or wants all memory fails alone.
    #[arg(long)]
    model_process: bool,
    #[command(flatten)]
    models: ModelArguments,
    #[command(flatten)]
    data: DataArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum BudgetArgument {
    /// Compiled tasks that do little.
    Small,
    #[default]
    Normal,
    /// Interpreted tasks (Python, JavaScript) on long texts.
    Large,
}

impl From<BudgetArgument> for Budget {
    fn from(budget: BudgetArgument) -> Self {
        match budget {
            BudgetArgument::Small => Self::Small,
            BudgetArgument::Normal => Self::Normal,
            BudgetArgument::Large => Self::Large,
        }
    }
}

pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    check_writable(arguments.output.as_deref())?;
    check_writable(arguments.samples.as_deref())?;
    let models = arguments.models.options(!arguments.model_process)?;
    let config = AppConfig { data_dir: arguments.data.data_dir.clone(), models, ..AppConfig::default() };
    let (app, order) = tokio::select! {
        prepared = prepare(config, &arguments) => prepared?,
        () = stop.cancelled() => return Err(Error::cancelled("stopped before the benchmark began")),
    };
    if order.task.origin != Origin::Bundled && !names_gold(&order) {
        output::note(
            "note: neither the dataset nor the task names a gold column, so the task sees whole rows",
        );
    }
    let progress = tokio::spawn(show_progress(app.orchestrator.events()));
    let benchmark = app
        .orchestrator
        .run(order, &stop, |benchmark| {
            output::note(&format!("benchmark {}", benchmark.id));
        })
        .await;
    progress.abort();
    let benchmark = benchmark?;
    let id = benchmark.id;
    let code = report(benchmark, &arguments)?;
    if let Some(path) = &arguments.samples {
        write_samples(&app, id, path).await?;
    }
    Ok(code)
}

async fn prepare(config: AppConfig, arguments: &RunArguments) -> Result<(App, NewBenchmark)> {
    // The hardware is watched to the end, also of a run that is stopped.
    let app = App::open(config, tokio_util::sync::CancellationToken::new()).await?;
    let order = order(&app, arguments).await?;
    Ok((app, order))
}

fn names_gold(order: &NewBenchmark) -> bool {
    !gold_columns(&order.dataset.gold, &order.task.descriptor, &order.config).is_empty()
}

async fn order(app: &App, arguments: &RunArguments) -> Result<NewBenchmark> {
    let request = OrderRequest {
        task: arguments.task.clone(),
        dataset: arguments.dataset.clone(),
        split: arguments.split.clone(),
        limit: arguments.limit,
        few_shot: arguments.few_shot,
        config: sources::config(arguments.config.as_deref())?,
        seed: arguments.seed,
        concurrency: arguments.concurrency,
        limits: LimitChoices {
            budget: Some(arguments.budget.into()),
            fuel: arguments.fuel,
            memory_mib: arguments.memory_mib,
            timeout_s: arguments.timeout_s,
        },
        max_failed: arguments.max_failed,
    };
    let model = app.model_or_folder(&arguments.model).await?;
    let mut parts = BTreeMap::new();
    for (part, name) in &arguments.parts {
        parts.insert(part.clone(), app.model_or_folder(name).await?);
    }
    let (task, preset) = app.task_or_file(&arguments.task).await?;
    let dataset = app.dataset_or_files(order::dataset_name(&request, preset.as_ref())?).await?;
    order::assemble(model, parts, task, preset, dataset, request)
}

fn report(benchmark: Benchmark, arguments: &RunArguments) -> Result<ExitCode> {
    let status = benchmark.status;
    let view = BenchmarkView::from(benchmark);
    let text = match arguments.format {
        OutputFormat::Json => output::json(&view)?,
        OutputFormat::Table => table::benchmark(&view),
    };
    match &arguments.output {
        Some(path) => output::write_file(path, &text)?,
        None => output::print(&text)?,
    }
    if status == Status::Completed {
        return Ok(ExitCode::SUCCESS);
    }
    match &view.error {
        Some(error) => output::complain(&format!("the benchmark failed: {error}")),
        None => output::complain(&format!("the benchmark was {}", status.as_str())),
    }
    Ok(ExitCode::FAILURE)
}

/// A result that cannot be written must be known before the work, not after it.
fn check_writable(path: Option<&Path>) -> Result<()> {
    path.map_or(Ok(()), |path| output::ResultFile::create(path).map(drop))
}

async fn write_samples(app: &App, id: BenchmarkId, path: &Path) -> Result<()> {
    let mut file = output::ResultFile::create(path)?;
    let mut after = None;
    loop {
        let page = app.benchmarks.samples(id, after, SAMPLES_PAGE).await?;
        for sample in page.items {
            let line = serde_json::to_string(&SampleView::from(sample)).map_err(|error| {
                Error::internal("not-json", "cannot write a sample as JSON").because(error)
            })?;
            file.write(&line)?;
            file.write("\n")?;
        }
        after = page.next;
        if after.is_none() {
            return file.finish();
        }
    }
}

/// A bar on standard error, when that is a terminal.
async fn show_progress(mut events: broadcast::Receiver<Event>) {
    let bar = ProgressBar::new(0).with_style(progress_style());
    loop {
        match events.recv().await {
            Ok(event) => {
                bar.set_length(event.progress.total);
                bar.set_position(event.progress.finished());
                if event.progress.failed > 0 {
                    bar.set_message(format!("{} failed", event.progress.failed));
                }
                if event.status.has_ended() {
                    bar.finish_and_clear();
                }
            }
            // A bar that missed some steps shows the next one.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

pub(super) fn progress_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:24} {bar:32} {pos}/{len} {per_sec:>12} {eta:>4} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn parse_part(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((part, model)) if !part.is_empty() && !model.is_empty() => {
            Ok((part.to_owned(), model.to_owned()))
        }
        _ => Err("write PART=MODEL, such as judge=tiny-llama".to_owned()),
    }
}
