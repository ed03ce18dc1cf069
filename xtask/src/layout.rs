//! The installation layout: where the server looks for the files it comes with.
//!
//! ```text
//! <root>/bin/llm-bench              (target/debug/llm-bench in development)
//! <root>/lib/libonnxruntime.so
//! <root>/share/llm-bench/           plugins, models, datasets, presets, plugin-sdk, templates, demo
//! <root>/share/doc/onnxruntime/     its licence and notices
//! ```

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::mirror::Content;
use crate::plugins;
use crate::setup::Ready;
use crate::workspace::Workspace;

/// Strangers' plugins, which are no built-ins: one does everything forbidden and shows what the sandbox stops, one
/// flatters every model and shows what a verification finds.
const STRANGERS: [&str; 2] = ["cheater", "hostile"];
/// No part of an installation: what the sandbox's benchmarks run, what is published with the contract alone, and an
/// example that is of no use without a word list.
const LEFT_OUT: [&str; 3] = ["bare", "every-call", "vocabulary"];

/// Lays out the target directory for the development build.
pub(crate) fn develop(workspace: &Workspace, ready: &Ready) -> Result<()> {
    let content = content(workspace, ready)?;
    let _lock = workspace.lock()?;
    let changes = content.write(&workspace.target)?;
    println!(
        "layout: {} is up to date ({} copied, {} removed)",
        workspace.target.join("share/llm-bench").display(),
        changes.copied,
        changes.removed
    );
    Ok(())
}

/// Everything of an installation but the server's own program.
pub(crate) fn content(workspace: &Workspace, ready: &Ready) -> Result<Content> {
    let share = Path::new("share/llm-bench");
    let mut content = Content::default();

    let library = &ready.onnxruntime.library;
    content.file(Path::new("lib").join(file_name(library)?), library);
    for notice in &ready.onnxruntime.notices {
        content.file(Path::new("share/doc/onnxruntime").join(file_name(notice)?), notice);
    }

    let built = plugins::build(workspace, &ready.wasm_toolchain)?;
    for plugin in built.into_iter().filter(|plugin| !LEFT_OUT.contains(&plugin.name.as_str())) {
        let folder = if STRANGERS.contains(&plugin.name.as_str()) { "demo" } else { "plugins" };
        content.file(share.join(folder).join(format!("{}.wasm", plugin.name)), plugin.component);
    }
    for assets in ["models", "datasets", "presets", "templates"] {
        content.folder(share.join(assets), &workspace.root.join("host/assets").join(assets))?;
    }

    // The SDK is complete in itself: an author builds against it without this repository. The contract in it
    // is a symbolic link to wit/, which becomes a copy here.
    let sdk = workspace.root.join("plugin-sdk");
    let manifest = std::fs::read_to_string(sdk.join("Cargo.toml"))?;
    ensure!(
        !manifest.contains("workspace = true"),
        "plugin-sdk/Cargo.toml inherits from the workspace, which isn't there where the SDK is installed"
    );
    content.folder(share.join("plugin-sdk"), &sdk)?;
    Ok(content)
}

fn file_name(path: &Path) -> Result<&std::ffi::OsStr> {
    path.file_name().with_context(|| format!("{} names no file", path.display()))
}
