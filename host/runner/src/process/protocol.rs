//! What parent and child say to each other.

use std::ffi::OsString;
use std::time::Duration;

use llm_bench_core::model::{ModelAnswer, ModelRequest};
use llm_bench_process::Refusal;
use serde::{Deserialize, Serialize};

use crate::inspection::Description;
use crate::runner::RunnerConfig;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToChild {
    /// The first message.
    Begin(Box<Setup>),
    Call {
        id: u64,
        request: ModelRequest,
    },
    /// Nobody waits for this call any more; it is answered all the same.
    Cancel {
        id: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromChild {
    /// The model is loaded.
    Opened,
    /// What was asked of [`Purpose::Describe`]; the child ends.
    Described(Description),
    /// The model cannot be loaded or described; the child ends.
    Refused(Refusal),
    Answer {
        id: u64,
        answer: Result<ModelAnswer, Refusal>,
    },
    /// Sent now and then while there is work.
    Alive {
        /// The processor time that the process has used so far.
        processor: Duration,
        /// For how long one of the model's threads has been at the same piece of its work.
        turn: Duration,
    },
}

/// All that a child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) purpose: Purpose,
    /// The model's name, for messages.
    pub(super) name: String,
    pub(super) config: RunnerConfig,
    /// The model's folder.
    pub(super) model: OsString,
    pub(super) memory_bytes: Option<u64>,
    /// How often [`FromChild::Alive`] is sent.
    pub(super) beat: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Load the model and answer calls.
    Serve {
        /// The size of the model's files.
        bytes: u64,
    },
    /// Tell what can be told without the weights.
    Describe,
}

#[cfg(test)]
mod tests;
