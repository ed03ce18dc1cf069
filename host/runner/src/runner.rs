//! The port's implementation: finds out about models, loads them, hands calls to their threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use async_trait::async_trait;
use llm_bench_core::model::{LoadedModel, Model, ModelAnswer, ModelFacts, ModelRequest, ModelRunner};
use llm_bench_core::{Error, Result};
use ort::environment::Environment;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::digest::DigestCache;
use crate::engine::Engine;
use crate::folder::ModelFolder;
use crate::provider::{self, Provider};
use crate::runtime;
use crate::settings::ModelSettings;
use crate::tokenizer::TextTokenizer;
use crate::worker::{Command, serve};

/// What the runner needs to know of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerConfig {
    /// The ONNX Runtime library, such as `lib/libonnxruntime.so`.
    pub library: PathBuf,
    /// Threads that one model may use; none: one for each core.
    pub threads: Option<usize>,
    /// New tokens that one run of a model may hold, padding included; a row that is longer runs alone.
    pub max_batch_tokens: usize,
    /// What a model's KV caches may take, in bytes: half of it for the batches at work, a quarter for prefixes that are
    /// kept.
    pub memory_bytes: usize,
    pub execution: Execution,
    /// What computes.
    pub provider: Provider,
}

/// How requests are computed. The answers are the same but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Execution {
    /// In batches; what requests begin with in common is computed once.
    #[default]
    Shared,
    /// In batches; each request's prefix is computed for it.
    Unshared,
    /// One row at a time, whole, on the graph as it stands: slow, and what the others are held against.
    Reference,
}

/// Half of what a small machine has.
const DEFAULT_MEMORY_BYTES: usize = 4 << 30;

impl RunnerConfig {
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            threads: None,
            max_batch_tokens: 8192,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            execution: Execution::default(),
            provider: Provider::Cpu,
        }
    }
}

/// Runs models with ONNX Runtime, each on a thread of its own.
pub struct OnnxRunner {
    config: RunnerConfig,
    digests: Arc<DigestCache>,
}

impl OnnxRunner {
    /// Nothing is loaded yet: a missing library matters only to those who load a model.
    pub fn new(config: RunnerConfig) -> Self {
        Self { config, digests: Arc::default() }
    }

    /// Loads the library, if this process has not loaded it yet, and tells what it is. A process has one library: a
    /// later runner shares the first one's.
    ///
    /// # Errors
    /// `unavailable`: `onnxruntime-missing` when there is no such file, `onnxruntime-incompatible` when it cannot be
    /// used.
    pub fn library(&self) -> Result<String> {
        self.environment()?;
        Ok(ort::info().to_owned())
    }

    /// What the library can run models on, the CPU first.
    ///
    /// # Errors
    /// As [`Self::library`].
    pub fn providers(&self) -> Result<Vec<Provider>> {
        self.environment()?;
        provider::available()
    }

    /// Checks that the library has the provider that is configured: a host says so before it takes work.
    ///
    /// # Errors
    /// As [`Self::library`]; `provider-missing` with the providers that it has.
    pub fn check_provider(&self) -> Result<()> {
        self.environment()?;
        self.config.provider.find().map(drop)
    }

    fn environment(&self) -> Result<Environment> {
        runtime::load(&self.config.library)
    }
}

#[async_trait]
impl ModelRunner for OnnxRunner {
    async fn inspect(&self, path: &Path) -> Result<ModelFacts> {
        let (path, digests) = (path.to_owned(), Arc::clone(&self.digests));
        let inspected = tokio::task::spawn_blocking(move || inspect(&path, &digests)).await;
        inspected.map_err(|error| {
            Error::internal("inspection-failed", "looking at a model failed").because(error)
        })?
    }

    async fn load(&self, model: &Model) -> Result<Arc<dyn LoadedModel>> {
        // What is loaded under a digest must be what has it.
        if self.inspect(&model.path).await?.digest != model.facts.digest {
            return Err(Error::conflict(
                "model-changed",
                format!("the files of model `{}` are not those that it was registered with", model.name),
            ));
        }
        let (commands, received) = channel::<Command>();
        let (ready, opened) = oneshot::channel();
        let (environment, config, path) = (self.environment()?, self.config.clone(), model.path.clone());
        std::thread::Builder::new()
            .name(format!("model {}", model.name))
            .spawn(move || match Engine::open(&environment, &path, &config) {
                Ok(mut engine) => {
                    if ready.send(Ok(())).is_ok() {
                        serve(&mut engine, &received);
                    }
                }
                Err(error) => {
                    // Nobody waits for a model whose loading was given up.
                    let _ = ready.send(Err(error));
                }
            })
            .map_err(|error| {
                Error::unavailable("model-thread-failed", "no thread could be started for the model")
                    .because(error)
            })?;
        opened.await.unwrap_or_else(|_| Err(thread_failed(&model.name)))?;
        Ok(Arc::new(OnnxModel { name: model.name.clone(), commands }))
    }
}

fn inspect(path: &Path, digests: &DigestCache) -> Result<ModelFacts> {
    let folder = ModelFolder::open(path)?;
    let settings = ModelSettings::read(&folder)?;
    let tokenizer = TextTokenizer::open(path, &settings)?;
    let (digest, bytes) = digests.digest(path, &folder.files)?;
    let vocabulary_size = match settings.vocabulary_size {
        Some(size) => u32::try_from(size).unwrap_or(u32::MAX),
        None => u32::try_from(tokenizer.vocabulary_size()).unwrap_or(u32::MAX),
    };
    Ok(ModelFacts {
        digest,
        bytes,
        architecture: settings.architecture,
        max_length: u32::try_from(settings.max_length).unwrap_or(u32::MAX),
        vocabulary_size,
        has_chat_template: settings.chat_template.is_some(),
    })
}

/// The near end of the channel to a model's thread. The thread ends when this is dropped.
struct OnnxModel {
    name: String,
    commands: Sender<Command>,
}

#[async_trait]
impl LoadedModel for OnnxModel {
    async fn answer(&self, request: ModelRequest, cancel: CancellationToken) -> Result<ModelAnswer> {
        let (answer, answered) = oneshot::channel();
        let command = Command { request, cancel: cancel.clone(), queued: Instant::now(), answer };
        self.commands.send(command).map_err(|_| thread_failed(&self.name))?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or_else(|_| Err(thread_failed(&self.name))),
            () = cancel.cancelled() => Err(Error::cancelled("the call to the model was cancelled")),
        }
    }
}

fn thread_failed(name: &str) -> Error {
    Error::unavailable("model-thread-failed", format!("the thread of the model `{name}` failed: see the log"))
}
