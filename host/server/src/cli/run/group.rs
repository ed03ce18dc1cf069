//! A group of presets: every member whose data is there, and their metrics together.

use std::path::{Path, PathBuf};

use llm_bench_core::benchmark::{Benchmark, Status};
use llm_bench_core::orchestrator::NewBenchmark;
use llm_bench_core::plugin::MetricDeclaration;
use llm_bench_core::{Error, Result, group};
use tokio_util::sync::CancellationToken;

use super::{Models, RunArguments};
use crate::app::App;
use crate::cli::{ExitCode, OutputFormat, output, sources, table};
use crate::order::OrderRequest;
use crate::preset::{GroupPreset, TaskPreset};
use crate::view::{BenchmarkView, GroupView, MemberView, MetricView, SkippedView};

/// A group whose members are ready to run.
pub(super) struct Group {
    preset: GroupPreset,
    members: Vec<(String, NewBenchmark)>,
    skipped: Vec<SkippedView>,
}

impl Group {
    /// Looks for the members' data, and for the metrics that are to be put together.
    ///
    /// # Errors
    /// `group-without-data` when no member has any, `unknown-metric`.
    pub(super) async fn prepare(
        app: &App,
        preset: GroupPreset,
        places: &[String],
        models: &Models,
        request: &OrderRequest,
    ) -> Result<Self> {
        if let Some(place) = places.iter().find(|place| !Path::new(place).exists()) {
            return Err(Error::not_found(
                "dataset-not-found",
                format!(
                    "there is no folder or file `{place}`; the data of group `{}` is a folder in which each member's \
                     file or folder bears its name, or such files",
                    preset.name
                ),
            ));
        }
        let (mut members, mut skipped) = (Vec::new(), Vec::new());
        for task in app.members(&preset).await? {
            let name = task.name.clone();
            match member(app, task, places, models, request).await {
                Ok(order) => members.push((name, order)),
                Err(error) if error.code == "dataset-missing" => {
                    skipped.push(SkippedView { name, reason: error.message });
                }
                Err(error) => return Err(of_preset(&name, error)),
            }
        }
        if let ([], Some(first)) = (&members[..], skipped.first()) {
            return Err(Error::invalid(
                "group-without-data",
                format!("no member of group `{}` has data: {}", preset.name, first.reason),
            ));
        }
        check_metrics(app, &preset, &members).await?;
        Ok(Self { preset, members, skipped })
    }

    /// Runs the members one after the other, and reports: also where one is refused, what was finished before it.
    ///
    /// # Errors
    /// That of the member that is refused.
    pub(super) async fn run(
        self,
        app: &App,
        arguments: &RunArguments,
        stop: &CancellationToken,
    ) -> Result<ExitCode> {
        let mut finished: Vec<(String, Benchmark)> = Vec::new();
        let (mut skipped, mut refused) = (self.skipped, None);
        let mut waiting = self.members.into_iter();
        while refused.is_none() && !stop.is_cancelled() {
            let Some((name, order)) = waiting.next() else { break };
            output::note(&name);
            match super::execute(app, order, stop).await {
                Ok(benchmark) => finished.push((name, benchmark)),
                Err(error) => {
                    skipped.push(SkippedView { name: name.clone(), reason: error.message.clone() });
                    refused = Some(of_preset(&name, error));
                }
            }
        }
        let all_completed = refused.is_none()
            && waiting.len() == 0
            && finished.iter().all(|(_, benchmark)| benchmark.status == Status::Completed);
        skipped.extend(waiting.map(|(name, _)| SkippedView { name, reason: "stopped before it".to_owned() }));

        if let Some(path) = &arguments.result.samples {
            let mut file = output::ResultFile::create(path)?;
            for (name, benchmark) in &finished {
                super::samples::write(app, benchmark.id, Some(name), &mut file).await?;
            }
            file.finish()?;
        }
        let view = view(self.preset, finished, skipped, all_completed);
        let text = match arguments.result.format {
            OutputFormat::Json => output::json(&view)?,
            OutputFormat::Table => table::group(&view),
        };
        match &arguments.result.output {
            Some(path) => output::write_file(path, &text)?,
            None => output::print(&text)?,
        }
        for member in &view.members {
            if let Some(error) = &member.benchmark.error {
                output::complain(&format!("{}: the benchmark failed: {error}", member.name));
            }
        }
        match refused {
            Some(error) => return Err(error),
            None if all_completed => return Ok(ExitCode::SUCCESS),
            None if stop.is_cancelled() => output::complain("stopped before all members were done"),
            None => {}
        }
        Ok(ExitCode::FAILURE)
    }
}

/// A part of a group is no result of it, so there are metrics only where all members were completed.
fn view(
    preset: GroupPreset,
    finished: Vec<(String, Benchmark)>,
    skipped: Vec<SkippedView>,
    all_completed: bool,
) -> GroupView {
    let metrics = if all_completed {
        let benchmarks: Vec<&Benchmark> = finished.iter().map(|(_, benchmark)| benchmark).collect();
        group::aggregate(&benchmarks, preset.metrics.as_deref())
    } else {
        Vec::new()
    };
    GroupView {
        group: preset.name,
        description: preset.description,
        metrics: metrics.into_iter().map(MetricView::from).collect(),
        members: finished
            .into_iter()
            .map(|(name, benchmark)| MemberView { name, benchmark: BenchmarkView::from(benchmark) })
            .collect(),
        skipped,
    }
}

/// What a group puts together must be a mean of every member; that is to be known before the first of them runs.
async fn check_metrics(app: &App, preset: &GroupPreset, members: &[(String, NewBenchmark)]) -> Result<()> {
    let mut declared: Vec<(&str, Vec<MetricDeclaration>)> = Vec::new();
    for (name, order) in members {
        let plugin = app.catalog.sandbox.load(&order.task.digest, None).await?;
        let metrics = plugin.metrics(&order.config, &order.limits).await;
        declared.push((name, metrics.map_err(|error| of_preset(name, error))?));
    }
    let declared: Vec<(&str, &[MetricDeclaration])> =
        declared.iter().map(|(name, metrics)| (*name, &metrics[..])).collect();
    if let Some(wanted) = &preset.metrics {
        return group::check_wanted(&declared, wanted).map_err(|error| of_preset(&preset.name, error));
    }
    let metrics: Vec<&[MetricDeclaration]> = declared.iter().map(|(_, metrics)| *metrics).collect();
    if group::common_means(&metrics).next().is_none() {
        output::note("note: the members have no mean in common, so nothing is put together");
    }
    Ok(())
}

/// The same error, with the preset that it is about.
fn of_preset(name: &str, mut error: Error) -> Error {
    error.message = format!("{name}: {}", error.message);
    error
}

async fn member(
    app: &App,
    task: TaskPreset,
    places: &[String],
    models: &Models,
    request: &OrderRequest,
) -> Result<NewBenchmark> {
    let split = request.split.clone().or_else(|| task.split.clone());
    let named = if places.is_empty() {
        let request = OrderRequest { task: task.name.clone(), ..request.clone() };
        app.dataset_name(&request, Some(&task)).await?
    } else {
        let found = places.iter().find_map(|place| data_of(&task, Path::new(place)).transpose());
        let found = found.transpose()?.ok_or_else(|| {
            Error::invalid(
                "dataset-missing",
                format!("nothing in {} is named {}", places.join(", "), task.data_names().join(" or ")),
            )
        })?;
        found.to_string_lossy().into_owned()
    };
    let dataset = app.dataset_or_files(&named, split.as_deref()).await?;
    let (plugin, preset) = app.preset_task(task).await?;
    app.assemble(models.subject.clone(), models.parts.clone(), plugin, preset, dataset, request.clone())
}

/// What bears a member's name at a place: the file that the place is, or a folder or a file within it.
fn data_of(task: &TaskPreset, place: &Path) -> Result<Option<PathBuf>> {
    let names = task.data_names();
    if place.is_file() {
        let is_named = place.file_stem().is_some_and(|stem| names.iter().any(|name| stem == *name));
        return Ok(is_named.then(|| place.to_owned()));
    }
    let files = sources::row_files(place)?;
    Ok(names.into_iter().find_map(|name| {
        let folder = Some(place.join(name)).filter(|folder| folder.is_dir());
        folder.or_else(|| files.iter().find(|(file, _)| file == name).map(|(_, path)| path.clone()))
    }))
}
