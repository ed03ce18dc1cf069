//! Where things are in the checkout.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

pub(crate) struct Workspace {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the environment or a configuration file put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> Result<Self> {
        // As `cargo run` says it now, not as it was at compile time: checkouts may share a target directory.
        let this_crate = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&this_crate).parent().context("xtask has no parent folder")?.to_path_buf();
        let metadata = process::output(
            process::cargo().args(["metadata", "--no-deps", "--format-version=1"]).current_dir(&root),
        )?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let target = metadata["target_directory"].as_str().context("Cargo names no target directory")?;
        Ok(Self { root, target: target.into() })
    }

    /// The manifest of the plugins' own workspace.
    pub(crate) fn plugins_manifest(&self) -> PathBuf {
        self.root.join("plugins/Cargo.toml")
    }

    /// The target directory of the plugins' workspace. Inside the root's, so that `cargo clean` removes it.
    pub(crate) fn plugins_target(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Keeps other runs from writing to the target directory's layout while the result lives.
    pub(crate) fn lock(&self) -> Result<File> {
        std::fs::create_dir_all(&self.target)?;
        let lock = File::create(self.target.join("layout.lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}
