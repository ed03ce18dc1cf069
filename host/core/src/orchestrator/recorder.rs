//! Lends models to a guest call and records everything it asks them. What was asked and recorded before may be answered
//! from there, or must be: of a benchmark that only judges what another one recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::replay::{RecordedCalls, host_seed};
use crate::id::BenchmarkId;
use crate::model::{LoadedModel, ModelAnswer, ModelRequest, ModelResponse, Timings, TokenUsage};
use crate::plugin::{ModelAccess, SUBJECT};
use crate::response_cache::{ModelKey, RecordedAnswer, ResponseCache, ResponseKey, is_repeatable};
use crate::sample::{CallOutcome, Failure, FailureKind, ModelCall, Phase};
use crate::{Error, ErrorKind, Result};

/// The code of a call whose guest ended before it was answered.
const INTERRUPTED: &str = "interrupted";
/// The code of a call that the record does not answer.
const NOT_RECORDED: &str = "not-recorded";

/// The models of one benchmark, by part.
pub(super) type Parts = HashMap<String, Part>;

/// Who answers for a part.
pub(super) enum Part {
    Model(LentModel),
    /// No model: what was recorded of the sample.
    Record,
}

/// A model that a benchmark lends to its guests.
pub(super) struct LentModel {
    pub(super) model: Arc<dyn LoadedModel>,
    pub(super) key: ModelKey,
    pub(super) benchmark: BenchmarkId,
    /// None: every call is the model's.
    pub(super) cache: Option<Arc<dyn ResponseCache>>,
}

impl LentModel {
    /// The answer that was given before. A cache that cannot be read only costs the time of asking the model.
    async fn recorded_answer(&self, key: Option<&ResponseKey>) -> Option<RecordedAnswer> {
        match self.cache.as_ref()?.find(key?, self.benchmark).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(?error, "cannot look into the response cache");
                None
            }
        }
    }
}

/// The view of one guest call on the benchmark's models.
pub(super) struct Recorder {
    parts: Arc<Parts>,
    phase: Phase,
    /// What answers for the parts that no model plays.
    record: Option<Arc<RecordedCalls>>,
    /// Seeds generations that draw and whose guest left the seed to the host, so that a benchmark repeats.
    seed: u64,
    calls: Mutex<Vec<ModelCall>>,
    /// The first request that the record has no answer to.
    not_recorded: Mutex<Option<String>>,
}

impl Recorder {
    pub(super) fn new(
        parts: Arc<Parts>,
        phase: Phase,
        record: Option<Arc<RecordedCalls>>,
        seed: u64,
    ) -> Self {
        Self { parts, phase, record, seed, calls: Mutex::default(), not_recorded: Mutex::default() }
    }

    /// A guest that asked what the record does not answer has failed, whatever it made of that.
    pub(super) fn refuse<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self.not_recorded.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => result,
            Some(message) => Err(Failure {
                kind: FailureKind::NotRecorded,
                phase: self.phase,
                message,
                backtrace: None,
                log: result.err().and_then(|failure| failure.log),
            }),
        }
    }

    /// The calls so far, in the order they were made; the record is empty afterwards.
    pub(super) fn take_calls(&self) -> Vec<ModelCall> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn part(&self, part: &str) -> Result<&Part> {
        let model = self.parts.get(part).filter(|_| !self.is_withheld(part));
        model.ok_or_else(|| {
            let mut lent: Vec<_> =
                self.parts.keys().filter(|part| !self.is_withheld(part)).cloned().collect();
            lent.sort();
            let lent = if lent.is_empty() { "none".to_owned() } else { lent.join(", ") };
            let shown: String = part.chars().take(64).collect();
            Error::denied("part-denied", format!("no model is lent here as `{shown}`; lent are: {lent}"))
        })
    }

    /// Judging never talks to the model under test.
    fn is_withheld(&self, part: &str) -> bool {
        self.phase == Phase::Score && part == SUBJECT
    }

    /// Writes a call down before it is made: one that the guest's end interrupts is recorded too.
    fn begin(&self, part: &str, request: &ModelRequest) -> usize {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(ModelCall {
            phase: self.phase,
            part: part.to_owned(),
            request: request.clone(),
            outcome: CallOutcome::Error {
                kind: ErrorKind::Cancelled,
                code: INTERRUPTED.to_owned(),
                message: "the guest ended before the model answered".to_owned(),
            },
            tokens: TokenUsage::default(),
            timings: Timings::default(),
            is_cached: false,
            key: None,
        });
        calls.len() - 1
    }

    /// Adds to a call how it ended.
    fn complete(&self, place: usize, fill: impl FnOnce(&mut ModelCall)) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // The record of a guest that ended may be taken already.
        if let Some(call) = calls.get_mut(place) {
            fill(call);
        }
    }

    /// Gives the recorded answer, or the recorded error, and records it as such.
    fn replay(&self, part: &str, mut request: ModelRequest) -> Result<ModelResponse> {
        let recorded = match &self.record {
            Some(record) => record.take(part, &request),
            None => Err(format!("nothing is recorded of the calls of `{part}`")),
        };
        // What a guest did not wait for has no answer to give again.
        let recorded = recorded.and_then(|call| match &call.outcome {
            CallOutcome::Error { code, .. } if code == INTERRUPTED => Err(format!(
                "a `{}` call of `{part}` was interrupted when it was recorded, so that it has no answer",
                call.request.kind()
            )),
            _ => Ok(call),
        });
        match recorded {
            Ok(mut call) => {
                call.phase = self.phase;
                call.timings = Timings::default();
                call.is_cached = true;
                call.key = None;
                let outcome = call.outcome.clone();
                self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                outcome.into()
            }
            Err(message) => {
                self.fill_seeds(&mut request);
                let place = self.begin(part, &request);
                let error = Error::unavailable(NOT_RECORDED, message);
                self.complete(place, |call| call.outcome = CallOutcome::from(&error));
                let mut first = self.not_recorded.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| error.message.clone());
                Err(error)
            }
        }
    }

    fn fill_seeds(&self, request: &mut ModelRequest) {
        let ModelRequest::Generate(requests) = request else { return };
        let occurrence = self.calls.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        for (position, request) in requests.iter_mut().enumerate() {
            // Without a draw equal requests stay equal: they are computed once, and found in the record again.
            if !request.sampling.is_greedy() {
                let derived = host_seed(self.seed, occurrence, position as u64);
                request.sampling.seed.get_or_insert(derived);
            }
        }
    }
}

#[async_trait]
impl ModelAccess for Recorder {
    fn open(&self, part: &str) -> Result<()> {
        self.part(part).map(|_| ())
    }

    async fn call(
        &self,
        part: &str,
        mut request: ModelRequest,
        cancel: CancellationToken,
    ) -> Result<ModelResponse> {
        let model = match self.part(part)? {
            Part::Model(model) => model,
            Part::Record => return self.replay(part, request),
        };
        self.fill_seeds(&mut request);
        let place = self.begin(part, &request);
        let key = model.key.of_call(&request);
        if let Some(RecordedAnswer { response, usage }) = model.recorded_answer(key.as_ref()).await {
            self.complete(place, |call| {
                call.outcome = CallOutcome::Response(response.clone());
                call.tokens = usage;
                call.is_cached = true;
            });
            return Ok(response);
        }
        match model.model.answer(request, cancel).await {
            Ok(ModelAnswer { response, usage, timings }) => {
                self.complete(place, |call| {
                    call.key = key.filter(|_| is_repeatable(&response));
                    call.outcome = CallOutcome::Response(response.clone());
                    call.tokens = usage;
                    call.timings = timings;
                });
                Ok(response)
            }
            Err(error) => {
                if error.kind == ErrorKind::Internal {
                    // The guest is told nothing of the host's defects.
                    tracing::error!(part, ?error, "a model call failed");
                }
                self.complete(place, |call| {
                    call.outcome = CallOutcome::from(&error);
                });
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
