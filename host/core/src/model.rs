//! Models: what they are, what they can be asked, and the ports that run them.

mod call;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Result;

pub use call::{
    Chat, FinishReason, Generation, GenerationRequest, LogLikelihood, Message, ModelRequest, ModelResponse,
    Prompt, RankRequest, Role, Sampling, ScoringRequest,
};

/// Where a registered thing comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Ships with the program.
    Bundled,
    /// Found in the data folder or in a configured root.
    Local,
    /// Uploaded over the API.
    Uploaded,
    /// A path given on the command line.
    Path,
}

/// A language model in a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The registered name, or the path as it was typed for a model that is not registered.
    pub name: String,
    pub origin: Origin,
    pub path: PathBuf,
    pub facts: ModelFacts,
}

/// What can be told of a model without loading its weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// SHA-256 over the names and contents of the files that decide its answers, in hexadecimal.
    pub digest: String,
    /// Sum of those files' sizes.
    pub bytes: u64,
    /// `architectures[0]` of `config.json`, such as `LlamaForCausalLM`.
    pub architecture: String,
    /// The longest sequence the model was made for, in tokens.
    pub max_length: u32,
    pub vocabulary_size: u32,
    pub has_chat_template: bool,
}

/// Tokens that a call cost, summed over its requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of prompts and of continuations that were scored, whether they were computed for this request or once for
    /// several that share them: so that the number depends on the request alone.
    pub prompt: u64,
    /// Tokens the model generated.
    pub completion: u64,
}

/// How long the phases of a call took, in milliseconds, measured where they happen.
///
/// `prefill` and `decode` are the time of the batches that the call's requests were part of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    pub queue_ms: f64,
    pub tokenize_ms: f64,
    pub prefill_ms: f64,
    pub decode_ms: f64,
}

/// Everything a model says to one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    pub response: ModelResponse,
    pub usage: TokenUsage,
    pub timings: Timings,
}

/// Finds out about models and loads them.
#[async_trait]
pub trait ModelRunner: Send + Sync {
    /// Reads what a folder holds without loading its weights.
    ///
    /// # Errors
    /// Names the missing or broken file.
    async fn inspect(&self, path: &Path) -> Result<ModelFacts>;

    /// Loads a model; the work happens on threads of its own.
    ///
    /// # Errors
    /// `unavailable` when the native library is missing, `unsupported` for a graph that cannot be served (the
    /// message names the input), `invalid` for a broken file.
    async fn load(&self, model: &Model) -> Result<Arc<dyn LoadedModel>>;

    /// What besides a model's files decides its answers to the last digit, such as an execution provider. Answers that
    /// were recorded under one such name are not given again under another.
    fn computation(&self) -> String {
        String::new()
    }
}

/// A model that answers. Calls of many samples wait together and are batched.
#[async_trait]
pub trait LoadedModel: Send + Sync {
    /// Answers every request of one call, or fails the call.
    ///
    /// Work whose token is cancelled is dropped as soon as the model can.
    async fn answer(&self, request: ModelRequest, cancel: CancellationToken) -> Result<ModelAnswer>;
}

/// The models that are registered by name.
#[async_trait]
pub trait ModelRepository: Send + Sync {
    /// Inserts or replaces the model of that name.
    async fn save(&self, model: &Model) -> Result<()>;
    async fn find(&self, name: &str) -> Result<Option<Model>>;
    /// All models, ordered by name.
    async fn list(&self) -> Result<Vec<Model>>;
    async fn remove(&self, name: &str) -> Result<()>;
}
