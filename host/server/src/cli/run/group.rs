//! A group of presets: every member whose data is there, and their metrics together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use llm_bench_core::benchmark::{Benchmark, Status};
use llm_bench_core::orchestrator::NewBenchmark;
use llm_bench_core::{Error, Result, group};
use tokio_util::sync::CancellationToken;

use super::{Models, RunArguments};
use crate::app::App;
use crate::cli::sources::ROW_FILES;
use crate::cli::{OutputFormat, output, table};
use crate::order::{self, OrderRequest};
use crate::preset::{GroupPreset, TaskPreset};
use crate::view::{BenchmarkView, GroupView, MemberView, MetricView, SkippedView};

/// A group whose members are ready to run.
pub(super) struct Group {
    preset: GroupPreset,
    members: Vec<(String, NewBenchmark)>,
    skipped: Vec<SkippedView>,
}

impl Group {
    /// Looks for the members' data.
    ///
    /// # Errors
    /// `group-without-data` when no member has any.
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
                Err(error) => {
                    return Err(Error::new(error.kind, error.code, format!("{name}: {}", error.message)));
                }
            }
        }
        if let ([], Some(first)) = (&members[..], skipped.first()) {
            return Err(Error::invalid(
                "group-without-data",
                format!("no member of group `{}` has data: {}", preset.name, first.reason),
            ));
        }
        Ok(Self { preset, members, skipped })
    }

    /// Runs the members one after the other, and reports.
    pub(super) async fn run(
        self,
        app: &App,
        arguments: &RunArguments,
        stop: &CancellationToken,
    ) -> Result<ExitCode> {
        let mut finished: Vec<(String, Benchmark)> = Vec::new();
        for (name, order) in self.members {
            output::note(&name);
            let benchmark = super::execute(app, order, stop).await?;
            finished.push((name, benchmark));
            if stop.is_cancelled() {
                break;
            }
        }
        if let Some(path) = &arguments.samples {
            let mut file = output::ResultFile::create(path)?;
            for (name, benchmark) in &finished {
                super::write_samples(app, benchmark.id, Some(name), &mut file).await?;
            }
            file.finish()?;
        }
        let all_completed = finished.iter().all(|(_, benchmark)| benchmark.status == Status::Completed);
        let benchmarks: Vec<&Benchmark> = finished.iter().map(|(_, benchmark)| benchmark).collect();
        let metrics = group::aggregate(&benchmarks, self.preset.metrics.as_deref());
        let view = GroupView {
            group: self.preset.name,
            description: self.preset.description,
            metrics: metrics.into_iter().map(MetricView::from).collect(),
            members: finished
                .into_iter()
                .map(|(name, benchmark)| MemberView { name, benchmark: BenchmarkView::from(benchmark) })
                .collect(),
            skipped: self.skipped,
        };
        let text = match arguments.format {
            OutputFormat::Json => output::json(&view)?,
            OutputFormat::Table => table::group(&view),
        };
        match &arguments.output {
            Some(path) => output::write_file(path, &text)?,
            None => output::print(&text)?,
        }
        if all_completed && !stop.is_cancelled() {
            return Ok(ExitCode::SUCCESS);
        }
        for member in &view.members {
            if let Some(error) = &member.benchmark.error {
                output::complain(&format!("{}: the benchmark failed: {error}", member.name));
            }
        }
        if stop.is_cancelled() {
            output::complain("stopped before all members were run");
        }
        Ok(ExitCode::FAILURE)
    }
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
        let found = places.iter().find_map(|place| data_of(&task, Path::new(place)));
        let found = found.ok_or_else(|| {
            Error::invalid(
                "dataset-missing",
                format!("nothing in {} is named {}", places.join(", "), task.data_names().join(" or ")),
            )
        })?;
        found.to_string_lossy().into_owned()
    };
    let dataset = app.dataset_or_files(&named, split.as_deref()).await?;
    let (plugin, preset) = app.preset_task(task).await?;
    order::assemble(models.subject.clone(), models.parts.clone(), plugin, preset, dataset, request.clone())
}

/// What bears a member's name at a place: the file that the place is, or a folder or a file within it.
fn data_of(task: &TaskPreset, place: &Path) -> Option<PathBuf> {
    let names = task.data_names();
    if place.is_file() {
        let stem = place.file_stem()?.to_str()?;
        return names.contains(&stem).then(|| place.to_owned());
    }
    names.into_iter().find_map(|name| {
        let folder = Some(place.join(name)).filter(|folder| folder.is_dir());
        folder.or_else(|| {
            let files = ROW_FILES.iter().map(|ending| place.join(format!("{name}.{ending}")));
            files.into_iter().find(|file| file.is_file())
        })
    })
}
