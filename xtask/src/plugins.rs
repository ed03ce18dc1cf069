//! Building the plugins to WebAssembly components.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::setup::{self, wasm_target, wasm_target::WasmToolchain};
use crate::workspace::Workspace;

pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) component: PathBuf,
}

/// Builds every member of the plugins' workspace that is a component, in the order of their names.
pub(crate) fn build(workspace: &Workspace, toolchain: &WasmToolchain) -> Result<Vec<Plugin>> {
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--workspace", "--release", "--target", wasm_target::TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(workspace.plugins_manifest())
        .arg("--target-dir")
        .arg(workspace.plugins_target())
        // Cargo takes configuration files from where it runs, not from where the manifest is.
        .current_dir(workspace.root.join("plugins"))
        .env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(workspace)?.join("\u{1f}"));
    println!("building the plugins");
    components(&mut cargo, &workspace.plugins_manifest())
}

/// Builds the project of one plugin, as its author does: in Rust, Python or JavaScript, as its files tell.
pub(crate) fn build_project(
    workspace: &Workspace,
    provider: Option<wasm_target::Provider>,
    folder: &Path,
) -> Result<Vec<Plugin>> {
    let folder = &folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let component = folder.join(&name).with_extension("wasm");
    let tools = setup::Tools::open()?;
    if folder.join("app.py").is_file() {
        let mut componentize = setup::componentize::python(&tools)?;
        componentize.args(["-d", "wit", "-w", "task", "componentize", "app", "--stub-wasi", "-p", "."]);
        let packages = folder.join(setup::componentize::PACKAGES);
        if packages.is_file() {
            componentize.arg("-p").arg(setup::componentize::python_packages(&tools, &packages)?);
        }
        process::run(componentize.arg("-o").arg(&component).current_dir(folder))?;
        return Ok(vec![Plugin { name, component }]);
    }
    if folder.join("app.js").is_file() {
        let mut componentize = setup::componentize::javascript(&tools)?;
        componentize.args([
            "--wit",
            "wit",
            "--world",
            "task",
            "--js",
            "app.js",
            "--sync",
            "--stub-wasi",
            "--output",
        ]);
        process::run(componentize.arg(&component).current_dir(folder))?;
        return Ok(vec![Plugin { name, component }]);
    }
    let mut cargo = wasm_target::provide(&tools, provider)?.cargo();
    cargo
        .args(["build", "--release", "--target", wasm_target::TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--target-dir")
        .arg(workspace.target.join("projects"))
        .current_dir(folder);
    components(&mut cargo, &folder.join("Cargo.toml"))
}

/// Runs a build; gives the components that it reports, in the order of their names.
fn components(cargo: &mut Command, manifest: &Path) -> Result<Vec<Plugin>> {
    let messages = process::output(cargo)?;
    let mut plugins: Vec<_> = messages.lines().filter_map(component).collect();
    if plugins.is_empty() {
        bail!("nothing that {} builds is a component", manifest.display());
    }
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plugins)
}

/// Compiler flags that keep this machine's paths, which panics name, out of the components.
fn remapped_paths(workspace: &Workspace) -> Result<[String; 2]> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir().context("no home folder")?.join(".cargo"),
    };
    let remap = |folder: &Path, name: &str| format!("--remap-path-prefix={}={name}", folder.display());
    Ok([remap(&cargo_home, "cargo"), remap(&workspace.root, ".")])
}

/// The component that one of Cargo's messages reports, if it does.
fn component(message: &str) -> Option<Plugin> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_component = message["target"]["crate_types"].as_array()?.iter().any(|kind| kind == "cdylib");
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str).map(Path::new);
    let component = files.filter(|_| is_component).find(|file| has_extension(file, "wasm"))?;
    // Cargo names the file after the crate, where a package's dashes are underscores.
    let name = component.file_stem()?.to_str()?.replace('_', "-");
    Some(Plugin { name, component: component.to_path_buf() })
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}
