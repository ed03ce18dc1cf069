//! Scores the stored solutions of a benchmark again, to tell whether its score can be trusted.

mod corpus;

use std::collections::{BTreeMap, HashMap};

use futures::future::{OptionFuture, try_join};
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::corpus::OfCorpus;
use super::recorder::{Part, Parts};
use super::sample::{Case, SampleRunner, derive_seed, recorded_calls};
use crate::benchmark::{Benchmark, Metric, Outcome};
use crate::dataset::NumberedRow;
use crate::id::BenchmarkId;
use crate::plugin::{MetricDeclaration, SUBJECT};
use crate::rescore::{Agreement, Takes, is_same_judgement, judgement};
use crate::sample::{Failure, FailureCounts, FailureKind, Measurement, Sample, SampleRecord, Solution};
use crate::statistics::Aggregator;
use crate::verification::{
    Figure, GoldDependence, Passes, Verdict, Verification, VerifiedMetric, of_corpus, shuffle,
};
use crate::{Error, Json, Result, Row};

/// Bytes of gold answers that are held at once, at most.
const MOST_BYTES: usize = 1 << 30;
/// Tells the seed of the shuffle from others that come of the benchmark's.
const SHUFFLE: u64 = 0x73_68_75_66;

type Judged = Result<Vec<Measurement>, Failure>;

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
        let runner = self.assemble(plan, parts, draws).await?;
        let golds = self.golds(&benchmark).await?;
        // What is under way ends with whoever waits for it.
        let cancel = CancellationToken::new();
        let _ended = cancel.clone().drop_guard();

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
            .map_ok(|row| self.judge_again(&benchmark, &runner, &golds, row, &cancel))
            .try_buffered(plan.concurrency as usize);
        let (mut feeders, aggregating) = corpus::aggregations(plan, &*runner.plugin, &cancel);
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

    async fn judge_again(
        &self,
        benchmark: &Benchmark,
        runner: &SampleRunner,
        golds: &Golds,
        row: NumberedRow,
        cancel: &CancellationToken,
    ) -> Result<JudgedSample> {
        let index = row.index;
        let stored = self.ports.benchmarks.sample(benchmark.id, (index, 0)).await?;
        let stored = stored.and_then(|stored| Some((stored.solution.clone()?, stored)));
        let (solution, stored) = stored.ok_or_else(|| {
            Error::internal("sample-missing", format!("the stored sample of row {index} is gone"))
        })?;
        let case =
            runner.case(row).map_err(|failure| Error::internal("sample-unreadable", failure.message))?;
        let score = async |solution: Solution, target: Row| {
            let answers = recorded_calls(&stored, Takes::Solutions, case.seed);
            runner.score(&case, solution, target, Some(answers), cancel).await.result
        };
        let other = golds.other(index, &case.target);
        let changed = other.is_some();
        let real = score(solution.clone(), case.target.clone()).await;
        let shuffled = match &other {
            Some(target) => Some(score(solution.clone(), target.clone()).await),
            // The same gold answer gives the same score.
            None => golds.are_shuffled().then(|| real.clone()),
        };
        let blank = score(Solution::default(), case.target.clone()).await;
        let is_equal = is_equal(&stored, &real);
        let other = other.unwrap_or_else(|| case.target.clone());
        let Case { sample, target, .. } = case;
        Ok(JudgedSample {
            row: index,
            is_equal,
            changed,
            real,
            shuffled,
            blank,
            sample,
            solution,
            target,
            other,
        })
    }
}

/// The gold answers of the samples that have a solution.
struct Golds {
    /// By row, the place in the lists.
    places: BTreeMap<u64, usize>,
    /// For each place the one whose gold answer it gets.
    taken: Vec<usize>,
    /// For each place its gold answer among the distinct ones.
    of_place: Vec<u32>,
    distinct: Vec<String>,
}

impl Golds {
    fn are_shuffled(&self) -> bool {
        self.distinct.len() > 1
    }

    fn not_shuffled(&self, no_column: bool) -> Option<String> {
        let reason = match self.distinct.len() {
            _ if no_column => "the benchmark has no gold columns: what is measured is in the rows themselves",
            0 => "no sample has a solution",
            1 => "all gold answers are the same",
            _ => return None,
        };
        Some(reason.to_owned())
    }

    /// The gold answer of another sample, where it differs from the own.
    fn other(&self, row: u64, own: &Row) -> Option<Row> {
        let taken = *self.taken.get(*self.places.get(&row)?)?;
        let other = self.distinct.get(usize::try_from(*self.of_place.get(taken)?).ok()?)?;
        serde_json::from_str(other).ok().filter(|other| other != own)
    }
}

fn is_equal(stored: &SampleRecord, again: &Judged) -> bool {
    let again = again.as_ref().map(Vec::as_slice);
    is_same_judgement(judgement(&stored.measurements, stored.failure.as_ref()), again)
}

struct JudgedSample {
    row: u64,
    is_equal: bool,
    /// Whether the other gold answer differs.
    changed: bool,
    real: Judged,
    shuffled: Option<Judged>,
    blank: Judged,
    sample: Sample,
    solution: Solution,
    target: Row,
    /// The other gold answer; the own one where all are the same.
    other: Row,
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
