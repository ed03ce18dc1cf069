//! The thread of a model: takes the calls that wait, runs their rows in common batches, answers each call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use llm_bench_core::model::{LogLikelihood, ModelAnswer, ModelRequest, ModelResponse, Timings, TokenUsage};
use llm_bench_core::{Error, Result};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::batch::plan;
use crate::engine::{Engine, Prepared, Rows, count};
use crate::generation::{Order, Outcome, Phases};
use crate::scoring::{RowScore, ScoringRow};

/// A call on its way to the model's thread. Request and answer are plain data; the rest belongs to the channel.
pub(crate) struct Command {
    pub(crate) request: ModelRequest,
    pub(crate) cancel: CancellationToken,
    pub(crate) queued: Instant,
    pub(crate) answer: oneshot::Sender<Result<ModelAnswer>>,
}

/// How long a silence ends the wait for calls that usually come together.
const SILENCE: Duration = Duration::from_micros(500);

/// Serves until every sender is gone. A defect that panics fails the calls at hand, not those after them.
///
/// Callers that were answered together soon ask again: as many as the last time are waited for, until none comes for
/// [`SILENCE`], or they would split into batches that miss each other. A lone caller never waits.
pub(crate) fn serve(engine: &mut Engine, commands: &Receiver<Command>) {
    let mut expected = 1;
    while let Ok(first) = commands.recv() {
        let mut waiting = vec![first];
        waiting.extend(commands.try_iter());
        while waiting.len() < expected
            && let Ok(next) = commands.recv_timeout(SILENCE)
        {
            waiting.push(next);
        }
        expected = waiting.len();
        if catch_unwind(AssertUnwindSafe(|| Round::new(engine, waiting).run())).is_err() {
            tracing::error!("a batch of a model panicked; its calls failed");
        }
    }
}

/// The calls that waited together.
struct Round<'engine> {
    engine: &'engine mut Engine,
    calls: Vec<Call>,
    /// Rows of all calls.
    scoring: Vec<Pending<ScoringRow>>,
    generating: Vec<Pending<Order>>,
}

/// A row of a call.
struct Pending<T> {
    /// Index of the call in the round.
    call: usize,
    /// Index of the request in its call.
    request: usize,
    row: T,
}

struct Call {
    /// Taken when the call is answered.
    command: Option<Command>,
    response: ModelResponse,
    usage: TokenUsage,
    tokenize: Duration,
    phases: Phases,
    /// Rows that still have to run.
    outstanding: usize,
}

impl<'engine> Round<'engine> {
    fn new(engine: &'engine mut Engine, commands: Vec<Command>) -> Self {
        let mut round = Self { engine, calls: Vec::new(), scoring: Vec::new(), generating: Vec::new() };
        for command in commands {
            round.admit(command);
        }
        round
    }

    fn admit(&mut self, command: Command) {
        let started = Instant::now();
        let mut call = Call::new(command);
        let Some(command) = &call.command else { return };
        if command.is_abandoned() {
            call.fail(cancelled());
            return;
        }
        match self.engine.prepare(&command.request) {
            Ok(Prepared { rows, response, prompt_tokens }) => {
                call.response = response;
                call.usage.prompt = prompt_tokens;
                call.tokenize = started.elapsed();
                let index = self.calls.len();
                match rows {
                    Rows::Score(rows) => {
                        call.outstanding = rows.len();
                        self.scoring.extend(rows.into_iter().map(|(request, row)| Pending {
                            call: index,
                            request,
                            row,
                        }));
                    }
                    Rows::Generate(rows) => {
                        call.outstanding = rows.len();
                        let rows =
                            rows.into_iter().map(|(request, row)| Pending { call: index, request, row });
                        self.generating.extend(rows);
                    }
                }
                call.answer_if_done();
                self.calls.push(call);
            }
            Err(error) => call.fail(error),
        }
    }

    fn run(mut self) {
        let scoring = std::mem::take(&mut self.scoring);
        let lengths: Vec<usize> = scoring.iter().map(|pending| pending.row.input.len()).collect();
        for batch in plan(&lengths, self.engine.batch_tokens, |_| 0) {
            let rows = self.still_wanted(&scoring, batch);
            self.score(&rows);
        }
        let generating = std::mem::take(&mut self.generating);
        let prompt = |index: usize| generating[index].row.prompt.len();
        let lengths: Vec<usize> = generating
            .iter()
            .map(|pending| pending.row.prompt.len() + pending.row.settings.max_tokens)
            .collect();
        let pads_left = self.engine.pads_left();
        for batch in
            plan(&lengths, self.engine.batch_tokens, |index| if pads_left { 0 } else { prompt(index) })
        {
            let rows = self.still_wanted(&generating, batch);
            self.generate(&rows);
        }
    }

    /// The rows of a batch whose calls still wait; calls that were cancelled are answered here.
    fn still_wanted<'rows, T>(
        &mut self,
        rows: &'rows [Pending<T>],
        batch: Vec<usize>,
    ) -> Vec<&'rows Pending<T>> {
        batch
            .into_iter()
            .map(|index| &rows[index])
            .filter(|pending| self.calls[pending.call].is_wanted())
            .collect()
    }

    /// Runs a batch; when it fails, each of its rows alone, so that one row fails its own call only.
    fn score(&mut self, rows: &[&Pending<ScoringRow>]) {
        if rows.is_empty() {
            return;
        }
        let started = Instant::now();
        let inputs: Vec<&ScoringRow> = rows.iter().map(|pending| &pending.row).collect();
        let scores = self.engine.score(&inputs);
        self.spend(rows, Phases { prefill: started.elapsed(), decode: Duration::ZERO });
        match scores {
            Ok(scores) => {
                for (pending, score) in rows.iter().zip(scores) {
                    self.calls[pending.call].scored(pending.request, &pending.row, score);
                }
            }
            Err(error) => match rows {
                [pending] => self.calls[pending.call].fail(error),
                _ => rows.iter().for_each(|pending| self.score(&[pending])),
            },
        }
    }

    fn generate(&mut self, rows: &[&Pending<Order>]) {
        if rows.is_empty() {
            return;
        }
        let orders: Vec<&Order> = rows.iter().map(|pending| &pending.row).collect();
        let mut phases = Phases::default();
        let calls = &self.calls;
        let is_cancelled = |index: usize| !calls[rows[index].call].waits();
        let outcomes = self.engine.generate(&orders, &is_cancelled, &mut phases);
        self.spend(rows, phases);
        match outcomes {
            Ok(outcomes) => {
                for (pending, outcome) in rows.iter().zip(outcomes) {
                    let call = &mut self.calls[pending.call];
                    if call.is_wanted() {
                        call.generated(pending.request, outcome);
                    }
                }
            }
            Err(error) => match rows {
                [pending] => self.calls[pending.call].fail(error),
                _ => rows.iter().for_each(|pending| self.generate(&[pending])),
            },
        }
    }

    /// Books the time of a batch on each call that had a part in it.
    fn spend<T>(&mut self, rows: &[&Pending<T>], phases: Phases) {
        let mut calls: Vec<usize> = rows.iter().map(|pending| pending.call).collect();
        calls.sort_unstable();
        calls.dedup();
        for call in calls {
            self.calls[call].phases.prefill += phases.prefill;
            self.calls[call].phases.decode += phases.decode;
        }
    }
}

impl Command {
    fn is_abandoned(&self) -> bool {
        self.cancel.is_cancelled() || self.answer.is_closed()
    }
}

impl Call {
    fn new(command: Command) -> Self {
        Self {
            command: Some(command),
            response: ModelResponse::CountTokens(Vec::new()),
            usage: TokenUsage::default(),
            tokenize: Duration::ZERO,
            phases: Phases::default(),
            outstanding: 0,
        }
    }

    /// Whether somebody waits for the answer.
    fn waits(&self) -> bool {
        self.command.as_ref().is_some_and(|command| !command.is_abandoned())
    }

    /// As [`Self::waits`]; a call that nobody waits for any more is answered.
    fn is_wanted(&mut self) -> bool {
        let waits = self.waits();
        if !waits {
            self.fail(cancelled());
        }
        waits
    }

    fn fail(&mut self, error: Error) {
        if let Some(command) = self.command.take() {
            // A receiver that is gone wants no answer.
            let _ = command.answer.send(Err(error));
        }
    }

    fn scored(&mut self, request: usize, row: &ScoringRow, score: RowScore) {
        if let ModelResponse::LogLikelihood(answers) | ModelResponse::LogLikelihoodRolling(answers) =
            &mut self.response
            && let Some(LogLikelihood { sum, is_greedy, tokens }) = answers.get_mut(request)
        {
            *sum += score.sum;
            *is_greedy &= score.is_greedy;
            *tokens += count(row.targets.len());
        }
        self.finish_row();
    }

    fn generated(&mut self, request: usize, outcome: Outcome) {
        if let ModelResponse::Generate(answers) = &mut self.response
            && let Some(answer) = answers.get_mut(request)
        {
            answer.text = outcome.text;
            answer.finish_reason = outcome.finish_reason;
            answer.completion_tokens = outcome.tokens;
            self.usage.completion += u64::from(outcome.tokens);
        }
        self.finish_row();
    }

    fn finish_row(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.answer_if_done();
    }

    fn answer_if_done(&mut self) {
        if self.outstanding > 0 {
            return;
        }
        let Some(command) = self.command.take() else { return };
        let busy = self.tokenize + self.phases.prefill + self.phases.decode;
        let timings = Timings {
            queue_ms: milliseconds(command.queued.elapsed().saturating_sub(busy)),
            tokenize_ms: milliseconds(self.tokenize),
            prefill_ms: milliseconds(self.phases.prefill),
            decode_ms: milliseconds(self.phases.decode),
        };
        let response = std::mem::replace(&mut self.response, ModelResponse::CountTokens(Vec::new()));
        // A receiver that is gone wants no answer.
        let _ = command.answer.send(Ok(ModelAnswer { response, usage: self.usage, timings }));
    }
}

fn cancelled() -> Error {
    Error::cancelled("the call to the model was cancelled")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
