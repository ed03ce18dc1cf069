//! `llm-bench run`.

mod arguments;
mod group;
mod progress;
mod samples;

use std::collections::BTreeMap;

use llm_bench_core::benchmark::{Benchmark, Status};
use llm_bench_core::model::{Model, Origin};
use llm_bench_core::orchestrator::{NewBenchmark, Settings};
use llm_bench_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::{ExitCode, OutputFormat, output, stop, table};
use crate::app::{App, AppConfig};
use crate::order::OrderRequest;
use crate::preset::Preset;
use crate::view::BenchmarkView;

pub(super) use arguments::{ResultArguments, RunArguments, part};
pub(super) use progress::style as progress_style;

/// What is to be run.
enum Work {
    One(Box<NewBenchmark>),
    Group(group::Group),
}

pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    arguments.result.check_writable()?;
    let (app, work) = tokio::select! {
        prepared = prepare(&arguments) => prepared?,
        () = stop.cancelled() => return Err(Error::cancelled("stopped before the benchmark began")),
    };
    match work {
        Work::Group(group) => group.run(&app, &arguments, &stop).await,
        Work::One(order) => {
            let benchmark = execute(&app, *order, &stop).await?;
            report(&app, benchmark, &arguments.result).await
        }
    }
}

async fn prepare(arguments: &RunArguments) -> Result<(App, Work)> {
    let models = arguments.models.options(!arguments.model_process)?;
    let settings = Settings { record_bytes: arguments.record.bytes(), ..Settings::default() };
    let sandbox = arguments.sandbox.process;
    let data_dir = arguments.data.data_dir.clone();
    let config = AppConfig { data_dir, settings, models, sandbox };
    // The hardware is watched to the end, also of a run that is stopped.
    let app = App::open(config, CancellationToken::new()).await?;
    let request = arguments.request()?;
    let models = Models::find(&app, arguments).await?;
    // While the task and its rows are looked for.
    app.orchestrator.load_ahead(&models.subject);
    let preset = app.preset(&arguments.task).await?;
    let work = if let Some(Preset::Group(group)) = preset {
        if arguments.data_files.path.is_some() {
            let message = "--data-files are for the plugin of one .wasm file, not for those of a group";
            return Err(Error::invalid("data-files-registered", message));
        }
        Work::Group(group::Group::prepare(&app, group, &arguments.dataset, &models, &request).await?)
    } else {
        let mut order = order(&app, preset, &arguments.dataset, models, request).await?;
        order.task = app.with_data_files(order.task, &arguments.data_files).await?;
        Work::One(Box::new(order))
    };
    Ok((app, work))
}

/// The models of a run: its own, and those of further parts.
#[derive(Clone)]
struct Models {
    subject: Model,
    parts: BTreeMap<String, Model>,
}

impl Models {
    async fn find(app: &App, arguments: &RunArguments) -> Result<Self> {
        let subject = app.model_or_folder(&arguments.model).await?;
        let mut parts = BTreeMap::new();
        for (part, name) in &arguments.parts {
            parts.insert(part.clone(), app.model_or_folder(name).await?);
        }
        Ok(Self { subject, parts })
    }
}

async fn order(
    app: &App,
    preset: Option<Preset>,
    datasets: &[String],
    models: Models,
    request: OrderRequest,
) -> Result<NewBenchmark> {
    let dataset = match datasets {
        [] => None,
        [one] => Some(one.clone()),
        _ => {
            return Err(Error::invalid(
                "invalid-dataset",
                "one dataset is evaluated at a time, unless the task is a group; name the files of several splits as \
                 train=a.jsonl,test=b.jsonl",
            ));
        }
    };
    let request = OrderRequest { dataset, ..request };
    let (task, preset) = app.task_or_file(&request.task, preset).await?;
    let name = app.dataset_name(&request, preset.as_ref()).await?;
    let split = request.split.as_deref().or_else(|| preset.as_ref()?.split.as_deref());
    let dataset = app.dataset_or_files(&name, split).await?;
    app.assemble(models.subject, models.parts, task, preset, dataset, request)
}

/// Runs one benchmark to its end, with a progress bar for the person who waits.
async fn execute(app: &App, order: NewBenchmark, stop: &CancellationToken) -> Result<Benchmark> {
    if order.task.origin != Origin::Bundled && order.gold_columns().is_empty() {
        output::note(
            "note: neither the dataset nor the task names a gold column, so the task sees whole rows",
        );
    }
    with_progress(app, app.orchestrator.run(order, stop, announce)).await
}

/// Says which benchmark it is.
pub(super) fn announce(benchmark: &Benchmark) {
    output::note(&format!("benchmark {}", benchmark.id));
}

pub(super) async fn with_progress(
    app: &App,
    running: impl Future<Output = Result<Benchmark>>,
) -> Result<Benchmark> {
    let progress = tokio::spawn(progress::show(app.orchestrator.events()));
    let benchmark = running.await;
    progress.abort();
    benchmark
}

/// Gives out the result of a benchmark, and its samples where they are wanted.
pub(super) async fn report(app: &App, benchmark: Benchmark, arguments: &ResultArguments) -> Result<ExitCode> {
    let id = benchmark.id;
    let code = report_metrics(benchmark, arguments)?;
    if let Some(path) = &arguments.samples {
        let mut file = output::ResultFile::create(path)?;
        samples::write(app, id, None, &mut file).await?;
        file.finish()?;
    }
    Ok(code)
}

fn report_metrics(benchmark: Benchmark, arguments: &ResultArguments) -> Result<ExitCode> {
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

impl ResultArguments {
    /// A result that cannot be written must be known before the work, not after it.
    pub(super) fn check_writable(&self) -> Result<()> {
        let paths = [&self.output, &self.samples];
        paths.into_iter().flatten().try_for_each(|path| output::ResultFile::create(path).map(drop))
    }
}
