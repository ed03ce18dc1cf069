//! Metrics of the whole corpus: the completed samples, with their rows, on their way to the plugin's aggregator.

mod resample;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;
use std::sync::Arc;

use futures::future::try_join;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::lease::{Interruption, Interruptions};
use super::sample::derive_seed;
use crate::benchmark::{Benchmark, Metric};
use crate::dataset::{NumberedRow, RowResult, rename};
use crate::limits::Limits;
use crate::model::{ModelRequest, ModelResponse};
use crate::plugin::gold::split_row;
use crate::plugin::{
    GuestCall, GuestOutcome, LoadedPlugin, MetricDeclaration, ModelAccess, ScoredSample, ScoredSamples,
};
use crate::sample::{Context, Failure, FailureKind, Measurement, Phase, Sample, SampleRecord};
use crate::statistics::{Bootstrap, interval};
use crate::{Error, Json, Result};
use resample::Kept;

/// Samples that are read from the store at once.
const SAMPLES_AT_ONCE: u32 = 64;
/// Samples on their way to the aggregator.
const IN_FLIGHT: usize = 16;
/// Tells the seed of the aggregator from others that come of the benchmark's.
const AGGREGATION: u64 = 0x61_67_67_72;
/// What is kept of a plugin's reason, in characters.
const REASON_CHARS: usize = 1000;

/// What an aggregator made of a corpus.
#[derive(Debug, Clone)]
pub(super) struct OfCorpus {
    /// Samples that it was given.
    pub(super) count: u64,
    pub(super) result: Result<Vec<Measurement>, Failure>,
    /// In the order of the plugin's declarations; empty where none was looked for.
    standard_errors: Vec<Option<Bootstrap>>,
}

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
        let loaded = self.ports.sandbox.load(&plan.task.digest, plan.task.data_files.as_deref()).await;
        let plugin = match loaded {
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

impl OfCorpus {
    /// What came of an aggregation, held against what the plugin declares.
    pub(super) fn new(
        count: u64,
        outcome: GuestOutcome<Vec<Measurement>>,
        declared: &[MetricDeclaration],
    ) -> Self {
        let result = outcome.result.and_then(|measured| check(measured, declared));
        Self { count, result, standard_errors: Vec::new() }
    }

    fn failed(kind: FailureKind, message: String) -> Self {
        Self { count: 0, result: Err(failure(kind, message)), standard_errors: Vec::new() }
    }

    /// Gives the metrics of the corpus, which are among `metrics` in the order of `declared`, their values.
    pub(super) fn complete(&self, declared: &[MetricDeclaration], metrics: &mut [Metric]) {
        let errors = self.standard_errors.iter().copied().chain(repeat(None));
        for ((declared, metric), error) in declared.iter().zip(metrics).zip(errors) {
            if !declared.is_of_corpus() {
                continue;
            }
            let found = match &self.result {
                Ok(measured) => measured.iter().find(|measurement| declared.is_of(measurement)),
                Err(failure) => {
                    let kind = failure.kind.as_str();
                    metric.reason = Some(shortened(&format!(
                        "the plugin's aggregator failed ({kind}): {}",
                        failure.message
                    )));
                    continue;
                }
            };
            if self.count == 0 {
                metric.reason = Some("no sample is completed".to_owned());
                continue;
            }
            metric.value = found.and_then(|found| found.value);
            metric.reason = found.and_then(|found| found.reason.as_deref()).map(shortened);
            metric.count = self.count;
            if let (Some(value), Some(Bootstrap { stderr, replicates })) = (metric.value, error) {
                metric.stderr = Some(stderr);
                metric.ci95 = Some(interval(value, stderr));
                metric.bootstrap_replicates = Some(replicates);
            }
        }
    }

    /// Why there are no metrics of the corpus.
    pub(super) fn failure(self) -> Option<Failure> {
        self.result.err()
    }
}

/// Each metric of the corpus once, and nothing else.
fn check(measured: Vec<Measurement>, declared: &[MetricDeclaration]) -> Result<Vec<Measurement>, Failure> {
    let of_corpus = || declared.iter().filter(|metric| metric.is_of_corpus());
    let stray = measured.iter().find(|measurement| !of_corpus().any(|metric| metric.is_of(measurement)));
    let lacking = of_corpus().find(|metric| !measured.iter().any(|measurement| metric.is_of(measurement)));
    let refused = |message| Err(failure(FailureKind::InvalidOutput, message));
    match (stray, lacking) {
        (Some(stray), _) => refused(format!(
            "the aggregator measured `{}`, which it did not declare as a metric of the whole corpus",
            stray.metric
        )),
        (None, Some(lacking)) => refused(format!(
            "the aggregator gave nothing for `{}`, not even a reason why it has no value",
            lacking.name
        )),
        (None, None) => Ok(measured),
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, phase: Phase::Aggregate, message, backtrace: None, log: None }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Aggregation;
    use crate::statistics::Aggregator;

    fn declared(name: &str, aggregation: Aggregation) -> MetricDeclaration {
        MetricDeclaration {
            name: name.into(),
            filter: None,
            description: String::new(),
            aggregation,
            higher_is_better: true,
        }
    }

    fn measured(metric: &str, value: Option<f64>, reason: Option<&str>) -> Measurement {
        let reason = reason.map(str::to_owned);
        Measurement { metric: metric.into(), filter: None, value, weight: 1.0, reason }
    }

    /// The metrics after an aggregation over three samples.
    fn metrics(count: u64, result: Result<Vec<Measurement>, Failure>) -> (Vec<Metric>, Option<Failure>) {
        let declarations = [declared("acc", Aggregation::Mean), declared("bleu", Aggregation::Corpus)];
        let mut aggregator = Aggregator::new(declarations.to_vec());
        aggregator.add(&measured("acc", Some(0.5), None));
        let mut metrics = aggregator.finish();
        let outcome = GuestOutcome { result, usage: crate::sample::GuestUsage::default(), log: None };
        let corpus = OfCorpus::new(count, outcome, &declarations);
        corpus.complete(&declarations, &mut metrics);
        (metrics, corpus.failure())
    }

    #[test]
    fn a_metric_of_the_corpus_stands_beside_the_others_with_the_samples_it_is_of() {
        let (metrics, failure) = metrics(3, Ok(vec![measured("bleu", Some(31.5), None)]));
        let figures: Vec<_> =
            metrics.iter().map(|metric| (&*metric.name, metric.value, metric.count)).collect();
        assert_eq!(figures, [("acc", Some(0.5), 1), ("bleu", Some(31.5), 3)]);
        assert_eq!((metrics[1].stderr, failure), (None, None));
    }

    #[test]
    fn a_value_may_be_absent_for_a_reason_and_is_without_samples() {
        let (metrics_of_some, _) = metrics(3, Ok(vec![measured("bleu", None, Some(&"x".repeat(2000)))]));
        assert_eq!(metrics_of_some[1].value, None);
        assert_eq!(metrics_of_some[1].reason.as_ref().unwrap().chars().count(), REASON_CHARS + 1);
        let (metrics_of_none, failure) = metrics(0, Ok(vec![measured("bleu", Some(0.0), None)]));
        assert_eq!(metrics_of_none[1].value, None);
        assert_eq!(metrics_of_none[1].reason.as_deref(), Some("no sample is completed"));
        assert_eq!(failure, None);
    }

    #[test]
    fn an_aggregator_gives_its_metrics_each_and_none_of_the_scorer_s() {
        let (metrics_of_none, failure) = metrics(3, Ok(vec![]));
        let failure = failure.unwrap();
        assert_eq!((failure.kind, failure.phase), (FailureKind::InvalidOutput, Phase::Aggregate));
        assert_eq!(
            metrics_of_none[1].reason.as_deref(),
            Some(
                "the plugin's aggregator failed (invalid-output): the aggregator gave nothing for `bleu`, not even a \
                 reason why it has no value"
            )
        );
        assert_eq!(metrics_of_none[0].value, Some(0.5), "the others stand");
        let both = vec![measured("bleu", Some(1.0), None), measured("acc", Some(1.0), None)];
        let (_, failure) = metrics(3, Ok(both));
        assert!(failure.unwrap().message.contains("measured `acc`, which it did not declare"));
    }
}
