//! What `run` may name besides registered things: folders, files, components.

use std::path::{Path, PathBuf};

use llm_bench_core::dataset::{Dataset, DatasetFiles};
use llm_bench_core::model::{Model, ModelRunner, Origin};
use llm_bench_core::plugin::Plugin;
use llm_bench_core::{Error, Json, Result, Row};
use llm_bench_datasets::is_row_file;

use crate::app::App;
use crate::bundled::entries;
use crate::preset::{Preset, TaskPreset};

/// Marks the content that a component must have, as in `task.wasm@sha256:…`.
const DIGEST_MARK: &str = "@sha256:";

impl App {
    /// A registered model, or the one in a folder.
    pub(super) async fn model_or_folder(&self, text: &str) -> Result<Model> {
        if let Some(model) = self.catalog.models.find(text).await? {
            return Ok(model);
        }
        let folder = Path::new(text);
        if folder.is_dir() {
            let path = absolute(folder)?;
            let facts = self.runner.inspect(&path).await?;
            return Ok(Model { name: text.to_owned(), origin: Origin::Path, path, facts });
        }
        if folder.exists() {
            return Err(Error::invalid(
                "not-a-model-folder",
                format!(
                    "`{text}` is a file: name the folder that holds model.onnx, config.json and tokenizer.json"
                ),
            ));
        }
        let unknown = self.catalog.model(text).await.err();
        Err(unknown.map_or_else(
            || Error::not_found("model-not-found", text),
            |error| {
                Error::not_found(
                    "model-not-found",
                    format!("{}; there is no folder of that name either", error.message),
                )
            },
        ))
    }

    /// A registered dataset, a folder (with a `dataset.toml`, or with a file a split), a file, or several as
    /// `train=a.jsonl,test=b.jsonl`. A file that names no split is taken for `split`, or for `test`.
    pub(super) async fn dataset_or_files(&self, text: &str, split: Option<&str>) -> Result<Dataset> {
        if let Some(dataset) = self.catalog.datasets.find(text).await? {
            return Ok(dataset);
        }
        let path = Path::new(text);
        let splits = if path.is_dir() {
            let folder = absolute(path)?;
            let splits = row_files(&folder)?;
            if splits.is_empty() || folder.join("dataset.toml").exists() {
                return self.datasets.inspect_folder(&folder, Origin::Path).await;
            }
            splits
        } else if path.exists() {
            vec![(split.unwrap_or("test").to_owned(), absolute(path)?)]
        } else if text.contains('=') {
            named_splits(text)?
        } else if text.contains(['/', '.']) {
            return Err(Error::not_found("dataset-not-found", format!("there is no file `{text}`")));
        } else {
            return self.catalog.dataset(text).await;
        };
        self.datasets
            .inspect_files(DatasetFiles { name: text.to_owned(), origin: Origin::Path, splits })
            .await
    }

    /// A component's file, else the plugin of the preset that bears the name, else a plugin.
    pub(super) async fn task_or_file(
        &self,
        text: &str,
        preset: Option<Preset>,
    ) -> Result<(Plugin, Option<TaskPreset>)> {
        match self.component_file(text).await? {
            Some(plugin) => Ok((plugin, None)),
            None => self.task_of(text, preset).await,
        }
    }

    /// A component's file, or a plugin.
    pub(super) async fn plugin_or_file(&self, text: &str) -> Result<Plugin> {
        match self.component_file(text).await? {
            Some(plugin) => Ok(plugin),
            None => self.plugin(&text.parse()?).await,
        }
    }

    /// The plugin in a file; none where the text names no file.
    async fn component_file(&self, text: &str) -> Result<Option<Plugin>> {
        let (path, digest) = match text.split_once(DIGEST_MARK) {
            Some((path, digest)) => (path, Some(digest)),
            None => (text, None),
        };
        let is_component = Path::new(path).extension().is_some_and(|extension| extension == "wasm");
        let is_file = digest.is_some() || is_component || path.contains('/');
        if !is_file {
            return Ok(None);
        }
        let path = Path::new(path);
        if !path.is_file() {
            return Err(Error::not_found(
                "plugin-not-found",
                format!("there is no file `{}`", path.display()),
            ));
        }
        let plugin = self.catalog.inspect(path, Origin::Path).await?;
        match digest {
            Some(expected) if !expected.eq_ignore_ascii_case(&plugin.digest) => Err(Error::invalid(
                "digest-mismatch",
                format!("{} has the SHA-256 {}, not {expected}", path.display(), plugin.digest),
            )),
            _ => Ok(Some(plugin)),
        }
    }
}

/// The files of rows in a folder with their names, which as splits they bear.
pub(super) fn row_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let files = entries(folder)?.into_iter().filter(|path| path.is_file() && is_row_file(path));
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(files.map(|path| (name(&path), path)).collect())
}

fn named_splits(text: &str) -> Result<Vec<(String, PathBuf)>> {
    text.split(',')
        .map(|part| {
            let (name, path) = part.split_once('=').ok_or_else(|| {
                Error::invalid(
                    "invalid-dataset",
                    format!("`{part}` is not a split: write NAME=FILE[,NAME=FILE…]"),
                )
            })?;
            if !Path::new(path).exists() {
                return Err(Error::not_found("dataset-not-found", format!("there is no file `{path}`")));
            }
            Ok((name.to_owned(), absolute(Path::new(path))?))
        })
        .collect()
}

/// Paths are stored with the benchmark, which another process in another folder may resume.
fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        Error::invalid("unreadable-path", format!("cannot resolve `{}`: {error}", path.display()))
    })
}

/// A config given as JSON, or as `@FILE`.
pub(super) fn config(text: Option<&str>) -> Result<Row> {
    let invalid = |reason: String| Error::invalid("invalid-config", format!("the config {reason}"));
    let (text, place) = match text {
        None => return Ok(Row::new()),
        Some(text) => match text.strip_prefix('@') {
            None => (text.to_owned(), "given with --config".to_owned()),
            Some(path) => {
                let content = std::fs::read_to_string(path)
                    .map_err(|error| invalid(format!("file `{path}` cannot be read: {error}")))?;
                (content, format!("in `{path}`"))
            }
        },
    };
    match serde_json::from_str(&text) {
        Ok(Json::Object(config)) => Ok(config),
        Ok(_) => Err(invalid(format!("{place} is not a JSON object"))),
        Err(error) => Err(invalid(format!("{place} is not JSON: {error}"))),
    }
}
