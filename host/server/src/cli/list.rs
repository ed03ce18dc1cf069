//! `llm-bench models|datasets|plugins|presets|benchmarks list|show`.

use llm_bench_core::benchmark::BenchmarkFilter;
use llm_bench_core::{Json, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::sandbox_arguments::SandboxArguments;
use super::{CommonArguments, ExitCode, ListAction, OutputFormat, output, table};
use crate::app::{App, AppConfig, SandboxProcess};
use crate::view::{BenchmarkView, DatasetView, ModelView, PluginView, PresetView, SourceView};

/// Benchmarks that a list shows, the newest.
pub(super) const BENCHMARKS: u32 = 200;

pub(super) async fn open(common: &CommonArguments) -> Result<App> {
    open_with(common, None).await
}

/// For a command that runs plugins, which the user may want elsewhere.
pub(super) async fn open_to_run(common: &CommonArguments, sandbox: &SandboxArguments) -> Result<App> {
    open_with(common, sandbox.process).await
}

async fn open_with(common: &CommonArguments, sandbox: Option<SandboxProcess>) -> Result<App> {
    let config = AppConfig { data_dir: common.data.data_dir.clone(), sandbox, ..AppConfig::default() };
    App::open(config, CancellationToken::new()).await
}

pub(super) async fn models(action: ListAction) -> Result<ExitCode> {
    match action {
        ListAction::List { common } => {
            let models = open(&common).await?.catalog.models.list().await?;
            let views: Vec<ModelView> = models.into_iter().map(ModelView::from).collect();
            show_list(
                &common,
                &views,
                &["name", "architecture", "context", "size", "origin"],
                &[2, 3],
                |model| {
                    vec![
                        model.name.clone(),
                        model.architecture.clone(),
                        model.max_length.to_string(),
                        table::bytes(model.bytes),
                        word(&model.origin),
                    ]
                },
            )
        }
        ListAction::Show { name, common } => {
            show_one(&common, &ModelView::from(open(&common).await?.catalog.model(&name).await?))
        }
    }
}

pub(super) async fn datasets(action: ListAction) -> Result<ExitCode> {
    match action {
        ListAction::List { common } => {
            let datasets = open(&common).await?.catalog.datasets.list().await?;
            let views: Vec<DatasetView> = datasets.into_iter().map(DatasetView::from).collect();
            show_list(&common, &views, &["name", "splits", "gold", "origin", "description"], &[], |dataset| {
                let splits: Vec<_> =
                    dataset.splits.iter().map(|split| format!("{} {}", split.name, split.rows)).collect();
                vec![
                    dataset.name.clone(),
                    splits.join(", "),
                    dataset.gold.join(", "),
                    word(&dataset.origin),
                    dataset.description.clone(),
                ]
            })
        }
        ListAction::Show { name, common } => {
            show_one(&common, &DatasetView::from(open(&common).await?.catalog.dataset(&name).await?))
        }
    }
}

pub(super) async fn plugins(action: ListAction) -> Result<ExitCode> {
    match action {
        ListAction::List { common } => {
            let app = open(&common).await?;
            app.admit_bundled().await?;
            let plugins = app.catalog.plugins.list().await?;
            let views: Vec<PluginView> = plugins.into_iter().map(PluginView::from).collect();
            show_list(
                &common,
                &views,
                &["name", "version", "status", "exports", "origin", "description"],
                &[],
                |plugin| {
                    let is_default = if plugin.is_default { ", default" } else { "" };
                    vec![
                        plugin.name.clone(),
                        plugin.version.clone(),
                        format!("{}{is_default}", plugin.status),
                        plugin.exports.join(", "),
                        word(&plugin.origin),
                        plugin.description.clone(),
                    ]
                },
            )
        }
        ListAction::Show { name, common } => {
            show_one(&common, &open(&common).await?.plugin_detail(&name.parse()?).await?)
        }
    }
}

pub(super) async fn presets(action: ListAction) -> Result<ExitCode> {
    match action {
        ListAction::List { common } => {
            let presets = open(&common).await?.presets().await?;
            let views: Vec<PresetView> = presets.into_iter().map(PresetView::from).collect();
            let header = ["name", "plugin", "dataset", "split", "few-shot", "description"];
            show_list(&common, &views, &header, &[4], |preset| {
                vec![
                    preset.name.clone(),
                    preset.plugin.clone().unwrap_or_else(|| format!("group of {}", preset.members.len())),
                    preset.dataset.clone().unwrap_or_default(),
                    preset.split.clone().unwrap_or_default(),
                    preset.few_shot.count.map_or(String::new(), |count| count.to_string()),
                    preset.description.clone(),
                ]
            })
        }
        ListAction::Show { name, common } => {
            show_one(&common, &PresetView::from(open(&common).await?.known_preset(&name).await?))
        }
    }
}

pub(super) async fn benchmarks(action: ListAction) -> Result<ExitCode> {
    match action {
        ListAction::List { common } => {
            let page =
                open(&common).await?.benchmarks.list(&BenchmarkFilter::default(), None, BENCHMARKS).await?;
            let views: Vec<BenchmarkView> = page.items.into_iter().map(BenchmarkView::from).collect();
            let header = ["id", "status", "model", "task", "dataset", "samples", "metric", "source"];
            show_list(&common, &views, &header, &[5], |benchmark| {
                let metric = benchmark.metrics.first();
                vec![
                    benchmark.id.clone(),
                    benchmark.status.clone(),
                    benchmark.model.clone(),
                    benchmark.task.clone(),
                    format!("{}/{}", benchmark.dataset, benchmark.split),
                    format!("{}/{}", benchmark.samples.completed, benchmark.samples.total),
                    metric.map_or(String::new(), |metric| {
                        format!("{} {}", metric.name, table::number(metric.value))
                    }),
                    benchmark.source.as_ref().map_or(String::new(), SourceView::summary),
                ]
            })
        }
        ListAction::Show { name, common } => {
            let app = open(&common).await?;
            let view = BenchmarkView::from(app.orchestrator.find(name.parse()?).await?);
            let text = match common.format {
                OutputFormat::Json => output::json(&view)?,
                OutputFormat::Table => table::benchmark(&view),
            };
            output::print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(super) fn show_list<T: Serialize>(
    common: &CommonArguments,
    views: &[T],
    header: &[&str],
    right: &[usize],
    row: impl Fn(&T) -> Vec<String>,
) -> Result<ExitCode> {
    let text = match common.format {
        OutputFormat::Json => output::json(&views)?,
        OutputFormat::Table => table::table(header, right, views.iter().map(row).collect()),
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// One thing with all its fields.
pub(super) fn show_one<T: Serialize>(common: &CommonArguments, view: &T) -> Result<ExitCode> {
    let json = output::json(view)?;
    let text = match common.format {
        OutputFormat::Json => json,
        OutputFormat::Table => {
            let fields: llm_bench_core::Row = serde_json::from_str(&json).unwrap_or_default();
            let rows = fields.into_iter().map(|(field, value)| vec![field, readable(&value)]).collect();
            table::table(&["field", "value"], &[], rows)
        }
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A value for a table's cell: text as it is, a list of texts in a line, what is nested over several lines.
fn readable(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
        }
        Json::Array(_) | Json::Object(_) => format!("{value:#}"),
        simple => simple.to_string(),
    }
}

/// An enum's name as it stands in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
