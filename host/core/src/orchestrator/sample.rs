//! One sample from its row to its record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::examples::Examples;
use super::order::SUBJECT;
use super::recorder::{Parts, Recorder};
use crate::benchmark::Plan;
use crate::dataset::{NumberedRow, UnreadableRow, rename};
use crate::model::TokenUsage;
use crate::plugin::{GuestCall, LoadedPlugin, gold::split_row};
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
}

impl SampleRunner {
    pub(super) fn new(
        plan: Plan,
        plugin: Arc<dyn LoadedPlugin>,
        parts: Arc<Parts>,
        examples: Examples,
    ) -> Self {
        let gold = plan.gold.iter().cloned().collect();
        Self { plan, gold, plugin, parts, examples }
    }

    /// Solves and scores one row. Whatever goes wrong is a failure of this sample; none: it was cancelled.
    pub(super) async fn run(
        &self,
        row: Result<NumberedRow, UnreadableRow>,
        cancel: CancellationToken,
    ) -> Option<SampleRecord> {
        let started = Instant::now();
        let mut record = match row {
            Ok(row) => self.solve_and_score(row, &cancel).await,
            Err(unreadable) => blank(unreadable.index).failed(Failure {
                kind: FailureKind::UnreadableRow,
                phase: Phase::Read,
                message: unreadable.error.message,
                backtrace: None,
                log: None,
            }),
        };
        record.duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        // A cancelled call ends as some failure of the guest; it is not the sample's, which runs again later.
        (!cancel.is_cancelled()).then_some(record)
    }

    async fn solve_and_score(&self, row: NumberedRow, cancel: &CancellationToken) -> SampleRecord {
        let mut record = blank(row.index);
        let (input, target) = split_row(rename(row.row, &self.plan.columns), &self.gold);
        let context = match self.examples.context_for(row.index, &input, &target) {
            Ok(context) => context,
            Err(error) => {
                tracing::error!(row = row.index, ?error, "a sample has no examples");
                return record.failed(Failure {
                    kind: FailureKind::Internal,
                    phase: Phase::Read,
                    message: error.message,
                    backtrace: None,
                    log: None,
                });
            }
        };
        let sample = Sample { index: row.index, input, repeat: 0 };
        let seed = derive_seed(self.plan.seed, &[sample.index, u64::from(sample.repeat)]);
        record.target = Some(target.clone());

        let asking = Arc::new(Recorder::new(self.parts.clone(), None, seed));
        let call = self.guest_call(&context, seed, asking.clone(), cancel);
        let solved = self.plugin.solve(call, sample.clone()).await;
        record.add(asking.take_calls(), solved.usage);
        let solution: Solution = match solved.result {
            Ok(solution) => solution,
            Err(failure) => return record.failed(failure),
        };
        record.solution = Some(solution.clone());

        let judging = Arc::new(Recorder::new(self.parts.clone(), Some(SUBJECT), seed));
        let call = self.guest_call(&context, seed, judging.clone(), cancel);
        let scored = self.plugin.score(call, sample, solution, target).await;
        record.add(judging.take_calls(), scored.usage);
        match scored.result.and_then(|measurements| self.check_declared(measurements)) {
            Ok(measurements) => record.measurements = measurements,
            Err(failure) => return record.failed(failure),
        }
        record
    }

    fn guest_call(
        &self,
        context: &Arc<Context>,
        seed: u64,
        models: Arc<Recorder>,
        cancel: &CancellationToken,
    ) -> GuestCall {
        GuestCall {
            context: context.clone(),
            limits: self.plan.limits,
            seed,
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

fn blank(index: u64) -> SampleRecord {
    SampleRecord {
        index,
        repeat: 0,
        solution: None,
        target: None,
        measurements: Vec::new(),
        calls: Vec::new(),
        usage: GuestUsage::default(),
        failure: None,
        duration_ms: 0.0,
    }
}

impl SampleRecord {
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
