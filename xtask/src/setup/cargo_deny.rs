//! cargo-deny, which checks the dependencies against the rules in `deny.toml`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::Tools;
use crate::process;

const VERSION: &str = "0.20.2";

/// The program: the machine's own, or one built once and kept in the cache.
pub(crate) fn provide() -> Result<PathBuf> {
    let own =
        Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if own.is_ok_and(|status| status.success()) {
        return Ok("cargo-deny".into());
    }
    let tools = Tools::open()?;
    let stamp = format!("cargo-deny {VERSION}\n");
    let folder = match tools.installed("cargo-deny", &stamp) {
        Some(folder) => folder,
        None => tools.install("cargo-deny", &stamp, |staging| {
            println!("setup: cargo-deny {VERSION}, to be built from source: some minutes, once");
            process::run(
                process::cargo()
                    .args(["install", "--locked", "--no-track", "--root"])
                    .arg(staging)
                    .arg(format!("cargo-deny@{VERSION}"))
                    .env("CARGO_TARGET_DIR", staging.join("build")),
            )?;
            super::remove(&staging.join("build"))
        })?,
    };
    Ok(folder.join("bin/cargo-deny"))
}
