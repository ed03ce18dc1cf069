//! The port's implementation: finds out about models, loads them, hands calls to their threads or processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use async_trait::async_trait;
use llm_bench_core::model::{LoadedModel, Model, ModelAnswer, ModelFacts, ModelRequest, ModelRunner};
use llm_bench_core::{Error, Result};
use llm_bench_process::Processes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::digest::DigestCache;
use crate::inspection::{Description, blocking, check_digest, describe, digest};
use crate::process::{self, Isolation, ProcessModel};
use crate::provider::{self, Provider};
use crate::runtime;
use crate::thread::{self, Started};
use crate::worker::Command;

/// What the runner needs to know of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerConfig {
    /// The ONNX Runtime library, such as `lib/libonnxruntime.so`.
    #[serde(with = "any_path")]
    pub library: PathBuf,
    /// Threads that one model may use; none: one for each core.
    pub threads: Option<usize>,
    /// New tokens that one run of a model may hold, padding included; a row that is longer runs alone.
    pub max_batch_tokens: usize,
    /// What a model's KV caches and logits may take, in bytes: half of it for the caches of batches at work, a quarter for
    /// prefixes that are kept, a quarter for the logits of a batch of several rows.
    pub memory_bytes: usize,
    pub execution: Execution,
    /// What computes.
    pub provider: Provider,
    /// Where models live. A model's process is told all but this.
    #[serde(skip)]
    pub isolation: Isolation,
}

/// How requests are computed. The answers are the same but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Execution {
    /// In batches; what requests begin with in common is computed once.
    #[default]
    Shared,
    /// In batches; each request's prefix is computed for it.
    Unshared,
    /// One row at a time, whole, on the graph as it stands: slow, and what the others are held against.
    Reference,
}

/// Enough for batches of a model with a hundred million parameters, half of what a small machine has.
const DEFAULT_MEMORY_BYTES: usize = 4 << 30;

impl RunnerConfig {
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            threads: None,
            max_batch_tokens: 1024,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            execution: Execution::default(),
            provider: Provider::Cpu,
            isolation: Isolation::InProcess,
        }
    }
}

/// Runs models with ONNX Runtime, each on a thread or in a process of its own.
pub struct OnnxRunner {
    config: RunnerConfig,
    digests: Arc<DigestCache>,
    processes: Processes,
}

impl OnnxRunner {
    /// Nothing is loaded yet: a missing library matters only to those who load a model.
    pub fn new(config: RunnerConfig) -> Self {
        Self { config, digests: Arc::default(), processes: Processes::default() }
    }

    /// Loads the library, if this process has not loaded it yet, and tells what it is. A process has one library: a
    /// later runner shares the first one's.
    ///
    /// # Errors
    /// `unavailable`: `onnxruntime-missing` when there is no such file, `onnxruntime-incompatible` when it cannot be
    /// used.
    pub fn library(&self) -> Result<String> {
        runtime::load(&self.config.library)?;
        Ok(ort::info().to_owned())
    }

    /// What the KV caches and batches of one model may take, in bytes.
    pub fn kv_cache_budget_bytes(&self) -> u64 {
        self.config.memory_bytes as u64
    }

    /// Begins to load the library on a thread of its own, so that it is there when the first model needs it, who is told
    /// what is wrong with it.
    pub fn load_library_ahead(&self) {
        let library = self.config.library.clone();
        let loading = move || {
            if let Err(error) = runtime::load(&library) {
                tracing::debug!(?error, "the library could not be loaded ahead");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("library".to_owned()).spawn(loading) {
            tracing::debug!(%error, "the library is not loaded ahead");
        }
    }

    /// What the library can run models on, the CPU first.
    ///
    /// # Errors
    /// As [`Self::library`].
    pub fn providers(&self) -> Result<Vec<Provider>> {
        runtime::load(&self.config.library)?;
        provider::available()
    }

    /// Checks that the library has the provider that is configured: a host says so before it takes work.
    ///
    /// # Errors
    /// As [`Self::library`]; `provider-missing` with the providers that it has.
    pub fn check_provider(&self) -> Result<()> {
        runtime::load(&self.config.library)?;
        self.config.provider.find().map(drop)
    }

    async fn describe(&self, path: &Path) -> Result<Description> {
        match &self.config.isolation {
            Isolation::InProcess => {
                let path = path.to_owned();
                blocking(move || describe(&path)).await
            }
            Isolation::Process(config) => {
                process::describe(path, &self.config, config, &self.processes).await
            }
        }
    }

    /// The child processes of models.
    pub fn processes(&self) -> Processes {
        self.processes.clone()
    }
}

#[async_trait]
impl ModelRunner for OnnxRunner {
    async fn inspect(&self, path: &Path) -> Result<ModelFacts> {
        let (folder, digests) = (path.to_owned(), Arc::clone(&self.digests));
        let digested = blocking(move || digest(&folder, &digests));
        let ((digest, bytes), description) = tokio::try_join!(digested, self.describe(path))?;
        Ok(ModelFacts {
            digest,
            bytes,
            architecture: description.architecture,
            max_length: description.max_length,
            vocabulary_size: description.vocabulary_size,
            has_chat_template: description.has_chat_template,
        })
    }

    async fn load(&self, model: &Model) -> Result<Arc<dyn LoadedModel>> {
        let (wanted, digests) = (model.clone(), Arc::clone(&self.digests));
        blocking(move || check_digest(&wanted, &digests)).await?;
        match &self.config.isolation {
            Isolation::InProcess => {
                let (path, bytes) = (model.path.clone(), model.facts.bytes);
                let Started { commands, opened, .. } =
                    thread::start(&model.name, self.config.clone(), path, bytes)?;
                opened.await.unwrap_or_else(|_| Err(thread::failed(&model.name)))?;
                Ok(Arc::new(OnnxModel { name: model.name.clone(), commands }))
            }
            Isolation::Process(config) => {
                let digests = Arc::clone(&self.digests);
                let loading =
                    ProcessModel::load(model.clone(), &self.config, config, &self.processes, digests);
                Ok(Arc::new(loading.await?))
            }
        }
    }

    /// The provider, how what requests share is computed, and the library's file: all move the last digits.
    fn computation(&self) -> String {
        let library = std::fs::metadata(&self.config.library);
        let library = library.map(|file| (file.len(), file.modified().ok()));
        format!("{} {:?} {library:?}", self.config.provider, self.config.execution)
    }
}

/// The near end of the channel to a model's thread. The thread ends when this is dropped.
struct OnnxModel {
    name: String,
    commands: Sender<Command>,
}

#[async_trait]
impl LoadedModel for OnnxModel {
    async fn answer(&self, request: ModelRequest, cancel: CancellationToken) -> Result<ModelAnswer> {
        let (command, answered) = Command::new(request, cancel.clone());
        self.commands.send(command).map_err(|_| thread::failed(&self.name))?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or_else(|_| {
                // The thread drops a cancelled call, maybe before anybody waits here.
                Err(if cancel.is_cancelled() { cancelled() } else { thread::failed(&self.name) })
            }),
            () = cancel.cancelled() => Err(cancelled()),
        }
    }
}

fn cancelled() -> Error {
    Error::cancelled("the call to the model was cancelled")
}

/// A path of any bytes; serde itself takes those that are UTF-8.
mod any_path {
    use std::ffi::OsStr;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        AsRef::<OsStr>::as_ref(path).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        std::ffi::OsString::deserialize(deserializer).map(PathBuf::from)
    }
}
