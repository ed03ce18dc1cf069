//! Metrics of the whole corpus: the completed samples, with their rows, on their way to the plugin's aggregator.

mod outcome;
mod resample;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::lease::{Interruption, Interruptions};
use super::sample::derive_seed;
use crate::benchmark::Benchmark;
use crate::dataset::{NumberedRow, RowResult, rename};
use crate::limits::Limits;
use crate::model::{ModelRequest, ModelResponse};
use crate::plugin::gold::split_row;
use crate::plugin::{
    GuestCall, GuestOutcome, LoadedPlugin, MetricDeclaration, ModelAccess, ScoredSample, ScoredSamples,
};
use crate::sample::{Context, FailureKind, Measurement, Sample, SampleRecord};
use crate::{Error, Json, Result};
pub(super) use outcome::OfCorpus;
use outcome::check;
use resample::Kept;

/// Samples that are read from the store at once.
const SAMPLES_AT_ONCE: u32 = 64;
/// Samples on their way to the aggregator.
const IN_FLIGHT: usize = 16;
/// Tells the seed of the aggregator from others that come of the benchmark's.
const AGGREGATION: u64 = 0x61_67_67_72;
/// Where the metrics of a corpus stand.
pub(super) enum Aggregated {
    /// There are none where the plugin declares none.
    Done(Option<OfCorpus>),
    /// They were interrupted, and are for whoever claims the benchmark next.
    PutOff,
}

/// Why the samples of a corpus cannot be given to the aggregator.
enum Trouble {
    /// Nothing can be read from the store now.
    Store(Error),
    /// The rows are not those that were evaluated.
    Rows(Error),
}

impl Orchestrator {
    /// Has the plugin compute the metrics of the whole corpus from the completed samples; none where it declares none.
    ///
    /// # Errors
    /// Of the store alone: what else goes wrong is the failure of these metrics.
    pub(super) async fn aggregate_corpus(
        &self,
        benchmark: &Benchmark,
        interruptions: &mut Interruptions<'_>,
    ) -> Result<Aggregated> {
        let plan = &benchmark.plan;
        if !plan.metrics.iter().any(MetricDeclaration::is_of_corpus) {
            return Ok(Aggregated::Done(None));
        }
        let failed = |kind, message| Ok(Aggregated::Done(Some(OfCorpus::failed(kind, message))));
        // Nothing runs any more of a plugin that was disabled or blocked.
        if let Err(error) = benchmark.task_standing.ensure_usable(plan.task.label()) {
            let is_cancelled = interruptions.is_cancelled;
            return if is_cancelled {
                failed(FailureKind::Internal, error.message)
            } else {
                Ok(Aggregated::PutOff)
            };
        }
        let plugin = match self.load(&plan.task).await {
            Ok(plugin) => plugin,
            Err(error) => return failed(FailureKind::Internal, error.message),
        };
        let cancel = CancellationToken::new();
        // However this ends, the guest does with it.
        let _ended = cancel.clone().drop_guard();
        let (feeder, samples) = Feeder::new();
        let limits = (plan.seed, plan.limits);
        let aggregating = async { Ok(aggregate(&*plugin, &plan.config, limits, &cancel, samples).await) };
        let ended = tokio::select! {
            biased;
            ended = try_join(self.feed(benchmark, feeder), aggregating) => ended,
            interruption = interruptions.wait() => {
                let message = "the benchmark was cancelled while its plugin computed them";
                return match interruption {
                    Interruption::PutOff => Ok(Aggregated::PutOff),
                    Interruption::Cancelled => failed(FailureKind::Internal, message.to_owned()),
                };
            }
        };
        let (feeder, outcome) = match ended {
            Ok(ended) => ended,
            Err(Trouble::Rows(error)) => return failed(FailureKind::UnreadableRow, error.message),
            Err(Trouble::Store(error)) => return Err(error),
        };
        let mut corpus = OfCorpus::new(feeder.count, outcome, &plan.metrics);
        // Whoever cancels it does not wait for them.
        if corpus.result.is_ok() && !interruptions.is_cancelled {
            let metrics = &plan.metrics;
            let errors = feeder.kept.standard_errors(&*plugin, &plan.config, limits, &cancel, metrics);
            tokio::select! {
                biased;
                errors = errors => corpus.standard_errors = errors,
                interruption = interruptions.wait() => {
                    if interruption == Interruption::PutOff {
                        return Ok(Aggregated::PutOff);
                    }
                }
            }
        }
        Ok(Aggregated::Done(Some(corpus)))
    }

    /// Gives the completed samples to an aggregator, as many as it takes, in the order of the dataset.
    async fn feed(&self, benchmark: &Benchmark, mut feeder: Feeder) -> Result<Feeder, Trouble> {
        let plan = &benchmark.plan;
        let gold: BTreeSet<String> = plan.gold.iter().cloned().collect();
        let mut rows = self.ports.datasets.rows(&plan.split, 0);
        let mut row: Option<NumberedRow> = None;
        let mut after = None;
        loop {
            let page = self.ports.benchmarks.completed(benchmark.id, after, SAMPLES_AT_ONCE).await;
            let page = page.map_err(Trouble::Store)?;
            for record in page.items {
                // Several repeats are of one row.
                if row.as_ref().is_none_or(|row| row.index != record.index) {
                    row =
                        Some(row_of(&mut rows, record.index, &plan.split.name).await.map_err(Trouble::Rows)?);
                }
                let Some(scored) = row.clone().and_then(|row| scored(row, record, &plan.columns, &gold))
                else {
                    continue;
                };
                feeder.kept.add(&scored);
                if !feeder.feed(scored).await {
                    return Ok(feeder.ended());
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(feeder.ended());
            }
        }
    }
}

/// Reads on to a row that was evaluated.
pub(super) async fn row_of(
    rows: &mut BoxStream<'static, RowResult>,
    index: u64,
    split: &str,
) -> Result<NumberedRow> {
    while let Some(row) = rows.next().await {
        match row? {
            Ok(row) if row.index == index => return Ok(row),
            Err(unreadable) if unreadable.index == index => return Err(unreadable.error),
            _ => {}
        }
    }
    let message = format!("split `{split}` no longer has row {index}, which was evaluated");
    Err(Error::conflict("dataset-changed", message))
}

/// None for a sample without a solution, which no completed one is.
pub(super) fn scored(
    row: NumberedRow,
    record: SampleRecord,
    columns: &BTreeMap<String, String>,
    gold: &BTreeSet<String>,
) -> Option<ScoredSample> {
    let (input, target) = split_row(rename(row.row, columns), gold);
    let SampleRecord { index, repeat, measurements, .. } = record;
    let sample = Sample { index, input, repeat };
    Some(ScoredSample {
        sample,
        solution: record.solution?,
        target: record.target.unwrap_or(target),
        measurements,
    })
}

/// Counts the samples that an aggregator takes.
pub(super) struct Feeder {
    /// None once it takes no more.
    sender: Option<mpsc::Sender<ScoredSample>>,
    pub(super) count: u64,
    kept: Kept,
}

impl Feeder {
    pub(super) fn new() -> (Self, ScoredSamples) {
        let (sender, samples) = mpsc::channel(IN_FLIGHT);
        (Self { sender: Some(sender), count: 0, kept: Kept::default() }, samples)
    }

    /// Nothing more comes, which the aggregator waits to hear.
    fn ended(self) -> Self {
        Self { sender: None, ..self }
    }

    /// Gives one more sample; says whether it is taken.
    pub(super) async fn feed(&mut self, sample: ScoredSample) -> bool {
        let Some(sender) = &self.sender else { return false };
        let is_taken = sender.send(sample).await.is_ok();
        if is_taken {
            self.count += 1;
        } else {
            self.sender = None;
        }
        is_taken
    }
}

/// One aggregation, over the samples that come. Seed and limits are the benchmark's.
pub(super) async fn aggregate(
    plugin: &dyn LoadedPlugin,
    config: &Json,
    (seed, limits): (u64, Limits),
    cancel: &CancellationToken,
    samples: ScoredSamples,
) -> GuestOutcome<Vec<Measurement>> {
    let call = GuestCall {
        context: Arc::new(Context { config: config.clone(), examples: Vec::new(), seed }),
        limits,
        seed: derive_seed(seed, &[AGGREGATION]),
        models: Arc::new(NoModels),
        cancel: cancel.child_token(),
    };
    plugin.aggregate(call, samples).await
}

/// An aggregator asks no model.
struct NoModels;

#[async_trait::async_trait]
impl ModelAccess for NoModels {
    fn open(&self, part: &str) -> Result<()> {
        Err(Error::denied("denied", format!("no model plays `{part}` for an aggregator")))
    }

    async fn call(&self, part: &str, _: ModelRequest, _: CancellationToken) -> Result<ModelResponse> {
        self.open(part)?;
        Err(Error::denied("denied", "an aggregator asks no model"))
    }
}
