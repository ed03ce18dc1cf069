//! Answers out of the record: what the models said to a sample before, given again to the same request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::sample::derive_seed;
use crate::model::{ModelRequest, Prompt};
use crate::sample::{ModelCall, Phase};

/// Characters of a prompt that an error shows.
const SHOWN: usize = 80;

/// The recorded calls of one sample, each given out once; after them those that stand for any sample, each given out
/// once to each.
///
/// A call is found by its part, its kind, the digest of its requests, and by which of the equal ones it is. A seed
/// that the guest left to the host is not part of that: it depends on how many calls were made before.
pub(super) struct RecordedCalls {
    own: CallTable,
    common: Arc<CallTable>,
    /// How many of each were given out.
    given: Mutex<HashMap<CallKey, usize>>,
}

/// Calls by what they are found by; equal ones in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTable(HashMap<CallKey, Vec<ModelCall>>);

type CallKey = [u8; 32];

impl CallTable {
    /// A call whose requests are to be found as they stand.
    pub(crate) fn add(&mut self, call: ModelCall) {
        self.add_as(&call.request.clone(), call);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add_as(&mut self, request: &ModelRequest, call: ModelCall) {
        self.0.entry(key(&call.part, request)).or_default().push(call);
    }

    fn equal(&self, key: &CallKey) -> &[ModelCall] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

impl RecordedCalls {
    /// `seed` is the sample's, from which seeds that guests left open were derived.
    pub(super) fn new(calls: impl IntoIterator<Item = ModelCall>, seed: u64, common: Arc<CallTable>) -> Self {
        let mut own = CallTable::default();
        let (mut solving, mut scoring) = (0, 0);
        for call in calls {
            let place = match call.phase {
                Phase::Score => &mut scoring,
                Phase::Solve | Phase::Read | Phase::Aggregate => &mut solving,
            };
            let mut request = call.request.clone();
            open_seeds(&mut request, seed, *place);
            *place += 1;
            own.add_as(&request, call);
        }
        Self { own, common, given: Mutex::default() }
    }

    /// The next call that was recorded of a request.
    ///
    /// # Errors
    /// A sentence that names the request, where there is none.
    pub(super) fn take(&self, part: &str, request: &ModelRequest) -> Result<ModelCall, String> {
        let key = key(part, request);
        let mut all_given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let given = all_given.entry(key).or_default();
        if let Some(call) = self.own.equal(&key).iter().chain(self.common.equal(&key)).nth(*given) {
            *given += 1;
            return Ok(call.clone());
        }
        let times = match *given {
            0 => String::new(),
            1 => " more than once".to_owned(),
            given => format!(" more than {given} times"),
        };
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

    fn of_sample(calls: impl IntoIterator<Item = ModelCall>) -> RecordedCalls {
        RecordedCalls::new(calls, SEED, Arc::default())
    }

    #[test]
    fn equal_requests_get_their_answers_in_the_order_they_were_given() {
        let calls = [
            asked(Phase::Solve, generation("a", seeded(host_seed(SEED, 0, 0))), "first"),
            asked(Phase::Solve, generation("a", seeded(host_seed(SEED, 1, 0))), "second"),
            // Judging counts its calls anew.
            asked(Phase::Score, generation("a", seeded(host_seed(SEED, 0, 0))), "third"),
        ];
        let recorded = of_sample(calls);
        let open = generation("a", Sampling::default());
        let answers = [0, 1, 2].map(|_| text(recorded.take("subject", &open)));
        assert_eq!(answers, ["first", "second", "third"]);
        let error = recorded.take("subject", &open).unwrap_err();
        assert!(error.contains("`generate` call of `subject` more than 3 times"), "{error}");
    }

    #[test]
    fn what_stands_for_any_sample_answers_after_what_was_recorded_of_this_one() {
        let mut common = CallTable::default();
        common.add(asked(Phase::Solve, generation("a", Sampling::default()), "common"));
        let common = Arc::new(common);
        let open = generation("a", Sampling::default());
        let own = asked(Phase::Solve, generation("a", seeded(host_seed(SEED, 0, 0))), "own");
        let first = RecordedCalls::new([own], SEED, common.clone());
        assert_eq!([0, 1].map(|_| text(first.take("subject", &open))), ["own", "common"]);
        assert!(first.take("subject", &open).unwrap_err().contains("more than 2 times"));
        let second = RecordedCalls::new([], SEED, common);
        assert_eq!(text(second.take("subject", &open)), "common");
        assert!(second.take("subject", &open).unwrap_err().contains("more than once"));
    }

    #[test]
    fn a_seed_that_the_guest_chose_tells_requests_apart() {
        let recorded = of_sample([asked(Phase::Solve, generation("a", seeded(1)), "one")]);
        assert!(recorded.take("subject", &generation("a", seeded(2))).is_err());
        assert!(recorded.take("subject", &generation("a", Sampling::default())).is_err());
        assert!(recorded.take("judge", &generation("a", seeded(1))).is_err());
        assert_eq!(text(recorded.take("subject", &generation("a", seeded(1)))), "one");
    }

    #[test]
    fn a_setting_that_is_not_a_number_is_not_an_absent_one() {
        let odd = Sampling { temperature: Some(f32::NAN), ..seeded(1) };
        let recorded = of_sample([asked(Phase::Solve, generation("a", odd.clone()), "odd")]);
        assert!(recorded.take("subject", &generation("a", seeded(1))).is_err());
        assert_eq!(text(recorded.take("subject", &generation("a", odd))), "odd");
    }

    #[test]
    fn what_was_not_recorded_is_named_by_how_it_begins() {
        let recorded = of_sample([]);
        let long = format!("Question:\n{}", "x".repeat(500));
        let error = recorded.take("subject", &generation(&long, Sampling::default())).unwrap_err();
        let expected = format!("it begins with \"Question:\\n{}…\"", "x".repeat(70));
        assert!(error.ends_with(&expected), "{error}");
    }
}
