//! Benchmarks: one evaluation of a model on a dataset by a task, and the durable queue they stand in.

mod few_shot;
mod outcome;
mod repository;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Split;
use crate::id::BenchmarkId;
use crate::limits::Limits;
use crate::model::{Model, TokenUsage};
use crate::plugin::{MetricDeclaration, Standing};
use crate::rescore::Source;
use crate::{Error, Json, Result};

pub use few_shot::{FewShot, FewShotDraws, FewShotSampling};
pub use outcome::{ErrorNote, Metric, Outcome, Speed};
pub use repository::{BenchmarkFilter, BenchmarkRepository, Lease, Page, SampleCursor};

/// Where a benchmark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// One evaluation: model × dataset × task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    pub id: BenchmarkId,
    pub plan: Plan,
    pub status: Status,
    pub progress: Progress,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Present once the benchmark has ended.
    pub outcome: Option<Outcome>,
    /// Whether somebody asked for the end of it.
    pub cancel_requested: bool,
    /// Whether its task may be used now. While it may not, a benchmark that has not ended is held in the queue.
    #[serde(default)]
    pub task_standing: Standing,
}

/// What is to be done, resolved and pinned when the benchmark is created: nothing of it changes later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub model: Model,
    /// Further models by part, such as `judge`.
    #[serde(default)]
    pub parts: BTreeMap<String, Model>,
    pub task: PluginPin,
    pub config: Json,
    pub metrics: Vec<MetricDeclaration>,
    pub dataset: String,
    pub split: Split,
    /// Columns withheld from the solver.
    pub gold: Vec<String>,
    /// Rows of the split that are evaluated, from the first.
    pub rows: u64,
    pub few_shot: Option<FewShot>,
    /// Columns that tasks know by another name: that name, and the column of the file.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// The preset whose task this is.
    #[serde(default)]
    pub preset: Option<String>,
    pub seed: u64,
    pub concurrency: u32,
    pub limits: Limits,
    /// The share of samples, 0 to 1, that may fail before the benchmark does.
    pub max_failed: f64,
    /// Whether model calls may be answered by what was recorded of earlier ones.
    #[serde(default = "yes")]
    pub response_cache: bool,
    /// Where the answers come from, of a benchmark that judges what another one recorded.
    #[serde(default)]
    pub source: Option<Source>,
}

/// Benchmarks from before there was a choice say nothing of it.
fn yes() -> bool {
    true
}

/// A plugin version, pinned by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginPin {
    pub name: String,
    pub version: String,
    pub digest: String,
    /// The digest of its data files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_files: Option<String>,
}

/// How far a benchmark is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    /// Tokens of all model calls so far that the model itself answered.
    pub tokens: TokenUsage,
    /// Samples of which at least one call was answered from the response cache.
    pub cached_samples: u64,
    /// Model calls that were answered from the response cache.
    pub cached_calls: u64,
    /// What is kept of the samples, in bytes; a text that is kept already costs nothing.
    pub recorded_bytes: u64,
    /// Time spent executing, summed over restarts, in milliseconds.
    pub active_ms: u64,
}

impl Benchmark {
    /// A benchmark that waits for its turn, with all its samples before it.
    pub(crate) fn queued(plan: Plan, total: u64, created_at: Timestamp) -> Self {
        Self {
            id: BenchmarkId::new(),
            plan,
            status: Status::Queued,
            progress: Progress { total, ..Progress::default() },
            created_at,
            started_at: None,
            finished_at: None,
            outcome: None,
            cancel_requested: false,
            task_standing: Standing::Enabled,
        }
    }
}

impl PluginPin {
    /// `name@version`.
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

impl Progress {
    pub fn finished(&self) -> u64 {
        self.completed + self.failed
    }
}

impl Status {
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                Error::invalid(
                    "invalid-status",
                    format!("`{text}` is not a status: queued, running, completed, failed or cancelled"),
                )
            })
    }
}
