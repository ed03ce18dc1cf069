//! What parent and child say to each other.

use std::path::PathBuf;

use llm_bench_core::limits::Limits;
use llm_bench_core::model::{ModelRequest, ModelResponse};
use llm_bench_core::sample::{FailureKind, GuestUsage};
use llm_bench_process::Refusal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::work::{Output, Work};
use crate::bindings::exports::llm_bench::plugin::aggregator::Scored;
use crate::bindings::llm_bench::plugin::types;

/// All that a child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    /// The compiled code of the plugin, which the child reads before it confines itself.
    pub(super) code: PathBuf,
    pub(super) concurrency: u32,
    pub(super) max_memory_bytes: u64,
    /// Memory that it may take beyond what its pool reserves.
    pub(super) memory_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToChild {
    /// The first message.
    Begin(Setup),
    Call {
        id: u64,
        limits: Limits,
        seed: u64,
        /// The parts that the call may open.
        lent: Vec<String>,
        work: Box<Work>,
    },
    /// Nobody waits for this call any more; its end is told all the same.
    Cancel { id: u64 },
    /// The answer to the question that the call asked last.
    Answer { id: u64, answer: Answer },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromChild {
    /// The plugin is loaded.
    Ready,
    /// The plugin cannot be loaded; the child ends.
    Refused(Refusal),
    /// What a guest asks; it waits for the answer.
    Question {
        id: u64,
        question: Question,
    },
    Finished {
        id: u64,
        end: End,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// May it open a part that is not among those lent? The answer is a sentence that says no.
    Open {
        part: String,
    },
    Ask {
        part: String,
        request: ModelRequest,
    },
    /// The next samples to aggregate.
    Batch,
    /// How long is a data file?
    FileSize {
        name: String,
    },
    ReadFile {
        name: String,
        offset: u64,
        length: u32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Opened(Result<(), types::Error>),
    Response(Result<ModelResponse, types::Error>),
    /// None after the last.
    Batch(Result<Option<Vec<Scored>>, types::Error>),
    FileSize(Result<u64, types::Error>),
    FileBytes(Result<ByteBuf, types::Error>),
}

/// How a call ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) result: Result<Output, Break>,
    pub(super) log: Option<String>,
    pub(super) usage: GuestUsage,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Break {
    pub(super) kind: FailureKind,
    pub(super) message: String,
    pub(super) backtrace: Option<String>,
}
