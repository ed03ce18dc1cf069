//! The installation: one folder that can be copied to another machine of the same kind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::wasm_target::Provider;
use crate::workspace::Workspace;
use crate::{layout, process, setup};

/// Builds `target/dist` and gives the server's path in it.
pub(crate) fn build(workspace: &Workspace, provider: Option<Provider>) -> Result<PathBuf> {
    let ready = setup::all(provider)?;
    let mut content = layout::content(workspace, &ready)?;
    process::run(
        process::cargo()
            .args(["build", "--release", "--package=llm-bench-server", "--bin=llm-bench"])
            // A target that the environment sets would move the program to another folder.
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(&workspace.root),
    )?;
    content.file("bin/llm-bench", workspace.target.join("release/llm-bench"));
    for document in ["LICENSE", "README.md", "CHANGELOG.md"] {
        let source = workspace.root.join(document);
        if source.exists() {
            content.file(Path::new("share/doc/llm-bench").join(document), source);
        }
    }

    let _lock = workspace.lock()?;
    let folder = workspace.target.join("dist");
    let [new, old] = ["dist.new", "dist.old"].map(|name| workspace.target.join(name));
    setup::remove(&new)?;
    content.write(&new)?;
    setup::remove(&old)?;
    if folder.exists() {
        fs::rename(&folder, &old)?;
    }
    fs::rename(&new, &folder).context("cannot put the new installation in place")?;
    setup::remove(&old)?;

    let program = folder.join("bin/llm-bench");
    println!("dist: {} ({} MB)", folder.display(), content.size_bytes()? / 1_000_000);
    println!("dist: try  {} demo", program.display());
    Ok(program)
}

/// Builds the installation and runs its demonstration.
pub(crate) fn demo(workspace: &Workspace, provider: Option<Provider>) -> Result<()> {
    let program = build(workspace, provider)?;
    process::run(Command::new(program).arg("demo"))
}
