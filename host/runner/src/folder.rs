//! A model's folder: which files it holds and which of them decide the model's answers.

use std::path::{Component, Path, PathBuf};

use llm_bench_core::{Error, Json, Result};

use crate::external_data;

/// Names of a decoder's graph, as exporters give them, the best first; in the folder itself or in `onnx/`.
const GRAPHS: [&str; 3] = ["model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx"];

/// Files beside the graph that decide answers where they exist.
const OPTIONAL: [&str; 4] =
    ["chat_template.jinja", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// A folder with an ONNX language model. Names of files are relative to it, with forward slashes.
#[derive(Debug)]
pub(crate) struct ModelFolder {
    pub(crate) path: PathBuf,
    /// The graph's file.
    pub(crate) graph: String,
    /// Every file that decides the model's answers, the graph's external data included.
    pub(crate) files: Vec<String>,
}

impl ModelFolder {
    /// Looks for the model's files.
    ///
    /// # Errors
    /// `model-not-found` without the folder, `model-file-missing` naming the file, `model-file-broken` for a graph
    /// that is not whole, `model-file-outside` when the graph names weights outside the folder.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::not_found(
                "model-not-found",
                format!("there is no model folder `{}`", path.display()),
            ));
        }
        let graph = graph(path)?;
        let mut files = vec![graph.clone()];
        for name in ["config.json", "tokenizer.json"] {
            if !path.join(name).is_file() {
                return Err(missing(path, name));
            }
            files.push(name.to_owned());
        }
        files.extend(OPTIONAL.into_iter().filter(|name| path.join(name).is_file()).map(str::to_owned));
        let beside = graph.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for location in external_data::locations(&path.join(&graph), &graph)? {
            files.push(external_file(path, &graph, &format!("{beside}{location}"), &location)?);
        }
        Ok(Self { path: path.to_owned(), graph, files })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    /// Reads a JSON file; `None` when the folder has none of that name.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Json>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::invalid("model-file-broken", format!("`{name}` is not valid JSON: {error}"))
        })
    }

    /// Reads a text file; `None` when the folder has none of that name.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        if !self.has(name) {
            return Ok(None);
        }
        std::fs::read_to_string(self.path.join(name)).map(Some).map_err(|error| {
            Error::invalid("model-file-broken", format!("`{name}` cannot be read: {error}")).because(error)
        })
    }
}

fn graph(path: &Path) -> Result<String> {
    for folder in ["", "onnx/"] {
        for name in GRAPHS {
            if path.join(folder).join(name).is_file() {
                return Ok(format!("{folder}{name}"));
            }
        }
    }
    Err(missing(path, "model.onnx"))
}

fn missing(path: &Path, name: &str) -> Error {
    let folder = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Error::invalid(
        "model-file-missing",
        format!(
            "the model folder `{folder}` holds no `{name}`: export the model with `optimum-cli export onnx --task \
             text-generation-with-past`"
        ),
    )
}

/// Checks that weights named by a graph are a file inside the model's folder.
fn external_file(path: &Path, graph: &str, name: &str, location: &str) -> Result<String> {
    let outside = || {
        Error::invalid(
            "model-file-outside",
            format!("`{graph}` names weights outside the model's folder: `{}`", location.escape_default()),
        )
    };
    let relative = Path::new(location);
    if location.is_empty()
        || !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(outside());
    }
    let file = path.join(name);
    if !file.is_file() {
        return Err(missing(path, name));
    }
    let unreadable = |error: std::io::Error| {
        Error::invalid("model-file-broken", format!("`{name}` cannot be read: {error}")).because(error)
    };
    let folder = path.canonicalize().map_err(unreadable)?;
    if !file.canonicalize().map_err(unreadable)?.starts_with(folder) {
        return Err(outside());
    }
    Ok(name.to_owned())
}
