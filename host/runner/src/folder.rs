//! A model's folder: which files it holds and which of them decide the model's answers.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use llm_bench_core::{Error, Json, Result};

use crate::graph_file::GraphFile;

/// Names of a decoder's graph, as exporters give them, the best first; in the folder itself or in `onnx/`.
const GRAPHS: [&str; 3] = ["model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx"];

/// What onnxruntime-genai's builder writes beside its graph instead of `config.json`.
pub(crate) const GENAI_CONFIG: &str = "genai_config.json";

/// Files beside the graph that decide answers where they exist.
const OPTIONAL: [&str; 4] =
    ["chat_template.jinja", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// Configurations, special tokens and templates: real ones have a few MiB at most.
const MAX_TEXT_BYTES: u64 = 32 << 20;

/// ONNX Runtime takes a name with this in it for an address in memory.
const MEMORY_ADDRESS: &str = "_ORT_MEM_ADDR_";

/// A folder with an ONNX language model. Names of files are relative to it, with forward slashes.
#[derive(Debug)]
pub(crate) struct ModelFolder {
    pub(crate) path: PathBuf,
    /// The graph's file.
    pub(crate) graph: String,
    pub(crate) graph_file: GraphFile,
    /// Every file that decides the model's answers, the graph's external data included.
    pub(crate) files: Vec<String>,
}

impl ModelFolder {
    /// Looks for the model's files.
    ///
    /// # Errors
    /// `model-not-found` without the folder, `model-file-missing` naming the file, `model-file-broken` for a graph
    /// that is not whole, `model-file-outside` when a file lies outside the folder, `custom-operator` for a graph that
    /// needs a library of others.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::not_found(
                "model-not-found",
                format!("there is no model folder `{}`", path.display()),
            ));
        }
        // Either exporter's file will do; where both are, `config.json` says more.
        let config = ["config.json", GENAI_CONFIG].into_iter().find(|name| path.join(name).is_file());
        let config = config.ok_or_else(|| missing(path, "config.json"))?;
        let graph = graph(path)?;
        let mut files = vec![graph.clone(), config.to_owned()];
        if !path.join("tokenizer.json").is_file() {
            return Err(missing(path, "tokenizer.json"));
        }
        files.push("tokenizer.json".to_owned());
        files.extend(OPTIONAL.into_iter().filter(|name| path.join(name).is_file()).map(str::to_owned));
        let graph_file = GraphFile::read(&path.join(&graph), &graph)?;
        let beside = graph.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for location in &graph_file.locations {
            files.push(external_file(path, &graph, &format!("{beside}{location}"), location)?);
        }
        Ok(Self { path: path.to_owned(), graph, graph_file, files })
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
    ///
    /// # Errors
    /// `model-file-too-large` beyond [`MAX_TEXT_BYTES`].
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        if !self.has(name) {
            return Ok(None);
        }
        check_size(&self.path, name, MAX_TEXT_BYTES)?;
        std::fs::read_to_string(self.path.join(name)).map(Some).map_err(|error| unreadable(name, error))
    }
}

/// # Errors
/// `model-file-too-large` when a file has more than `most` bytes.
pub(crate) fn check_size(folder: &Path, name: &str, most: u64) -> Result<()> {
    let bytes = folder.join(name).metadata().map_err(|error| unreadable(name, error))?.len();
    if bytes <= most {
        return Ok(());
    }
    Err(Error::too_large(
        "model-file-too-large",
        format!("`{name}` has {} MiB; at most {} MiB are read", bytes >> 20, most >> 20),
    ))
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    Error::invalid("model-file-broken", format!("`{name}` cannot be read: {error}")).because(error)
}

/// The graph: under one of the usual names, else the only one there is.
fn graph(path: &Path) -> Result<String> {
    for folder in ["", "onnx/"] {
        for name in GRAPHS {
            if path.join(folder).join(name).is_file() {
                return Ok(format!("{folder}{name}"));
            }
        }
    }
    let mut others = Vec::new();
    for folder in ["", "onnx/"] {
        let files = std::fs::read_dir(path.join(folder)).into_iter().flatten().flatten();
        let graphs =
            files.filter(|file| file.path().extension().is_some_and(|extension| extension == "onnx"));
        let names = graphs.filter_map(|file| file.file_name().into_string().ok());
        others.extend(names.map(|name| format!("{folder}{name}")));
    }
    others.sort_unstable();
    match others.as_slice() {
        [] => Err(missing(path, "model.onnx")),
        [only] => Ok(only.clone()),
        several => Err(Error::invalid(
            "model-file-missing",
            format!(
                "the model folder `{}` holds no `model.onnx` but several other graphs ({}): keep the one that is meant",
                name_of(path),
                several.join(", ")
            ),
        )),
    }
}

fn missing(path: &Path, name: &str) -> Error {
    Error::invalid(
        "model-file-missing",
        format!(
            "the model folder `{}` holds no `{name}`: export the model with `optimum-cli export onnx --task \
             text-generation-with-past`",
            name_of(path)
        ),
    )
}

fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
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
        || location.contains(MEMORY_ADDRESS)
        || !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(outside());
    }
    let file = path.join(name);
    if !file.is_file() {
        return Err(missing(path, name));
    }
    let folder = path.canonicalize().map_err(|error| unreadable(name, error))?;
    if !file.canonicalize().map_err(|error| unreadable(name, error))?.starts_with(folder) {
        return Err(outside());
    }
    Ok(name.to_owned())
}
