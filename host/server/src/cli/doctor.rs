//! `llm-bench doctor`: what was found, and what is missing.

use llm_bench_core::Result;
use llm_bench_process::confinement;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{CommonArguments, ExitCode, OutputFormat, output, table};
use crate::app::{App, AppConfig};
use crate::view::HardwareInfoView;

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    /// Whether the program can work with what was found.
    ok: bool,
    found: String,
}

/// Prints what was found; the exit code is 1 when something that every benchmark needs is missing.
pub(super) async fn doctor(common: CommonArguments) -> Result<ExitCode> {
    let config = AppConfig { data_dir: common.data.data_dir.clone(), ..AppConfig::default() };
    let app = App::open(config, CancellationToken::new()).await?;
    let findings = examine(&app).await?;
    let healthy = findings.iter().all(|finding| finding.ok);
    let text = match common.format {
        OutputFormat::Json => output::json(&findings)?,
        OutputFormat::Table => {
            let rows = findings
                .iter()
                .map(|finding| {
                    let mark = if finding.ok { "ok" } else { "MISSING" };
                    vec![finding.what.to_owned(), mark.to_owned(), finding.found.clone()]
                })
                .collect();
            table::table(&["what", "", "found"], &[], rows)
        }
    };
    output::print(&text)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(app: &App) -> Result<Vec<Finding>> {
    let mut findings = vec![
        found("llm-bench", env!("CARGO_PKG_VERSION")),
        found("plugin contract", llm_bench_sandbox::CONTRACT),
    ];
    let library = app.installation.onnxruntime();
    findings.push(match app.runner.library() {
        Ok(version) => found("ONNX Runtime", format!("{version} in {}", library.display())),
        Err(error) => missing("ONNX Runtime", error.message),
    });
    if let Ok(providers) = app.runner.providers() {
        let names: Vec<_> = providers.iter().map(ToString::to_string).collect();
        findings.push(found("providers", names.join(", ")));
    }
    let hardware = HardwareInfoView::from(app.hardware.info());
    findings.push(found("operating system", &hardware.operating_system));
    findings.push(found("processor", format!("{}, {} logical cores", hardware.cpu, hardware.logical_cores)));
    findings.push(found("memory", table::bytes(hardware.total_memory_bytes)));
    let gpus: Vec<_> = hardware
        .gpus
        .iter()
        .map(|gpu| format!("{} ({}, driver {})", gpu.name, table::bytes(gpu.memory_bytes), gpu.driver))
        .collect();
    // No GPU is a fact, not a fault.
    findings.push(found(
        "GPU",
        match &hardware.gpus_absent {
            Some(reason) => format!("none: {reason}"),
            None => gpus.join("; "),
        },
    ));
    // What a kernel lacks makes plugins less confined, not unusable.
    findings.push(found(
        "confinement",
        match confinement::lacking().as_slice() {
            [] => "child processes of plugins have a filter of system calls and Landlock".to_owned(),
            lacking => format!("weaker than elsewhere: {}", lacking.join("; ")),
        },
    ));
    findings.push(found("data folder", app.data.path().display().to_string()));
    findings.push(match app.admit_bundled().await {
        Ok(()) => {
            let plugins = app.catalog.plugins.list().await?;
            let names: Vec<_> =
                plugins.iter().map(|plugin| format!("{}@{}", plugin.name, plugin.version)).collect();
            listing("plugins", &names, &app.installation.plugins())
        }
        Err(error) => missing("plugins", error.message),
    });
    let models = app.catalog.models.list().await?;
    let names: Vec<_> = models.into_iter().map(|model| model.name).collect();
    findings.push(listing("models", &names, &app.installation.models()));
    let datasets = app.catalog.datasets.list().await?;
    let names: Vec<_> = datasets.into_iter().map(|dataset| dataset.name).collect();
    findings.push(listing("datasets", &names, &app.installation.datasets()));
    Ok(findings)
}

fn listing(what: &'static str, names: &[String], folder: &std::path::Path) -> Finding {
    if names.is_empty() {
        return missing(
            what,
            format!("none; those that ship with the program belong in {}", folder.display()),
        );
    }
    found(what, names.join(", "))
}

fn found(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, ok: true, found: found.into() }
}

fn missing(what: &'static str, reason: String) -> Finding {
    Finding { what, ok: false, found: reason }
}
