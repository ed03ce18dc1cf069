//! `--data-files`: what a plugin reads beside its component.

use std::path::{Path, PathBuf};

use clap::Args;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::Plugin;
use llm_bench_core::{Error, Result};
use tempfile::NamedTempFile;

use crate::app::App;

#[derive(Debug, Args)]
pub(super) struct DataFilesArgument {
    /// The files that the plugin reads: a .tar with exactly those, or a folder that has them.
    #[arg(long = "data-files", value_name = "TAR|FOLDER")]
    pub(super) path: Option<PathBuf>,
}

/// The data files of a plugin as an archive.
pub(super) struct DataFilesArchive {
    path: PathBuf,
    /// Removed when the value is dropped.
    packed: Option<NamedTempFile>,
}

impl DataFilesArchive {
    /// The archive at a path; or one of the plugin's files in a folder, whatever else it has.
    pub(super) fn new(path: &Path, plugin: &Plugin) -> Result<Self> {
        if !path.is_dir() {
            return Ok(Self { path: path.to_owned(), packed: None });
        }
        let packed = pack(path, &plugin.descriptor.data_files)?;
        Ok(Self { path: packed.path().to_owned(), packed: Some(packed) })
    }

    pub(super) fn path(&self) -> &Path {
        self.packed.as_ref().map_or(&self.path, NamedTempFile::path)
    }
}

fn pack(folder: &Path, names: &[String]) -> Result<NamedTempFile> {
    let cannot = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| {
            Error::invalid("invalid-data-files", format!("cannot read the data file {what}: {error}"))
        }
    };
    let packed = NamedTempFile::new().map_err(cannot(folder))?;
    let mut archive = tar::Builder::new(packed);
    archive.mode(tar::HeaderMode::Deterministic);
    for name in names {
        let file = folder.join(name);
        archive.append_path_with_name(&file, name).map_err(cannot(&file))?;
    }
    archive.into_inner().map_err(cannot(folder))
}

impl App {
    /// A plugin from a file, with the data files that the person in front brings along.
    pub(super) async fn with_data_files(
        &self,
        mut plugin: Plugin,
        argument: &DataFilesArgument,
    ) -> Result<Plugin> {
        let Some(path) = &argument.path else { return Ok(plugin) };
        if plugin.origin != Origin::Path {
            let message = format!(
                "plugin `{0}` is registered, so it is given files once: llm-bench plugins grant {0} --data-files {1}",
                plugin.reference(),
                path.display()
            );
            return Err(Error::invalid("data-files-registered", message));
        }
        if plugin.descriptor.data_files.is_empty() {
            let message = format!("plugin `{}` reads no data files", plugin.reference());
            return Err(Error::invalid("no-data-files", message));
        }
        let archive = DataFilesArchive::new(path, &plugin)?;
        let names = &plugin.descriptor.data_files;
        let files = self.catalog.sandbox.keep_data_files(&plugin.digest, archive.path(), names).await?;
        plugin.grants.data_files = Some(files);
        Ok(plugin)
    }
}
