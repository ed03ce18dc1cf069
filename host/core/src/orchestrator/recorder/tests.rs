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
        Ok(ModelAnswer { response, usage: USAGE, timings: Timings { prefill_ms: 1.0, ..Timings::default() } })
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
    let part = Part::Model(LentModel { model: Arc::new(model), key, benchmark, cache });
    Arc::new(Parts::from([("subject".to_owned(), part)]))
}

fn recorder(phase: Phase) -> Recorder {
    Recorder::new(lending(Silent, None), phase, None, 1)
}

fn counting(texts: &[&str]) -> ModelRequest {
    ModelRequest::CountTokens(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// Makes one call and gives its answer and its record.
async fn one_call(parts: &Arc<Parts>, request: ModelRequest) -> (Result<ModelResponse>, ModelCall) {
    let recorder = Recorder::new(parts.clone(), Phase::Solve, None, 1);
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
    let recorded = Recorded { answers: HashMap::from([(computed.key.unwrap(), answer)]), is_broken: false };
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

#[tokio::test]
async fn a_seed_is_chosen_for_what_is_drawn_alone() {
    let asked = |temperature| {
        let sampling = Sampling { temperature, ..Sampling::default() };
        ModelRequest::Generate(vec![GenerationRequest { prompt: Prompt::Text("a".to_owned()), sampling }])
    };
    let parts = lending(Counting::default(), None);
    for temperature in [None, Some(0.5)] {
        let (_, call) = one_call(&parts, asked(temperature)).await;
        assert_ne!(call.request, asked(temperature), "{temperature:?}");
    }
    let (_, greedy) = one_call(&parts, asked(Some(0.0))).await;
    assert_eq!(greedy.request, asked(Some(0.0)));
}

#[test]
fn a_call_that_the_guests_end_interrupts_is_recorded() {
    let recorder = recorder(Phase::Solve);
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
    assert!(recorder(Phase::Solve).open("subject").is_ok());
    let withheld = recorder(Phase::Score).open("subject").unwrap_err();
    assert_eq!((withheld.kind, &*withheld.code), (ErrorKind::Denied, "part-denied"));
    assert!(withheld.message.contains("none"), "{withheld}");
    assert!(recorder(Phase::Solve).open("judge").unwrap_err().message.contains("subject"));
}

fn replaying(calls: Vec<ModelCall>) -> Recorder {
    let parts = Parts::from([("subject".to_owned(), Part::Record)]);
    Recorder::new(
        Arc::new(parts),
        Phase::Solve,
        Some(Arc::new(RecordedCalls::new(calls, 1, Arc::default()))),
        1,
    )
}

#[tokio::test]
async fn recorded_answers_and_errors_are_replayed_as_they_were() {
    let parts = lending(Counting::default(), None);
    let recorder = Recorder::new(parts, Phase::Solve, None, 1);
    let ask = async |recorder: &Recorder, request| {
        recorder.call("subject", request, CancellationToken::new()).await
    };
    let answer = ask(&recorder, counting(&["a"])).await.unwrap();
    let error = ask(&recorder, ModelRequest::Embed(Vec::new())).await.unwrap_err();
    let calls = recorder.take_calls();

    let again = replaying(calls.clone());
    assert_eq!(ask(&again, counting(&["a"])).await.unwrap(), answer);
    let replayed = ask(&again, ModelRequest::Embed(Vec::new())).await.unwrap_err();
    assert_eq!((replayed.kind, replayed.code, replayed.message), (error.kind, error.code, error.message));
    assert_eq!(again.refuse(Ok(1)), Ok(1));
    let record = again.take_calls();
    assert!(record.iter().all(|call| call.is_cached && call.timings == Timings::default()));
    assert!(record.iter().zip(&calls).all(|(again, first)| again.outcome == first.outcome));
}

#[tokio::test]
async fn what_the_record_does_not_answer_is_told_after_the_guest_ended() {
    let interrupted = recorder(Phase::Solve);
    let call = interrupted.call("subject", counting(&["a"]), CancellationToken::new());
    assert!(futures::FutureExt::now_or_never(call).is_none());

    let again = replaying(interrupted.take_calls());
    for (text, expected) in [("a", "was interrupted when it was recorded"), ("b", "it begins with \"b\"")] {
        let error = again.call("subject", counting(&[text]), CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code, "not-recorded");
        assert!(error.message.contains(expected), "{error}");
    }
    let first = again.refuse(Ok(1)).unwrap_err();
    assert_eq!((first.kind, first.phase), (FailureKind::NotRecorded, Phase::Solve));
    assert!(first.message.contains("interrupted"), "the first one is told: {}", first.message);
    assert_eq!(again.take_calls().len(), 2, "such calls are recorded too");
}
