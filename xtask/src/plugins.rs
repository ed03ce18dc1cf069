//! Building the plugins to WebAssembly components.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::setup::wasm_target::{self, WasmToolchain};
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
    let messages = process::output(&mut cargo)?;
    let mut plugins: Vec<_> = messages.lines().filter_map(component).collect();
    if plugins.is_empty() {
        bail!("no member of the workspace {} is a component", workspace.plugins_manifest().display());
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
