//! The test suites, and what continuous integration runs.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::setup::wasm_target::Provider;
use crate::setup::{self, cargo_deny};
use crate::workspace::Workspace;
use crate::{layout, process};

pub(crate) fn test(workspace: &Workspace, provider: Option<Provider>, arguments: &[String]) -> Result<()> {
    let mut report = Report::start();
    run_tests(workspace, provider, arguments, &mut report)?;
    report.finish("test");
    Ok(())
}

pub(crate) fn ci(workspace: &Workspace, provider: Option<Provider>) -> Result<()> {
    let mut report = Report::start();
    let workspaces = [workspace.root.join("Cargo.toml"), workspace.plugins_manifest()];
    report.step("lockfiles", || {
        for manifest in &workspaces {
            process::output(cargo(workspace, manifest, "metadata").args(["--locked", "--format-version=1"]))
                .with_context(|| format!("the lockfile beside {} is out of date", manifest.display()))?;
        }
        Ok(())
    })?;
    report.step("format", || {
        for manifest in &workspaces {
            process::run(cargo(workspace, manifest, "fmt").args(["--all", "--check"]))?;
        }
        Ok(())
    })?;
    report.step("dependency rules", || {
        let program = cargo_deny::provide()?;
        for manifest in &workspaces {
            process::run(
                Command::new(&program)
                    .args(["--config=deny.toml", "--manifest-path"])
                    .arg(manifest)
                    .args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
                    .current_dir(&workspace.root),
            )?;
        }
        Ok(())
    })?;
    report.step("lints", || {
        for manifest in &workspaces {
            process::run(cargo(workspace, manifest, "clippy").args([
                "--workspace",
                "--all-targets",
                "--",
                "--deny=warnings",
            ]))?;
        }
        Ok(())
    })?;
    run_tests(workspace, provider, &[], &mut report)?;
    report.finish("ci");
    Ok(())
}

fn run_tests(
    workspace: &Workspace,
    provider: Option<Provider>,
    arguments: &[String],
    report: &mut Report,
) -> Result<()> {
    let root = workspace.root.join("Cargo.toml");
    let ready = report.step("set-up", || setup::for_tests(workspace, provider))?;
    report.step("layout", || layout::develop(workspace, &ready))?;
    // The server first, because end-to-end tests start it. Built together with the tests, so that both
    // settle on the same features of shared dependencies and nothing is compiled twice.
    report.step("build", || {
        process::run(cargo(workspace, &root, "build").args(["--workspace", "--bins", "--tests"]))
    })?;
    // Without `--workspace`, which would overrule a `--package` among the arguments.
    report.step("tests", || process::run(cargo(workspace, &root, "test").args(arguments)))?;
    if arguments.is_empty() {
        report.step("plugin tests", || {
            process::run(cargo(workspace, &workspace.plugins_manifest(), "test").arg("--workspace"))
        })?;
    }
    Ok(())
}

/// A Cargo command on one of the two workspaces, for this machine.
fn cargo(workspace: &Workspace, manifest: &Path, subcommand: &str) -> Command {
    let mut cargo = process::cargo();
    cargo.arg(subcommand).arg("--manifest-path").arg(manifest).current_dir(&workspace.root);
    if manifest == workspace.plugins_manifest() {
        cargo.env("CARGO_TARGET_DIR", workspace.plugins_target());
    }
    cargo
}

/// What was done and how long it took, for the last line.
struct Report {
    start: Instant,
    steps: Vec<String>,
}

impl Report {
    fn start() -> Self {
        Self { start: Instant::now(), steps: Vec::new() }
    }

    fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let result = work().with_context(|| format!("{name} failed"))?;
        self.steps.push(format!("{name} {} s", start.elapsed().as_secs()));
        Ok(result)
    }

    fn finish(self, chore: &str) {
        println!("\n{chore}: passed in {} s ({})", self.start.elapsed().as_secs(), self.steps.join(", "));
    }
}
