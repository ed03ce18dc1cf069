use std::collections::BTreeMap;

use jiff::Timestamp;
use llm_bench_core::Json;
use llm_bench_core::benchmark::{Benchmark, Metric, Speed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hardware::HardwareSummaryView;
use super::{FailureView, SourceView};

/// One evaluation of a model on a dataset by a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BenchmarkView {
    pub id: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    pub model: String,
    /// SHA-256 of the model's files.
    pub model_digest: String,
    /// `name@version` of the task.
    pub task: String,
    /// SHA-256 of the task's component.
    pub task_digest: String,
    /// The digest of the task's data files; null where it reads none.
    pub task_data_digest: Option<String>,
    /// Whether the task may be used now: `enabled`, `disabled`, `blocked` or `removed`.
    pub task_status: String,
    /// Why it is disabled or blocked.
    pub task_status_reason: Option<String>,
    /// Why a benchmark that has not ended is held in the queue; null where it is not.
    pub held: Option<String>,
    pub dataset: String,
    pub split: String,
    /// SHA-256 of the split's file.
    pub split_digest: String,
    /// Further models by part.
    pub parts: BTreeMap<String, String>,
    #[schema(value_type = Object)]
    pub config: Json,
    pub few_shot: u32,
    /// Where the few-shot examples come from.
    pub few_shot_split: Option<String>,
    /// `first` or `random`.
    pub few_shot_sampling: Option<String>,
    /// Columns that the task knows by another name: that name, and the dataset's column.
    pub columns: BTreeMap<String, String>,
    /// The preset whose task this is.
    pub preset: Option<String>,
    pub seed: u64,
    pub concurrency: u32,
    /// Whether answers that were recorded before could stand for the model's.
    pub response_cache: bool,
    /// Where the answers come from, of a benchmark that judges what another one recorded. It has no rates, and its
    /// tokens are those of models that its scorer asked.
    pub source: Option<SourceView>,
    pub samples: SamplesView,
    /// What is kept of the samples: bytes of calls, solutions, gold answers, measurements and logs; a text that was kept
    /// already counts nothing.
    pub recorded_bytes: u64,
    /// Empty until the benchmark has ended.
    pub metrics: Vec<MetricView>,
    pub speed: Option<SpeedView>,
    pub hardware: Option<HardwareSummaryView>,
    /// Why the metrics of the whole corpus have no value, where the plugin's aggregator failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_failure: Option<FailureView>,
    /// Failed samples by kind.
    pub failures: BTreeMap<String, u64>,
    /// Why the benchmark failed.
    pub error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// How far a benchmark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SamplesView {
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
}

/// An aggregate over the completed samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricView {
    pub name: String,
    /// How the answer was read before it was judged; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Null where it is undefined.
    pub value: Option<f64>,
    /// Standard error; null where the estimator has none.
    pub stderr: Option<f64>,
    /// Bootstrap replicates behind the standard error: 100,000, or fewer for a large dataset. Absent where a formula
    /// gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_replicates: Option<u32>,
    /// 95 % interval, low then high.
    pub ci95: Option<[f64; 2]>,
    /// Samples that have a value; of a metric of the whole corpus, the samples that it is of.
    pub count: u64,
    pub higher_is_better: bool,
    /// Of a metric of the whole corpus: why it has no value, or what its plugin says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How fast it went, over the seconds spent executing. Token counts are of the model's own answers. The rates are null
/// where the response cache gave any answer: samples run beside one another, and its share of the seconds is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpeedView {
    pub active_s: f64,
    /// Finished samples over `active_s`.
    pub samples_per_s: Option<f64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub prompt_tokens_per_s: Option<f64>,
    pub completion_tokens_per_s: Option<f64>,
    /// Samples of which at least one call was answered from the response cache.
    pub cached_samples: u64,
    /// Model calls that were answered from the response cache, or, of a benchmark with a source, from its record.
    pub cached_calls: u64,
}

impl From<Benchmark> for BenchmarkView {
    fn from(benchmark: Benchmark) -> Self {
        let Benchmark { id, plan, status, progress, created_at, started_at, finished_at, outcome, .. } =
            benchmark;
        let outcome = outcome.as_ref();
        let standing = benchmark.task_standing;
        let held = standing.ensure_usable(plan.task.label()).err().filter(|_| !status.has_ended());
        Self {
            id: id.to_string(),
            status: status.as_str().to_owned(),
            model: plan.model.name,
            model_digest: plan.model.facts.digest,
            task: plan.task.label(),
            task_digest: plan.task.digest,
            task_data_digest: plan.task.data_files,
            task_status: standing.as_str().to_owned(),
            task_status_reason: standing.reason().map(str::to_owned),
            held: held.map(|error| error.message),
            dataset: plan.dataset,
            split: plan.split.name,
            split_digest: plan.split.digest,
            parts: plan.parts.into_iter().map(|(part, model)| (part, model.name)).collect(),
            config: plan.config,
            few_shot: plan.few_shot.as_ref().map_or(0, |few_shot| few_shot.count),
            few_shot_sampling: plan.few_shot.as_ref().map(|few_shot| few_shot.sampling.as_str().to_owned()),
            few_shot_split: plan.few_shot.map(|few_shot| few_shot.split.name),
            columns: plan.columns,
            preset: plan.preset,
            seed: plan.seed,
            concurrency: plan.concurrency,
            response_cache: plan.response_cache,
            source: plan.source.map(|source| {
                SourceView::new(source, outcome.and_then(|outcome| outcome.agreement.as_ref()))
            }),
            recorded_bytes: progress.recorded_bytes,
            samples: SamplesView {
                total: progress.total,
                completed: progress.completed,
                failed: progress.failed,
            },
            metrics: outcome
                .map(|outcome| outcome.metrics.iter().cloned().map(MetricView::from).collect())
                .unwrap_or_default(),
            speed: outcome.map(|outcome| SpeedView::from(outcome.speed)),
            hardware: outcome.and_then(|outcome| outcome.hardware.clone()).map(HardwareSummaryView::from),
            aggregation_failure: outcome
                .and_then(|outcome| outcome.aggregation_failure.clone())
                .map(FailureView::from),
            failures: outcome
                .map(|outcome| {
                    outcome.failures.iter().map(|(kind, n)| (kind.as_str().to_owned(), *n)).collect()
                })
                .unwrap_or_default(),
            error: outcome.and_then(|outcome| outcome.error.as_ref()).map(|error| error.message.clone()),
            created_at,
            started_at,
            finished_at,
        }
    }
}

impl From<Metric> for MetricView {
    fn from(metric: Metric) -> Self {
        let Metric {
            name,
            filter,
            value,
            stderr,
            bootstrap_replicates,
            ci95,
            count,
            higher_is_better,
            reason,
        } = metric;
        Self { name, filter, value, stderr, bootstrap_replicates, ci95, count, higher_is_better, reason }
    }
}

impl From<Speed> for SpeedView {
    fn from(speed: Speed) -> Self {
        let Speed {
            active_s,
            samples_per_s,
            prompt_tokens,
            completion_tokens,
            prompt_tokens_per_s,
            completion_tokens_per_s,
            cached_samples,
            cached_calls,
        } = speed;
        Self {
            active_s,
            samples_per_s,
            prompt_tokens,
            completion_tokens,
            prompt_tokens_per_s,
            completion_tokens_per_s,
            cached_samples,
            cached_calls,
        }
    }
}
