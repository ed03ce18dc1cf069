//! The calls that a model's thread has taken, and their answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llm_bench_core::model::{LogLikelihood, ModelAnswer, ModelRequest, ModelResponse, Timings, TokenUsage};
use llm_bench_core::{Error, Result};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::engine::count;
use crate::generation::{Outcome, Phases};
use crate::lanes::AtHand;
use crate::scoring::RowScore;

/// A call on its way to the model's thread. Request and answer are plain data; the rest belongs to the channel.
pub(crate) struct Command {
    pub(crate) request: ModelRequest,
    pub(crate) cancel: CancellationToken,
    pub(crate) queued: Instant,
    pub(crate) answer: oneshot::Sender<Result<ModelAnswer>>,
    /// Where several threads serve the model.
    pub(crate) at_hand: Option<Arc<AtHand>>,
}

impl Command {
    /// A call that waits from now on, and the way its answer comes.
    pub(crate) fn new(
        request: ModelRequest,
        cancel: CancellationToken,
    ) -> (Self, oneshot::Receiver<Result<ModelAnswer>>) {
        let (answer, answered) = oneshot::channel();
        (Self { request, cancel, queued: Instant::now(), answer, at_hand: None }, answered)
    }
}

/// One request of a call: what is computed once may answer several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) call: usize,
    /// Index of the request in its call.
    pub(crate) request: usize,
}

/// The calls that are not answered yet.
#[derive(Default)]
pub(crate) struct Calls {
    waiting: HashMap<usize, Call>,
    next: usize,
    answered: usize,
}

struct Call {
    command: Command,
    response: ModelResponse,
    usage: TokenUsage,
    tokenize: Duration,
    phases: Phases,
    /// Rows that still have to run.
    outstanding: usize,
}

impl Calls {
    /// Takes a call whose answer is to be filled by `rows` rows, and returns its number.
    pub(crate) fn add(
        &mut self,
        command: Command,
        response: ModelResponse,
        prompt_tokens: u64,
        tokenize: Duration,
        rows: usize,
    ) -> usize {
        let number = self.next;
        self.next += 1;
        let call = Call {
            command,
            response,
            usage: TokenUsage { prompt: prompt_tokens, completion: 0 },
            tokenize,
            phases: Phases::default(),
            outstanding: rows,
        };
        self.waiting.insert(number, call);
        self.answer_if_done(number);
        number
    }

    /// How many calls were answered since this was asked last.
    pub(crate) fn take_answered(&mut self) -> usize {
        std::mem::take(&mut self.answered)
    }

    /// Whether somebody waits for the call. One that nobody waits for any more is answered here.
    pub(crate) fn is_wanted(&mut self, number: usize) -> bool {
        let Some(call) = self.waiting.get(&number) else { return false };
        let waits = !call.command.is_abandoned();
        if !waits {
            self.fail(number, Error::cancelled("the call to the model was cancelled"));
        }
        waits
    }

    /// Adds time spent in the model to each of these calls.
    pub(crate) fn spend(&mut self, numbers: impl IntoIterator<Item = usize>, phases: Phases) {
        let mut numbers: Vec<usize> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            if let Some(call) = self.waiting.get_mut(&number) {
                call.phases.prefill += phases.prefill;
                call.phases.decode += phases.decode;
            }
        }
    }

    pub(crate) fn scored(&mut self, place: Place, tokens: usize, score: RowScore) {
        let Some(call) = self.waiting.get_mut(&place.call) else { return };
        if let ModelResponse::LogLikelihood(answers) | ModelResponse::LogLikelihoodRolling(answers) =
            &mut call.response
            && let Some(LogLikelihood { sum, is_greedy, tokens: counted }) = answers.get_mut(place.request)
        {
            *sum += score.sum;
            *is_greedy &= score.is_greedy;
            *counted += count(tokens);
        }
        self.finish_row(place.call);
    }

    pub(crate) fn generated(&mut self, place: Place, outcome: Outcome) {
        let Some(call) = self.waiting.get_mut(&place.call) else { return };
        if let ModelResponse::Generate(answers) = &mut call.response
            && let Some(answer) = answers.get_mut(place.request)
        {
            answer.text = outcome.text;
            answer.finish_reason = outcome.finish_reason;
            answer.completion_tokens = outcome.tokens;
            call.usage.completion += u64::from(outcome.tokens);
        }
        self.finish_row(place.call);
    }

    pub(crate) fn fail(&mut self, number: usize, error: Error) {
        if let Some(call) = self.waiting.remove(&number) {
            self.answered += 1;
            // A receiver that is gone wants no answer.
            let _ = call.command.answer.send(Err(error));
        }
    }

    /// Fails every call.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        for number in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.fail(number, error.clone());
        }
    }

    fn finish_row(&mut self, number: usize) {
        if let Some(call) = self.waiting.get_mut(&number) {
            call.outstanding = call.outstanding.saturating_sub(1);
        }
        self.answer_if_done(number);
    }

    fn answer_if_done(&mut self, number: usize) {
        if self.waiting.get(&number).is_none_or(|call| call.outstanding > 0) {
            return;
        }
        let Some(call) = self.waiting.remove(&number) else { return };
        self.answered += 1;
        let busy = call.tokenize + call.phases.prefill + call.phases.decode;
        let timings = Timings {
            queue_ms: milliseconds(call.command.queued.elapsed().saturating_sub(busy)),
            tokenize_ms: milliseconds(call.tokenize),
            prefill_ms: milliseconds(call.phases.prefill),
            decode_ms: milliseconds(call.phases.decode),
        };
        let answer = ModelAnswer { response: call.response, usage: call.usage, timings };
        // A receiver that is gone wants no answer.
        let _ = call.command.answer.send(Ok(answer));
    }
}

impl Command {
    pub(crate) fn is_abandoned(&self) -> bool {
        self.cancel.is_cancelled() || self.answer.is_closed()
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
