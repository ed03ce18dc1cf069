//! Samples: what a solver sees of a row, what it answers, and how that was judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{ModelRequest, ModelResponse, Timings, TokenUsage};
use crate::response_cache::ResponseKey;
use crate::{Error, ErrorKind, Json, Result, Row};

/// What the solver may know of a row: everything but the gold columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Position of the row in its split; in decimal it is the sample's id.
    pub index: u64,
    pub input: Row,
    /// 0 for the first try, 1.. where a benchmark repeats each sample.
    pub repeat: u32,
}

/// A solved row, for few-shot prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub input: Row,
    pub target: Row,
}

/// What a guest is told besides the sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    pub config: Json,
    pub examples: Vec<Example>,
    pub seed: u64,
}

/// A retrieved text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub id: String,
    pub text: String,
    pub score: f64,
}

/// What a solver hands to the scorers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Solution {
    pub answer: Option<String>,
    #[serde(default)]
    pub passages: Vec<Passage>,
    pub detail: Option<Json>,
}

/// One value of one metric on one sample; no value, with the reason, where it is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub metric: String,
    pub filter: Option<String>,
    pub value: Option<f64>,
    pub weight: f64,
    pub reason: Option<String>,
}

/// A model call as the host saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCall {
    /// Whether the call was made to solve the sample or to judge it.
    pub phase: Phase,
    pub part: String,
    #[serde(flatten)]
    pub request: ModelRequest,
    /// The answers, or the sentence the guest was given instead.
    pub outcome: CallOutcome,
    /// Of an answer from the response cache: what it cost the first time.
    pub tokens: TokenUsage,
    /// Zero for an answer from the response cache.
    pub timings: Timings,
    /// Whether the answer is one that was recorded before, and the model was not asked.
    #[serde(default)]
    pub is_cached: bool,
    /// Under which the response cache finds the answer. None where there is none to be found, as of a call that failed
    /// or was itself answered from the cache.
    #[serde(skip)]
    pub key: Option<ResponseKey>,
}

/// How a model call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    Response(ModelResponse),
    Error {
        #[serde(default = "unavailable")]
        kind: ErrorKind,
        code: String,
        message: String,
    },
}

/// What records from before kinds were kept stand for: most errors of models are of that kind.
fn unavailable() -> ErrorKind {
    ErrorKind::Unavailable
}

impl From<&Error> for CallOutcome {
    fn from(error: &Error) -> Self {
        let Error { kind, code, message, .. } = error;
        Self::Error { kind: *kind, code: code.to_string(), message: message.clone() }
    }
}

impl From<CallOutcome> for Result<ModelResponse> {
    fn from(outcome: CallOutcome) -> Self {
        match outcome {
            CallOutcome::Response(response) => Ok(response),
            CallOutcome::Error { kind, code, message } => Err(Error::new(kind, code, message)),
        }
    }
}

/// Whether asking or judging was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reading the row and splitting off its gold columns.
    Read,
    Solve,
    Score,
    /// Computing the metrics of the whole corpus.
    Aggregate,
}

/// Why a sample failed, as a name that programs can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The fuel of the sample is burnt: the guest computed too long.
    FuelExhausted,
    /// The guest asked for more memory than its limit.
    MemoryLimit,
    /// The guest, or a model it waited for, took too long by the clock.
    Timeout,
    StackOverflow,
    /// The guest trapped: a panic, an `unreachable`, an access out of bounds.
    Trap,
    /// The guest ended itself.
    Exit,
    /// More host calls, requested tokens or handles than the limits allow.
    CallLimit,
    /// What the guest returned is not what the contract asks for.
    InvalidOutput,
    /// The guest returned an error.
    PluginError,
    /// The guest asked for something that it was not given.
    Denied,
    /// The guest said that the row does not fit its config.
    InvalidSample,
    /// The row cannot be read.
    UnreadableRow,
    /// A model call failed and the guest gave up because of it.
    ModelError,
    /// The process that the guest ran in crashed, hung or was killed, and took the call along.
    ProcessEnded,
    /// The guest asked a model what no recorded call answers, where only the record is asked.
    NotRecorded,
    /// A defect of the host.
    Internal,
}

/// Why a sample, or a corpus, has no result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub phase: Phase,
    pub message: String,
    /// Frames of the guest, innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// The end of what the guest wrote to its log, standard output and standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// What guest calls used, summed over solving and scoring (memory: the larger).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestUsage {
    pub fuel: u64,
    pub peak_memory_bytes: u64,
    /// Calls of the host's functions: models and log.
    #[serde(default)]
    pub host_calls: u32,
}

/// All that is kept of one finished sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    pub index: u64,
    pub repeat: u32,
    pub solution: Option<Solution>,
    /// The gold columns.
    pub target: Option<Row>,
    pub measurements: Vec<Measurement>,
    pub calls: Vec<ModelCall>,
    pub usage: GuestUsage,
    /// None: the sample is completed.
    pub failure: Option<Failure>,
    /// From the start of solving to the end of scoring.
    pub duration_ms: f64,
    /// Whether it differs from the sample of the benchmark's source; none where there is nothing to hold it against.
    pub differs: Option<bool>,
}

/// How many samples failed of each kind.
pub type FailureCounts = BTreeMap<FailureKind, u64>;

impl FailureKind {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FuelExhausted => "fuel-exhausted",
            Self::MemoryLimit => "memory-limit",
            Self::Timeout => "timeout",
            Self::StackOverflow => "stack-overflow",
            Self::Trap => "trap",
            Self::Exit => "exit",
            Self::CallLimit => "call-limit",
            Self::InvalidOutput => "invalid-output",
            Self::PluginError => "plugin-error",
            Self::Denied => "denied",
            Self::InvalidSample => "invalid-sample",
            Self::UnreadableRow => "unreadable-row",
            Self::ModelError => "model-error",
            Self::ProcessEnded => "process-ended",
            Self::NotRecorded => "not-recorded",
            Self::Internal => "internal",
        }
    }
}
