//! Scores the stored solutions of a benchmark again, to tell whether its score can be trusted.

mod corpus;
mod judge;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::{OptionFuture, try_join};
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::corpus::OfCorpus;
use super::own_task::in_own_task;
use super::recorder::{Part, Parts};
use super::sample::derive_seed;
use crate::benchmark::{Benchmark, Metric, Outcome};
use crate::id::BenchmarkId;
use crate::plugin::{MetricDeclaration, SUBJECT};
use crate::rescore::Agreement;
use crate::sample::{FailureCounts, FailureKind, Measurement};
use crate::statistics::Aggregator;
use crate::verification::{
    Figure, GoldDependence, Passes, Verdict, Verification, VerifiedMetric, of_corpus, shuffle,
};
use crate::{Error, Json, Result};
use judge::{Golds, Judge, Judged, JudgedSample};

/// Bytes of gold answers that are held at once, at most.
const MOST_BYTES: usize = 1 << 30;
/// Tells the seed of the shuffle from others that come of the benchmark's.
const SHUFFLE: u64 = 0x73_68_75_66;

impl Orchestrator {
    /// Scores the stored solutions of a benchmark with their own gold answers, with each other's, and blank ones, and
    /// stores what came of it. No model is asked: a scorer that talks to one is answered from the record.
    ///
    /// # Errors
    /// `benchmark-not-found`, `benchmark-not-finished`, `nothing-recorded`; `dataset-changed`, or the error of the
    /// reader, where the rows are no longer there.
    pub async fn verify(&self, id: BenchmarkId) -> Result<Verification> {
        let benchmark = self.recorded(id).await?;
        let plan = &benchmark.plan;
        benchmark.task_standing.ensure_usable(plan.task.label())?;
        self.check_unchanged(&plan.split).await?;
        let draws = self.ports.benchmarks.few_shot_draws(id).await?;
        let names = plan.parts.keys().map(String::as_str).chain([SUBJECT]);
        let parts: Parts = names.map(|name| (name.to_owned(), Part::Record)).collect();
        // What is under way ends with whoever waits for it.
        let cancel = CancellationToken::new();
        let _ended = cancel.clone().drop_guard();
        let judge = Arc::new(Judge {
            samples: self.ports.benchmarks.clone(),
            benchmark: id,
            runner: self.assemble(plan, parts, draws).await?,
            golds: self.golds(&benchmark).await?,
            cancel: cancel.clone(),
        });
        let golds = &judge.golds;

        let mut report = Report::new(&plan.metrics);
        let last = golds.places.keys().next_back().copied();
        let mut judged = self
            .ports
            .datasets
            .rows(&plan.split, 0)
            .try_filter_map(|row| {
                let solved = row.ok().filter(|row| golds.places.contains_key(&row.index));
                std::future::ready(Ok(solved))
            })
            .take(golds.places.len())
            .map_ok(|row| {
                let judge = judge.clone();
                in_own_task(async move { judge.judge_again(row).await })
            })
            .try_buffered(plan.concurrency as usize);
        let (mut feeders, aggregating) = corpus::aggregations(plan, &*judge.runner.plugin, &cancel);
        let judging = async {
            let mut reached = None;
            while let Some(sample) = judged.try_next().await? {
                reached = Some(sample.row);
                if let Some(feeders) = &mut feeders {
                    corpus::feed(feeders, &sample).await;
                }
                report.add(sample, &plan.metrics);
            }
            // The last sample has come.
            Ok::<_, Error>((reached, feeders.take().map(|feeders| feeders.map(|feeder| feeder.count))))
        };
        let ((reached, counts), outcomes) =
            try_join(judging, async { Ok(OptionFuture::from(aggregating).await) }).await?;
        let corpora = counts.zip(outcomes).map(|(counts, outcomes)| {
            counts.zip(outcomes).map(|(count, outcome)| OfCorpus::new(count, outcome, &plan.metrics))
        });
        if reached != last {
            let message = format!("split `{}` has fewer rows than when they were solved", plan.split.name);
            return Err(Error::conflict("dataset-changed", message));
        }
        let metrics = plan.metrics.clone();
        let stored = benchmark.outcome.clone();
        let not_shuffled = golds.not_shuffled(plan.gold.is_empty());
        let unsolved = benchmark.progress.finished() - golds.places.len() as u64;
        let now = self.ports.clock.now();
        // Bootstrap replicates take seconds of computing, which a worker thread of the runtime must not.
        let verification = tokio::task::spawn_blocking(move || {
            let stored = stored.as_ref();
            report.finish(id, now, &metrics, (unsolved, not_shuffled), corpora.as_ref(), stored)
        })
        .await
        .map_err(|error| {
            Error::internal("aggregation-failed", "cannot aggregate the metrics").because(error)
        })?;
        self.ports.verifications.save(&verification).await?;
        Ok(verification)
    }

    /// The last verification of a benchmark.
    ///
    /// # Errors
    /// `benchmark-not-found`, `not-verified`.
    pub async fn verification(&self, id: BenchmarkId) -> Result<Verification> {
        self.find(id).await?;
        self.ports.verifications.find(id).await?.ok_or_else(|| {
            Error::not_found("not-verified", format!("benchmark {id} was not verified yet: POST does that"))
        })
    }

    async fn golds(&self, benchmark: &Benchmark) -> Result<Golds> {
        let mut places = BTreeMap::new();
        let (mut known, mut distinct, mut of_place, mut bytes) = (HashMap::new(), Vec::new(), Vec::new(), 0);
        let mut targets = self.ports.benchmarks.targets(benchmark.id);
        while let Some(((index, _), target)) = targets.try_next().await? {
            let text = Json::Object(target).to_string();
            if !known.contains_key(&text) {
                bytes += text.len();
                if bytes > MOST_BYTES {
                    let most = MOST_BYTES >> 20;
                    let message =
                        format!("the gold answers take more than {most} MiB, which is what can be shuffled");
                    return Err(Error::too_large("gold-too-large", message));
                }
                known.insert(text.clone(), u32::try_from(distinct.len()).unwrap_or(u32::MAX));
                distinct.push(text.clone());
            }
            let gold = known[&text];
            places.insert(index, of_place.len());
            of_place.push(gold);
        }
        let taken = shuffle(&of_place, derive_seed(benchmark.plan.seed, &[SHUFFLE]));
        Ok(Golds { places, taken, of_place, distinct })
    }
}

/// What is gathered of the samples, in the order of the dataset.
struct Report {
    agreement: Agreement,
    shuffled: u64,
    aggregators: Passes<Aggregator>,
    failures: Passes<FailureCounts>,
    dependences: Vec<GoldDependence>,
}

impl Report {
    fn new(metrics: &[MetricDeclaration]) -> Self {
        let aggregator = || Aggregator::new(metrics.to_vec());
        Self {
            agreement: Agreement::default(),
            shuffled: 0,
            aggregators: Passes { real: aggregator(), shuffled: aggregator(), blank: aggregator() },
            failures: Passes::default(),
            dependences: metrics.iter().map(|metric| GoldDependence::new(metric.higher_is_better)).collect(),
        }
    }

    fn add(&mut self, sample: JudgedSample, metrics: &[MetricDeclaration]) {
        let JudgedSample { row, is_equal, changed, real, shuffled, blank, .. } = sample;
        self.agreement.add(row, is_equal);
        self.shuffled += u64::from(changed);
        if let (true, Ok(own), Some(Ok(other))) = (changed, &real, &shuffled) {
            for (metric, dependence) in metrics.iter().zip(&mut self.dependences) {
                if let (Some(own), Some(other)) = (value(own, metric), value(other, metric)) {
                    dependence.add(own, other);
                }
            }
        }
        gather(&mut self.aggregators.real, &mut self.failures.real, real);
        if let Some(shuffled) = shuffled {
            gather(&mut self.aggregators.shuffled, &mut self.failures.shuffled, shuffled);
        }
        gather(&mut self.aggregators.blank, &mut self.failures.blank, blank);
    }

    fn finish(
        self,
        benchmark: BenchmarkId,
        verified_at: jiff::Timestamp,
        declarations: &[MetricDeclaration],
        (unsolved, not_shuffled): (u64, Option<String>),
        corpora: Option<&Passes<OfCorpus>>,
        stored: Option<&Outcome>,
    ) -> Verification {
        let Self { agreement, shuffled, aggregators, failures, dependences } = self;
        let passes = [aggregators.real, aggregators.shuffled, aggregators.blank];
        let [mut real, mut other, mut blank] = passes.map(Aggregator::finish);
        if let Some(corpora) = corpora {
            corpora.real.complete(declarations, &mut real);
            corpora.shuffled.complete(declarations, &mut other);
            corpora.blank.complete(declarations, &mut blank);
        }
        let needs_model = failures.shuffled.contains_key(&FailureKind::NotRecorded);
        let figures = real.iter().zip(&other).zip(&blank);
        let metrics = declarations.iter().zip(figures).zip(dependences);
        let metrics = metrics.map(|((declaration, ((real, other), blank)), dependence)| {
            let (verdict, reason) = match &not_shuffled {
                Some(reason) => (Verdict::NotShuffled, reason.clone()),
                None if declaration.is_of_corpus() => {
                    match real.reason.clone().filter(|_| real.value.is_none()) {
                        Some(reason) => (Verdict::Unclear, reason),
                        None => of_corpus(declaration.higher_is_better, shuffled, real.value, other.value),
                    }
                }
                None => match dependence.verdict() {
                    (Verdict::Unclear, _) if needs_model => (Verdict::NeedsModel, NEEDS_MODEL.to_owned()),
                    verdict => verdict,
                },
            };
            let gain = dependence.gain();
            VerifiedMetric {
                name: declaration.name.clone(),
                filter: declaration.filter.clone(),
                higher_is_better: declaration.higher_is_better,
                figures: Passes { real: figure(real), shuffled: figure(other), blank: figure(blank) },
                compared: dependence.count(),
                gain: gain.map(|gain| gain.value).filter(|gain| gain.is_finite()),
                gain_stderr: gain.and_then(|gain| gain.stderr).filter(|error| error.is_finite()),
                kept: dependence.kept(),
                differs: declaration.is_of_corpus() && corpus::differs(stored, real),
                verdict,
                reason,
            }
        });
        let metrics = metrics.collect();
        Verification {
            benchmark,
            verified_at,
            agreement,
            unsolved,
            shuffled,
            not_shuffled,
            metrics,
            failures,
        }
    }
}

const NEEDS_MODEL: &str =
    "with other gold answers the scorer asks a model what is not recorded; no model is asked here";

fn gather(aggregator: &mut Aggregator, failures: &mut FailureCounts, judged: Judged) {
    match judged {
        Ok(measurements) => measurements.iter().for_each(|measurement| aggregator.add(measurement)),
        Err(failure) => *failures.entry(failure.kind).or_default() += 1,
    }
}

fn value(measurements: &[Measurement], metric: &MetricDeclaration) -> Option<f64> {
    let is_wanted =
        |measurement: &&Measurement| measurement.metric == metric.name && measurement.filter == metric.filter;
    measurements.iter().find(is_wanted)?.value.filter(|value| value.is_finite())
}

fn figure(metric: &Metric) -> Figure {
    Figure { value: metric.value, count: metric.count }
}
