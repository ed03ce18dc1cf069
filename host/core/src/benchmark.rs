//! Benchmarks: one evaluation of a model on a dataset by a task, and the durable queue they stand in.

mod few_shot;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Split;
use crate::hardware::{HardwareReading, HardwareSummary};
use crate::id::{BenchmarkId, WorkerId};
use crate::limits::Limits;
use crate::model::{Model, TokenUsage};
use crate::plugin::{MetricDeclaration, Standing};
use crate::rescore::{Agreement, Source};
use crate::sample::{Failure, FailureCounts, Measurement, SampleRecord};
use crate::{Error, Json, Result, Row};

pub use few_shot::{FewShot, FewShotDraws, FewShotSampling};

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

/// How a benchmark ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub metrics: Vec<Metric>,
    /// Why there are no metrics of the whole corpus, where the task has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_failure: Option<Failure>,
    pub failures: FailureCounts,
    pub speed: Speed,
    pub hardware: Option<HardwareSummary>,
    /// How its samples agree with those of its source, where they can.
    #[serde(default)]
    pub agreement: Option<Agreement>,
    /// Why the benchmark failed.
    pub error: Option<ErrorNote>,
}

/// An error as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorNote {
    pub code: String,
    pub message: String,
}

/// An aggregate over the completed samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// None where it is undefined: no sample has a value.
    pub value: Option<f64>,
    /// Standard error; none where the estimator has none.
    pub stderr: Option<f64>,
    /// Bootstrap replicates behind the standard error: 100,000, or fewer for a large dataset. None where a formula
    /// gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_replicates: Option<u32>,
    /// 95 % interval, low then high.
    pub ci95: Option<[f64; 2]>,
    /// Samples that have a value; of a metric of the whole corpus, the samples that it is of.
    pub count: u64,
    pub higher_is_better: bool,
    /// Of a metric of the whole corpus: why it has no value, or what a person should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How fast it went, over the time spent executing. Token counts are of the model's own answers; there are rates only
/// where it gave every answer, and the response cache none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds spent executing, summed over restarts; loading the model is not in it.
    pub active_s: f64,
    /// Finished samples over `active_s`.
    pub samples_per_s: Option<f64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Prompt tokens over `active_s`.
    pub prompt_tokens_per_s: Option<f64>,
    /// Generated tokens over `active_s`.
    pub completion_tokens_per_s: Option<f64>,
    /// Samples of which at least one call was answered from the response cache.
    #[serde(default)]
    pub cached_samples: u64,
    /// Model calls that were answered from the response cache.
    #[serde(default)]
    pub cached_calls: u64,
}

/// A page of a list, newest first, and where the next one starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// None: this was the last page.
    pub next: Option<C>,
}

/// Which benchmarks a list holds; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BenchmarkFilter {
    pub status: Option<Status>,
    /// Those whose task is this component: SHA-256 in hexadecimal.
    pub task_digest: Option<String>,
}

/// A place in a benchmark's samples: `(index, repeat)`.
pub type SampleCursor = (u64, u32);

/// Whether a worker may go on with what it claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// Held, and somebody asked for the benchmark's end.
    CancelRequested,
    /// Held, but the task may not be used any more: the benchmark goes back into the queue until it may.
    TaskUnusable,
    /// Another worker has it, or it has ended.
    Lost,
}

/// Storage and queue of benchmarks. One method is one transaction.
#[async_trait]
pub trait BenchmarkRepository: Send + Sync {
    /// Adds a queued benchmark; with a worker, one that is running and leased to it until `until`.
    async fn insert(
        &self,
        benchmark: &Benchmark,
        draws: Option<&FewShotDraws>,
        lease: Option<(WorkerId, Timestamp)>,
    ) -> Result<()>;

    /// The few-shot rows that were drawn for a benchmark; none where it draws none.
    async fn few_shot_draws(&self, id: BenchmarkId) -> Result<Option<FewShotDraws>>;

    /// Leases the oldest benchmark that waits, or whose lease ran out before `now`, until `until`. Those whose task may
    /// not be used are passed over, unless they are to be cancelled.
    /// Its status becomes running; `started_at` is set the first time.
    async fn claim(&self, worker: WorkerId, now: Timestamp, until: Timestamp) -> Result<Option<Benchmark>>;

    /// Prolongs a lease.
    async fn renew(&self, id: BenchmarkId, worker: WorkerId, until: Timestamp) -> Result<Lease>;

    /// Puts a benchmark back into the queue, with what is done of it kept.
    async fn release(&self, id: BenchmarkId, worker: WorkerId) -> Result<()>;

    /// Stores finished samples and adds their counts and tokens, and `active_ms`, to the progress.
    /// A sample that is stored already changes nothing, so that a shard that runs twice counts once.
    ///
    /// # Errors
    /// `lease-lost` when the worker no longer holds the benchmark; nothing is stored then.
    async fn record_samples(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        samples: &[SampleRecord],
        active_ms: u64,
    ) -> Result<Progress>;

    /// Rows that are finished, as runs of row numbers in ascending order.
    async fn finished_rows(&self, id: BenchmarkId) -> Result<Vec<RangeInclusive<u64>>>;

    /// Stores readings taken while the benchmark ran.
    async fn record_hardware(&self, id: BenchmarkId, readings: &[HardwareReading]) -> Result<()>;

    /// Ends a benchmark that the worker holds.
    async fn finish(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        status: Status,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<()>;

    /// Ends a queued benchmark as cancelled, or asks the worker of a running one to stop.
    ///
    /// # Errors
    /// `benchmark-not-found`; `benchmark-ended` when there is nothing left to cancel.
    async fn request_cancel(&self, id: BenchmarkId, at: Timestamp) -> Result<Benchmark>;

    async fn find(&self, id: BenchmarkId) -> Result<Option<Benchmark>>;

    /// Newest first, those that fit the filter and are before `after`, at most `limit`.
    async fn list(
        &self,
        filter: &BenchmarkFilter,
        after: Option<BenchmarkId>,
        limit: u32,
    ) -> Result<Page<Benchmark, BenchmarkId>>;

    /// Samples in dataset order, those behind `after`, at most `limit`.
    async fn samples(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>>;

    /// Completed samples in dataset order, those behind `after`, at most `limit`; without their calls.
    async fn completed(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>>;

    /// One finished sample.
    async fn sample(&self, id: BenchmarkId, place: SampleCursor) -> Result<Option<SampleRecord>>;

    /// The gold answers of the samples that have a solution, in dataset order.
    fn targets(&self, id: BenchmarkId) -> BoxStream<'_, Result<(SampleCursor, Row)>>;

    /// How the samples agree with those of the benchmark's source, as far as they were held against them.
    async fn agreement(&self, id: BenchmarkId) -> Result<Agreement>;

    /// Every measurement of the completed samples behind `after`, in dataset order, each with its sample's place,
    /// without loading them all at once.
    fn measurements(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
    ) -> BoxStream<'_, Result<(SampleCursor, Measurement)>>;

    /// The benchmarks with that task, by its digest, that have not ended; oldest first.
    async fn unfinished(&self, task_digest: &str) -> Result<Vec<BenchmarkId>>;

    /// How many samples failed of each kind.
    async fn failures(&self, id: BenchmarkId) -> Result<FailureCounts>;

    /// Readings in the order they were taken, those behind `after`, at most `limit`.
    async fn hardware(
        &self,
        id: BenchmarkId,
        after: Option<Timestamp>,
        limit: u32,
    ) -> Result<Page<HardwareReading, Timestamp>>;
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

impl From<&Error> for ErrorNote {
    fn from(error: &Error) -> Self {
        Self { code: error.code.to_string(), message: error.message.clone() }
    }
}
