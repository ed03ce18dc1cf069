//! Lends models to a guest call and records everything it asks them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::model::{LoadedModel, ModelAnswer, ModelRequest, ModelResponse, Timings, TokenUsage};
use crate::plugin::ModelAccess;
use crate::sample::{CallOutcome, ModelCall};
use crate::{Error, ErrorKind, Result};

/// The models of one benchmark, by part.
pub(super) type Parts = HashMap<String, Arc<dyn LoadedModel>>;

/// The view of one guest call on the benchmark's models.
pub(super) struct Recorder {
    parts: Arc<Parts>,
    /// A part that this call may not open: judging never talks to the model under test.
    withheld: Option<&'static str>,
    /// Seeds generations whose guest left the seed to the host, so that a benchmark repeats.
    seed: u64,
    calls: Mutex<Vec<ModelCall>>,
}

impl Recorder {
    pub(super) fn new(parts: Arc<Parts>, withheld: Option<&'static str>, seed: u64) -> Self {
        Self { parts, withheld, seed, calls: Mutex::default() }
    }

    /// The calls so far, in the order they were made; the record is empty afterwards.
    pub(super) fn take_calls(&self) -> Vec<ModelCall> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn part(&self, part: &str) -> Result<&Arc<dyn LoadedModel>> {
        let model = self.parts.get(part).filter(|_| self.withheld != Some(part));
        model.ok_or_else(|| {
            let mut lent: Vec<_> =
                self.parts.keys().filter(|part| self.withheld != Some(part)).cloned().collect();
            lent.sort();
            let lent = if lent.is_empty() { "none".to_owned() } else { lent.join(", ") };
            let shown: String = part.chars().take(64).collect();
            Error::denied("part-denied", format!("no model is lent here as `{shown}`; lent are: {lent}"))
        })
    }

    /// Writes a call down before it is made: one that the guest's end interrupts is recorded too.
    fn begin(&self, part: &str, request: &ModelRequest) -> usize {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(ModelCall {
            part: part.to_owned(),
            request: request.clone(),
            outcome: CallOutcome::Error {
                code: "interrupted".to_owned(),
                message: "the guest ended before the model answered".to_owned(),
            },
            tokens: TokenUsage::default(),
            timings: Timings::default(),
        });
        calls.len() - 1
    }

    fn complete(&self, place: usize, answer: &Result<ModelAnswer>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // The record of a guest that ended may be taken already.
        let Some(call) = calls.get_mut(place) else { return };
        match answer {
            Ok(answer) => {
                call.outcome = CallOutcome::Response(answer.response.clone());
                call.tokens = answer.usage;
                call.timings = answer.timings;
            }
            Err(error) => {
                call.outcome =
                    CallOutcome::Error { code: error.code.to_string(), message: error.message.clone() };
            }
        }
    }

    fn fill_seeds(&self, request: &mut ModelRequest) {
        let ModelRequest::Generate(requests) = request else { return };
        let occurrence = self.calls.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        for (position, request) in requests.iter_mut().enumerate() {
            let derived = super::sample::derive_seed(self.seed, &[occurrence, position as u64]);
            request.sampling.seed.get_or_insert(derived);
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
        let model = self.part(part)?;
        self.fill_seeds(&mut request);
        let place = self.begin(part, &request);
        let answer = model.answer(request, cancel).await;
        if let Err(error) = &answer
            && error.kind == ErrorKind::Internal
        {
            // The guest is told nothing of the host's defects.
            tracing::error!(part, ?error, "a model call failed");
        }
        self.complete(place, &answer);
        answer.map(|answer| answer.response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that is still at work when the guest ends.
    struct Silent;

    #[async_trait]
    impl LoadedModel for Silent {
        async fn answer(&self, _: ModelRequest, _: CancellationToken) -> Result<ModelAnswer> {
            std::future::pending().await
        }
    }

    fn recorder(withheld: Option<&'static str>) -> Recorder {
        let silent: Arc<dyn LoadedModel> = Arc::new(Silent);
        Recorder::new(Arc::new(Parts::from([("subject".to_owned(), silent)])), withheld, 1)
    }

    #[test]
    fn a_call_that_the_guests_end_interrupts_is_recorded() {
        let recorder = recorder(None);
        let request = ModelRequest::CountTokens(vec!["text".to_owned()]);
        let call = recorder.call("subject", request.clone(), CancellationToken::new());
        assert!(futures::FutureExt::now_or_never(call).is_none());
        let calls = recorder.take_calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].request, request);
        assert!(matches!(&calls[0].outcome, CallOutcome::Error { code, .. } if code == "interrupted"));
    }

    #[test]
    fn a_part_that_is_withheld_or_unknown_is_denied_with_what_is_lent() {
        assert!(recorder(None).open("subject").is_ok());
        let withheld = recorder(Some("subject")).open("subject").unwrap_err();
        assert_eq!((withheld.kind, &*withheld.code), (ErrorKind::Denied, "part-denied"));
        assert!(withheld.message.contains("none"), "{withheld}");
        assert!(recorder(None).open("judge").unwrap_err().message.contains("subject"));
    }
}
