//! Lends models to a guest call and records everything it asks them. What was asked and recorded before may be answered
//! from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::id::BenchmarkId;
use crate::model::{LoadedModel, ModelAnswer, ModelRequest, ModelResponse, Timings, TokenUsage};
use crate::plugin::ModelAccess;
use crate::response_cache::{ModelKey, RecordedAnswer, ResponseCache, ResponseKey, is_repeatable};
use crate::sample::{CallOutcome, ModelCall};
use crate::{Error, ErrorKind, Result};

/// The models of one benchmark, by part.
pub(super) type Parts = HashMap<String, Part>;

/// A model that a benchmark lends to its guests.
pub(super) struct Part {
    pub(super) model: Arc<dyn LoadedModel>,
    pub(super) key: ModelKey,
    pub(super) benchmark: BenchmarkId,
    /// None: every call is the model's.
    pub(super) cache: Option<Arc<dyn ResponseCache>>,
}

impl Part {
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

    fn part(&self, part: &str) -> Result<&Part> {
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
                    call.outcome =
                        CallOutcome::Error { code: error.code.to_string(), message: error.message.clone() };
                });
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::model::{FinishReason, Generation, GenerationRequest, Prompt, Sampling};

    /// A model that is still at work when the guest ends.
    struct Silent;

    #[async_trait]
    impl LoadedModel for Silent {
        async fn answer(&self, _: ModelRequest, _: CancellationToken) -> Result<ModelAnswer> {
            std::future::pending().await
        }
    }

    /// A model whose every answer is another.
    #[derive(Default)]
    struct Counting {
        answers: AtomicU32,
    }

    const USAGE: TokenUsage = TokenUsage { prompt: 3, completion: 0 };

    #[async_trait]
    impl LoadedModel for Counting {
        async fn answer(&self, request: ModelRequest, _: CancellationToken) -> Result<ModelAnswer> {
            let number = self.answers.fetch_add(1, Ordering::Relaxed);
            let response = match request {
                ModelRequest::CountTokens(texts) => ModelResponse::CountTokens(vec![number; texts.len()]),
                ModelRequest::Generate(_) => ModelResponse::Generate(vec![Generation {
                    text: String::new(),
                    finish_reason: FinishReason::Cancelled,
                    prompt_tokens: 3,
                    completion_tokens: 0,
                }]),
                _ => return Err(Error::unsupported("no-embeddings", "this model embeds nothing")),
            };
            Ok(ModelAnswer {
                response,
                usage: USAGE,
                timings: Timings { prefill_ms: 1.0, ..Timings::default() },
            })
        }
    }

    /// What was recorded, by key; a broken one cannot be read.
    #[derive(Default)]
    struct Recorded {
        answers: HashMap<ResponseKey, RecordedAnswer>,
        is_broken: bool,
    }

    #[async_trait]
    impl ResponseCache for Recorded {
        async fn find(&self, key: &ResponseKey, _: BenchmarkId) -> Result<Option<RecordedAnswer>> {
            if self.is_broken {
                return Err(Error::internal("storage-failed", "the disk is gone"));
            }
            Ok(self.answers.get(key).cloned())
        }

        async fn has_answers_of(&self, _: &ModelKey) -> Result<bool> {
            Ok(!self.answers.is_empty())
        }
    }

    fn lending(model: impl LoadedModel + 'static, cache: Option<Recorded>) -> Arc<Parts> {
        let cache = cache.map(|cache| Arc::new(cache) as Arc<dyn ResponseCache>);
        let (key, benchmark) = (ModelKey::new("digest", ""), BenchmarkId::new());
        let part = Part { model: Arc::new(model), key, benchmark, cache };
        Arc::new(Parts::from([("subject".to_owned(), part)]))
    }

    fn recorder(withheld: Option<&'static str>) -> Recorder {
        Recorder::new(lending(Silent, None), withheld, 1)
    }

    fn counting(texts: &[&str]) -> ModelRequest {
        ModelRequest::CountTokens(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    /// Makes one call and gives its answer and its record.
    async fn one_call(parts: &Arc<Parts>, request: ModelRequest) -> (Result<ModelResponse>, ModelCall) {
        let recorder = Recorder::new(parts.clone(), None, 1);
        let answer = recorder.call("subject", request, CancellationToken::new()).await;
        let mut calls = recorder.take_calls();
        assert_eq!(calls.len(), 1);
        (answer, calls.remove(0))
    }

    #[tokio::test]
    async fn a_recorded_answer_is_given_again_and_marked() {
        let (first, computed) = one_call(&lending(Counting::default(), None), counting(&["a"])).await;
        assert!(!computed.is_cached);
        let answer = RecordedAnswer { response: ModelResponse::CountTokens(vec![7]), usage: USAGE };
        let recorded =
            Recorded { answers: HashMap::from([(computed.key.unwrap(), answer)]), is_broken: false };
        let parts = lending(Counting::default(), Some(recorded));

        let (again, cached) = one_call(&parts, counting(&["a"])).await;
        assert_eq!(again.unwrap(), ModelResponse::CountTokens(vec![7]));
        assert!(cached.is_cached);
        assert_eq!((cached.tokens, cached.timings, cached.key), (USAGE, Timings::default(), None));
        assert_eq!(cached.request, computed.request);

        let (other, asked) = one_call(&parts, counting(&["b"])).await;
        assert_eq!(other.unwrap(), first.unwrap(), "the model was not asked before");
        assert!(!asked.is_cached && asked.key.is_some() && asked.key != computed.key);
    }

    #[tokio::test]
    async fn a_cache_that_cannot_be_read_costs_no_answer() {
        let broken = Recorded { is_broken: true, ..Recorded::default() };
        let (answer, call) = one_call(&lending(Counting::default(), Some(broken)), counting(&["a"])).await;
        assert_eq!(answer.unwrap(), ModelResponse::CountTokens(vec![0]));
        assert!(!call.is_cached);
    }

    #[tokio::test]
    async fn an_answer_that_failed_or_was_cut_off_is_not_to_be_found_again() {
        let parts = lending(Counting::default(), None);
        let (failed, call) = one_call(&parts, ModelRequest::Embed(Vec::new())).await;
        assert!(failed.is_err() && call.key.is_none());
        let request = GenerationRequest {
            prompt: Prompt::Text("a".to_owned()),
            sampling: Sampling { seed: Some(1), ..Sampling::default() },
        };
        let (cut, call) = one_call(&parts, ModelRequest::Generate(vec![request])).await;
        assert!(cut.is_ok() && call.key.is_none());
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
