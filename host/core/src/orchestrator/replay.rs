//! Answers out of the record: what the models said to a sample before, given again to the same request.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::sample::derive_seed;
use crate::model::{ModelRequest, Prompt};
use crate::sample::{ModelCall, Phase};

/// Characters of a prompt that an error shows.
const SHOWN: usize = 80;

/// The recorded calls of one sample, each given out once.
///
/// A call is found by its part, its kind, the digest of its requests, and by which of the equal ones it is. A seed
/// that the guest left to the host is not part of that: it depends on how many calls were made before.
pub(super) struct RecordedCalls {
    calls: Mutex<HashMap<CallKey, Recorded>>,
}

type CallKey = [u8; 32];

#[derive(Default)]
struct Recorded {
    left: VecDeque<ModelCall>,
    given: usize,
}

impl RecordedCalls {
    /// `seed` is the sample's, from which seeds that guests left open were derived.
    pub(super) fn new(calls: impl IntoIterator<Item = ModelCall>, seed: u64) -> Self {
        let mut found: HashMap<CallKey, Recorded> = HashMap::new();
        let (mut solving, mut scoring) = (0, 0);
        for call in calls {
            let place = match call.phase {
                Phase::Score => &mut scoring,
                Phase::Solve | Phase::Read => &mut solving,
            };
            let mut request = call.request.clone();
            open_seeds(&mut request, seed, *place);
            *place += 1;
            found.entry(key(&call.part, &request)).or_default().left.push_back(call);
        }
        Self { calls: Mutex::new(found) }
    }

    /// The next call that was recorded of a request.
    ///
    /// # Errors
    /// A sentence that names the request, where there is none.
    pub(super) fn take(&self, part: &str, request: &ModelRequest) -> Result<ModelCall, String> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_request = calls.get_mut(&key(part, request));
        let given = of_request.as_ref().map_or(0, |recorded| recorded.given);
        if let Some(recorded) = of_request
            && let Some(call) = recorded.left.pop_front()
        {
            recorded.given += 1;
            return Ok(call);
        }
        let times = if given > 0 { format!(" more than {given} times") } else { String::new() };
        Err(format!(
            "no answer is recorded for a `{}` call of `{part}`{times}; it begins with \"{}\"",
            request.kind(),
            beginning(request)
        ))
    }
}

/// Gives the seeds that the host chose for the call at `place` back to it.
fn open_seeds(request: &mut ModelRequest, seed: u64, place: u64) {
    let ModelRequest::Generate(requests) = request else { return };
    for (position, request) in (0..).zip(requests) {
        request.sampling.seed =
            request.sampling.seed.filter(|chosen| *chosen != host_seed(seed, place, position));
    }
}

/// The seed of the request at `position` of a guest's call at `place`, where the guest leaves it to the host.
pub(super) fn host_seed(seed: u64, place: u64, position: u64) -> u64 {
    derive_seed(seed, &[place, position])
}

fn key(part: &str, request: &ModelRequest) -> CallKey {
    let mut hash = Sha256::new();
    let mut update = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    update(part.as_bytes());
    // Requests hold texts and numbers alone, which always have a form in JSON.
    update(&serde_json::to_vec(request).unwrap_or_default());
    if let ModelRequest::Generate(requests) = request {
        for request in requests {
            // JSON writes what is not a number like what is absent.
            for setting in [request.sampling.temperature, request.sampling.top_p] {
                update(&setting.map(f32::to_le_bytes).unwrap_or_default());
            }
        }
    }
    hash.finalize().into()
}

/// How the first text of a call begins, on one line.
fn beginning(request: &ModelRequest) -> String {
    let prompt = |prompt: &Prompt| match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(chat) => {
            let contents: Vec<_> = chat.messages.iter().map(|message| message.content.as_str()).collect();
            contents.join("\n")
        }
    };
    let text = match request {
        ModelRequest::Generate(requests) => requests.first().map(|request| prompt(&request.prompt)),
        ModelRequest::LogLikelihood(requests) => {
            requests.first().map(|request| prompt(&request.context) + &request.continuation)
        }
        ModelRequest::LogLikelihoodRolling(texts)
        | ModelRequest::Embed(texts)
        | ModelRequest::CountTokens(texts) => texts.first().cloned(),
        ModelRequest::Rank(request) => Some(request.query.clone()),
    };
    let text = text.unwrap_or_default();
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        FinishReason, Generation, GenerationRequest, ModelResponse, Sampling, Timings, TokenUsage,
    };
    use crate::sample::CallOutcome;

    const SEED: u64 = 7;

    fn generation(prompt: &str, sampling: Sampling) -> ModelRequest {
        ModelRequest::Generate(vec![GenerationRequest { prompt: Prompt::Text(prompt.to_owned()), sampling }])
    }

    fn asked(phase: Phase, request: ModelRequest, answer: &str) -> ModelCall {
        let answer = Generation {
            text: answer.to_owned(),
            finish_reason: FinishReason::Stop,
            prompt_tokens: 1,
            completion_tokens: 1,
        };
        ModelCall {
            phase,
            part: "subject".to_owned(),
            request,
            outcome: CallOutcome::Response(ModelResponse::Generate(vec![answer])),
            tokens: TokenUsage::default(),
            timings: Timings::default(),
            is_cached: false,
            key: None,
        }
    }

    fn seeded(seed: u64) -> Sampling {
        Sampling { seed: Some(seed), ..Sampling::default() }
    }

    fn text(call: Result<ModelCall, String>) -> String {
        match call.unwrap().outcome {
            CallOutcome::Response(ModelResponse::Generate(answers)) => answers[0].text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_requests_get_their_answers_in_the_order_they_were_given() {
        let calls = [
            asked(Phase::Solve, generation("a", seeded(host_seed(SEED, 0, 0))), "first"),
            asked(Phase::Solve, generation("a", seeded(host_seed(SEED, 1, 0))), "second"),
            // Judging counts its calls anew.
            asked(Phase::Score, generation("a", seeded(host_seed(SEED, 0, 0))), "third"),
        ];
        let recorded = RecordedCalls::new(calls, SEED);
        let open = generation("a", Sampling::default());
        let answers = [0, 1, 2].map(|_| text(recorded.take("subject", &open)));
        assert_eq!(answers, ["first", "second", "third"]);
        let error = recorded.take("subject", &open).unwrap_err();
        assert!(error.contains("`generate` call of `subject` more than 3 times"), "{error}");
    }

    #[test]
    fn a_seed_that_the_guest_chose_tells_requests_apart() {
        let recorded = RecordedCalls::new([asked(Phase::Solve, generation("a", seeded(1)), "one")], SEED);
        assert!(recorded.take("subject", &generation("a", seeded(2))).is_err());
        assert!(recorded.take("subject", &generation("a", Sampling::default())).is_err());
        assert!(recorded.take("judge", &generation("a", seeded(1))).is_err());
        assert_eq!(text(recorded.take("subject", &generation("a", seeded(1)))), "one");
    }

    #[test]
    fn a_setting_that_is_not_a_number_is_not_an_absent_one() {
        let odd = Sampling { temperature: Some(f32::NAN), ..seeded(1) };
        let recorded = RecordedCalls::new([asked(Phase::Solve, generation("a", odd.clone()), "odd")], SEED);
        assert!(recorded.take("subject", &generation("a", seeded(1))).is_err());
        assert_eq!(text(recorded.take("subject", &generation("a", odd))), "odd");
    }

    #[test]
    fn what_was_not_recorded_is_named_by_how_it_begins() {
        let recorded = RecordedCalls::new([], SEED);
        let long = format!("Question:\n{}", "x".repeat(500));
        let error = recorded.take("subject", &generation(&long, Sampling::default())).unwrap_err();
        let expected = format!("it begins with \"Question:\\n{}…\"", "x".repeat(70));
        assert!(error.ends_with(&expected), "{error}");
    }
}
