//! One sample from its row to its record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::examples::Examples;
use super::recorder::{Parts, Recorder};
use super::replay::RecordedCalls;
use crate::Row;
use crate::benchmark::{BenchmarkRepository, Plan};
use crate::dataset::{NumberedRow, UnreadableRow, rename};
use crate::model::TokenUsage;
use crate::plugin::{GuestCall, LoadedPlugin, gold::split_row};
use crate::rescore::{Takes, is_same};
use crate::sample::{
    Context, Failure, FailureKind, GuestUsage, Measurement, ModelCall, Phase, Sample, SampleRecord, Solution,
};

/// What all samples of a benchmark share.
pub(super) struct SampleRunner {
    pub(super) plan: Plan,
    pub(super) gold: BTreeSet<String>,
    pub(super) plugin: Arc<dyn LoadedPlugin>,
    pub(super) parts: Arc<Parts>,
    pub(super) examples: Examples,
    /// Where the samples of the benchmark's source are kept.
    pub(super) source: Arc<dyn BenchmarkRepository>,
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
}

impl SampleRunner {
    pub(super) fn new(
        plan: Plan,
        plugin: Arc<dyn LoadedPlugin>,
        parts: Arc<Parts>,
        examples: Examples,
        source: Arc<dyn BenchmarkRepository>,
    ) -> Self {
        let gold = plan.gold.iter().cloned().collect();
        Self { plan, gold, plugin, parts, examples, source }
    }

    /// Solves and scores one row. Whatever goes wrong is a failure of this sample; none: it was cancelled.
    ///
    /// # Errors
    /// Of the store, which holds the sample of the benchmark's source.
    pub(super) async fn run(
        &self,
        row: Result<NumberedRow, UnreadableRow>,
        cancel: CancellationToken,
    ) -> crate::Result<Option<SampleRecord>> {
        let started = Instant::now();
        let index = match &row {
            Ok(row) => row.index,
            Err(unreadable) => unreadable.index,
        };
        let source = match &self.plan.source {
            Some(source) => self.source.sample(source.benchmark, (index, 0)).await?,
            None => None,
        };
        let mut record = match row {
            Ok(row) => self.judge(row, source.as_ref(), &cancel).await,
            Err(unreadable) => SampleRecord::blank(index).failed(Failure {
                kind: FailureKind::UnreadableRow,
                phase: Phase::Read,
                message: unreadable.error.message,
                backtrace: None,
                log: None,
            }),
        };
        if self.plan.source.as_ref().is_some_and(|source| source.is_compared) {
            record.differs = source.map(|source| !is_same(&record, &source));
        }
        record.duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        // A cancelled call ends as some failure of the guest; it is not the sample's, which runs again later.
        Ok((!cancel.is_cancelled()).then_some(record))
    }

    /// Solves and scores a row, or as much of it as is not taken over from the source.
    async fn judge(
        &self,
        row: NumberedRow,
        source: Option<&SampleRecord>,
        cancel: &CancellationToken,
    ) -> SampleRecord {
        let mut record = SampleRecord::blank(row.index);
        let case = match self.case(row) {
            Ok(case) => case,
            Err(failure) => return record.failed(failure),
        };
        record.target = Some(case.target.clone());
        let takes = self.plan.source.as_ref().map(|source| source.takes);
        let answers = source.zip(takes).map(|(source, takes)| recorded_calls(source, takes, case.seed));
        let solution = match takes {
            Some(Takes::Solutions) => stored_solution(source),
            Some(Takes::Calls) | None => self.solve(&case, answers.clone(), cancel, &mut record).await,
        };
        let solution = match solution {
            Ok(solution) => solution,
            Err(failure) => return record.failed(failure),
        };
        record.solution = Some(solution.clone());
        let scored = self.score(&case, solution, case.target.clone(), answers, cancel).await;
        record.add(scored.calls, scored.usage);
        match scored.result {
            Ok(measurements) => record.measurements = measurements,
            Err(failure) => return record.failed(failure),
        }
        record
    }

    pub(super) fn case(&self, row: NumberedRow) -> Result<Case, Failure> {
        let index = row.index;
        let (input, target) = split_row(rename(row.row, &self.plan.columns), &self.gold);
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
        let seed = derive_seed(self.plan.seed, &[sample.index, u64::from(sample.repeat)]);
        Ok(Case { context, sample, target, seed })
    }

    async fn solve(
        &self,
        case: &Case,
        answers: Option<Arc<RecordedCalls>>,
        cancel: &CancellationToken,
        record: &mut SampleRecord,
    ) -> Result<Solution, Failure> {
        let asking = Arc::new(Recorder::new(self.parts.clone(), Phase::Solve, answers, case.seed));
        let call = self.guest_call(case, asking.clone(), cancel);
        let solved = self.plugin.solve(call, case.sample.clone()).await;
        record.add(asking.take_calls(), solved.usage);
        asking.refuse(solved.result)
    }

    /// Holds a solution against a gold answer.
    pub(super) async fn score(
        &self,
        case: &Case,
        solution: Solution,
        target: Row,
        answers: Option<Arc<RecordedCalls>>,
        cancel: &CancellationToken,
    ) -> Scored {
        let judging = Arc::new(Recorder::new(self.parts.clone(), Phase::Score, answers, case.seed));
        let call = self.guest_call(case, judging.clone(), cancel);
        let scored = self.plugin.score(call, case.sample.clone(), solution, target).await;
        let result = scored.result.and_then(|measurements| self.check_declared(measurements));
        Scored { result: judging.refuse(result), calls: judging.take_calls(), usage: scored.usage }
    }

    fn guest_call(&self, case: &Case, models: Arc<Recorder>, cancel: &CancellationToken) -> GuestCall {
        GuestCall {
            context: case.context.clone(),
            limits: self.plan.limits,
            seed: case.seed,
            models,
            cancel: cancel.child_token(),
        }
    }

    fn check_declared(&self, measurements: Vec<Measurement>) -> Result<Vec<Measurement>, Failure> {
        let undeclared = measurements.iter().find(|measurement| {
            !self
                .plan
                .metrics
                .iter()
                .any(|metric| metric.name == measurement.metric && metric.filter == measurement.filter)
        });
        match undeclared {
            None => Ok(measurements),
            Some(measurement) => Err(Failure {
                kind: FailureKind::InvalidOutput,
                phase: Phase::Score,
                message: format!("the scorer measured `{}`, which it did not declare", measurement.metric),
                backtrace: None,
                log: None,
            }),
        }
    }
}

/// What the models said to a sample: in all calls, or, where its solution is taken over, to its scorer.
pub(super) fn recorded_calls(sample: &SampleRecord, takes: Takes, seed: u64) -> Arc<RecordedCalls> {
    let is_wanted = |call: &&ModelCall| takes == Takes::Calls || call.phase == Phase::Score;
    Arc::new(RecordedCalls::new(sample.calls.iter().filter(is_wanted).cloned(), seed))
}

/// The solution of the source; its failure, where it came to none.
fn stored_solution(source: Option<&SampleRecord>) -> Result<Solution, Failure> {
    let missing = || Failure {
        kind: FailureKind::NotRecorded,
        phase: Phase::Read,
        message: "the source has no solution of this row".to_owned(),
        backtrace: None,
        log: None,
    };
    let source = source.ok_or_else(missing)?;
    source.solution.clone().ok_or_else(|| source.failure.clone().unwrap_or_else(missing))
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

    fn failed(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    fn add(&mut self, calls: Vec<ModelCall>, usage: GuestUsage) {
        self.calls.extend(calls);
        self.usage.fuel += usage.fuel;
        self.usage.peak_memory_bytes = self.usage.peak_memory_bytes.max(usage.peak_memory_bytes);
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
