//! One sample from its row to its record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::examples::Examples;
use super::recorder::{Parts, Recorder};
use super::replay::RecordedCalls;
use crate::Row;
use crate::answers::Answers;
use crate::benchmark::{BenchmarkRepository, Plan};
use crate::dataset::{NumberedRow, UnreadableRow, rename};
use crate::limits::Limits;
use crate::model::TokenUsage;
use crate::plugin::{GuestCall, LoadedPlugin, MetricDeclaration, gold::split_row};
use crate::rescore::{Source, Takes, is_same};
use crate::sample::{
    Context, Failure, FailureKind, GuestUsage, Measurement, ModelCall, Phase, Sample, SampleRecord, Solution,
};

/// What all samples of a benchmark, or of a rehearsal, share.
pub(super) struct SampleRunner {
    pub(super) seed: u64,
    pub(super) limits: Limits,
    pub(super) columns: BTreeMap<String, String>,
    pub(super) gold: BTreeSet<String>,
    pub(super) metrics: Vec<MetricDeclaration>,
    pub(super) plugin: Arc<dyn LoadedPlugin>,
    pub(super) parts: Arc<Parts>,
    pub(super) examples: Examples,
    pub(super) record: Record,
}

/// What is taken over from before.
pub(super) enum Record {
    Nothing,
    /// Of the samples of another benchmark, and where they are kept.
    Source(Source, Arc<dyn BenchmarkRepository>),
    /// Of what was brought along.
    Answers(Answers, Takes),
}

impl Record {
    async fn sample(&self, index: u64) -> crate::Result<Option<SampleRecord>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Source(source, samples) => samples.sample(source.benchmark, (index, 0)).await,
            Self::Answers(answers, _) => Ok(answers.sample(index).cloned()),
        }
    }

    fn takes(&self) -> Option<Takes> {
        match self {
            Self::Nothing => None,
            Self::Source(source, _) => Some(source.takes),
            Self::Answers(_, takes) => Some(*takes),
        }
    }

    /// What the models said to a sample of which `recorded` is kept.
    fn calls(&self, recorded: Option<&SampleRecord>, seed: u64) -> Option<Arc<RecordedCalls>> {
        match self {
            Self::Nothing => None,
            Self::Source(source, _) => Some(recorded_calls(recorded?, source.takes, seed)),
            Self::Answers(answers, takes) => {
                let own = recorded.into_iter().flat_map(|recorded| wanted_calls(recorded, *takes));
                Some(Arc::new(RecordedCalls::new(own, seed, answers.common().clone())))
            }
        }
    }
}

/// A finished sample, and what is not kept of it.
#[derive(Debug, Clone)]
pub struct Trial {
    pub record: SampleRecord,
    /// The end of what the guests wrote, solving and scoring.
    pub log: Option<String>,
}

/// A row as guests get it.
pub(super) struct Case {
    pub(super) context: Arc<Context>,
    pub(super) sample: Sample,
    pub(super) target: Row,
    pub(super) seed: u64,
}

/// What a scorer made of one solution, and what it asked and used.
pub(super) struct Scored {
    pub(super) result: Result<Vec<Measurement>, Failure>,
    pub(super) calls: Vec<ModelCall>,
    pub(super) usage: GuestUsage,
    pub(super) log: Option<String>,
}

impl SampleRunner {
    pub(super) fn new(
        plan: Plan,
        plugin: Arc<dyn LoadedPlugin>,
        parts: Arc<Parts>,
        examples: Examples,
        samples: Arc<dyn BenchmarkRepository>,
    ) -> Self {
        Self {
            seed: plan.seed,
            limits: plan.limits,
            columns: plan.columns,
            gold: plan.gold.into_iter().collect(),
            metrics: plan.metrics,
            plugin,
            parts,
            examples,
            record: plan.source.map_or(Record::Nothing, |source| Record::Source(source, samples)),
        }
    }

    /// Solves and scores one row. Whatever goes wrong is a failure of this sample; none: it was cancelled.
    ///
    /// # Errors
    /// Of the store, which holds the sample of the benchmark's source.
    pub(super) async fn run(
        &self,
        row: Result<NumberedRow, UnreadableRow>,
        cancel: CancellationToken,
    ) -> crate::Result<Option<Trial>> {
        let started = Instant::now();
        let index = match &row {
            Ok(row) => row.index,
            Err(unreadable) => unreadable.index,
        };
        let recorded = self.record.sample(index).await?;
        let mut trial = Trial { record: SampleRecord::blank(index), log: None };
        let judged = match row {
            Ok(row) => self.judge(row, recorded.as_ref(), &cancel, &mut trial).await,
            Err(unreadable) => Err(Failure {
                kind: FailureKind::UnreadableRow,
                phase: Phase::Read,
                message: unreadable.error.message,
                backtrace: None,
                log: None,
            }),
        };
        let record = &mut trial.record;
        match judged {
            Ok(measurements) => record.measurements = measurements,
            Err(failure) => record.failure = Some(failure),
        }
        if let Record::Source(Source { is_compared: true, .. }, _) = &self.record {
            record.differs = recorded.map(|recorded| !is_same(record, &recorded));
        }
        record.duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        // A cancelled call ends as some failure of the guest; it is not the sample's, which runs again later.
        Ok((!cancel.is_cancelled()).then_some(trial))
    }

    /// Solves and scores a row, or as much of it as is not taken over from what is recorded of it.
    async fn judge(
        &self,
        row: NumberedRow,
        recorded: Option<&SampleRecord>,
        cancel: &CancellationToken,
        trial: &mut Trial,
    ) -> Result<Vec<Measurement>, Failure> {
        let case = self.case(row)?;
        trial.record.target = Some(case.target.clone());
        let answers = self.record.calls(recorded, case.seed);
        let solution = match self.record.takes() {
            Some(Takes::Solutions) => stored_solution(recorded)?,
            Some(Takes::Calls) | None => self.solve(&case, answers.clone(), cancel, trial).await?,
        };
        trial.record.solution = Some(solution.clone());
        let scored = self.score(&case, solution, &case.target, answers, cancel).await;
        trial.add(scored.calls, scored.usage, scored.log);
        scored.result
    }

    pub(super) fn case(&self, row: NumberedRow) -> Result<Case, Failure> {
        let index = row.index;
        let (input, target) = split_row(rename(row.row, &self.columns), &self.gold);
        let context = self.examples.context_for(index, &input, &target).map_err(|error| {
            tracing::error!(row = index, ?error, "a sample has no examples");
            Failure {
                kind: FailureKind::Internal,
                phase: Phase::Read,
                message: error.message,
                backtrace: None,
                log: None,
            }
        })?;
        let sample = Sample { index, input, repeat: 0 };
        let seed = derive_seed(self.seed, &[sample.index, u64::from(sample.repeat)]);
        Ok(Case { context, sample, target, seed })
    }

    async fn solve(
        &self,
        case: &Case,
        answers: Option<Arc<RecordedCalls>>,
        cancel: &CancellationToken,
        trial: &mut Trial,
    ) -> Result<Solution, Failure> {
        let asking = Arc::new(Recorder::new(self.parts.clone(), Phase::Solve, answers, case.seed));
        let call = self.guest_call(case, asking.clone(), cancel);
        let solved = self.plugin.solve(call, &case.sample).await;
        trial.add(asking.take_calls(), solved.usage, solved.log);
        asking.refuse(solved.result)
    }

    /// Holds a solution against a gold answer.
    pub(super) async fn score(
        &self,
        case: &Case,
        solution: Solution,
        target: &Row,
        answers: Option<Arc<RecordedCalls>>,
        cancel: &CancellationToken,
    ) -> Scored {
        let judging = Arc::new(Recorder::new(self.parts.clone(), Phase::Score, answers, case.seed));
        let call = self.guest_call(case, judging.clone(), cancel);
        let scored = self.plugin.score(call, &case.sample, solution, target).await;
        let result = scored.result.and_then(|measurements| self.check_declared(measurements));
        let calls = judging.take_calls();
        Scored { result: judging.refuse(result), calls, usage: scored.usage, log: scored.log }
    }

    fn guest_call(&self, case: &Case, models: Arc<Recorder>, cancel: &CancellationToken) -> GuestCall {
        GuestCall {
            context: case.context.clone(),
            limits: self.limits,
            seed: case.seed,
            models,
            cancel: cancel.child_token(),
        }
    }

    fn check_declared(&self, measurements: Vec<Measurement>) -> Result<Vec<Measurement>, Failure> {
        let of = |measurement: &Measurement| self.metrics.iter().find(|metric| metric.is_of(measurement));
        let is_stray =
            |measurement: &&Measurement| of(measurement).is_none_or(MetricDeclaration::is_of_corpus);
        match measurements.iter().find(is_stray) {
            None => Ok(measurements),
            Some(measurement) => Err(Failure {
                kind: FailureKind::InvalidOutput,
                phase: Phase::Score,
                message: match of(measurement) {
                    None => format!("the scorer measured `{}`, which it did not declare", measurement.metric),
                    Some(metric) => format!(
                        "the scorer measured `{}`, which its aggregator computes over the whole corpus",
                        metric.name
                    ),
                },
                backtrace: None,
                log: None,
            }),
        }
    }
}

/// What the models said to a sample: in all calls, or, where its solution is taken over, to its scorer.
pub(super) fn recorded_calls(sample: &SampleRecord, takes: Takes, seed: u64) -> Arc<RecordedCalls> {
    Arc::new(RecordedCalls::new(wanted_calls(sample, takes), seed, Arc::default()))
}

fn wanted_calls(sample: &SampleRecord, takes: Takes) -> impl Iterator<Item = ModelCall> {
    let is_wanted = move |call: &&ModelCall| takes == Takes::Calls || call.phase == Phase::Score;
    sample.calls.iter().filter(is_wanted).cloned()
}

/// The solution of the source; its failure, where it came to none.
fn stored_solution(source: Option<&SampleRecord>) -> Result<Solution, Failure> {
    let missing = || Failure {
        kind: FailureKind::NotRecorded,
        phase: Phase::Read,
        message: "no solution of this row is recorded".to_owned(),
        backtrace: None,
        log: None,
    };
    let source = source.ok_or_else(missing)?;
    source.solution.clone().ok_or_else(|| source.failure.clone().unwrap_or_else(missing))
}

impl Trial {
    fn add(&mut self, calls: Vec<ModelCall>, usage: GuestUsage, log: Option<String>) {
        self.record.calls.extend(calls);
        let sum = &mut self.record.usage;
        sum.fuel += usage.fuel;
        sum.peak_memory_bytes = sum.peak_memory_bytes.max(usage.peak_memory_bytes);
        sum.host_calls = sum.host_calls.saturating_add(usage.host_calls);
        if let Some(log) = log {
            self.log.get_or_insert_default().push_str(&log);
        }
    }
}

impl SampleRecord {
    pub(crate) fn blank(index: u64) -> Self {
        Self {
            index,
            repeat: 0,
            solution: None,
            target: None,
            measurements: Vec::new(),
            calls: Vec::new(),
            usage: GuestUsage::default(),
            failure: None,
            duration_ms: 0.0,
            differs: None,
        }
    }

    /// About what it holds: the texts of its calls and its answer.
    pub(super) fn bytes(&self) -> u64 {
        let answer = self.solution.as_ref().and_then(|solution| solution.answer.as_ref());
        let calls: u64 = self.calls.iter().map(|call| call.request.bytes()).sum();
        calls + answer.map_or(0, String::len) as u64
    }

    /// Calls that were answered from the response cache.
    pub fn cached_calls(&self) -> u64 {
        self.calls.iter().filter(|call| call.is_cached).count() as u64
    }

    /// Tokens of all its calls that a model answered.
    pub fn tokens(&self) -> TokenUsage {
        self.calls.iter().filter(|call| !call.is_cached).fold(TokenUsage::default(), |sum, call| TokenUsage {
            prompt: sum.prompt + call.tokens.prompt,
            completion: sum.completion + call.tokens.completion,
        })
    }
}

/// A seed for one purpose, from another and the numbers that tell purposes apart.
pub(super) fn derive_seed(seed: u64, path: &[u64]) -> u64 {
    let mut hash = Sha256::new_with_prefix(seed.to_le_bytes());
    for step in path {
        hash.update(step.to_le_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}
