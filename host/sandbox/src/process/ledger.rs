//! The calls that one child has at hand, and what its parent lets it ask.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use llm_bench_core::limits::Limits;
use llm_bench_core::sample::FailureKind;
use llm_bench_core::{Error, Result};
use llm_bench_process::{ChildSlot, Conversation};
use serde_bytes::ByteBuf;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::protocol::{Answer, Break, End, FromChild, Question, ToChild};
use super::watch::Watch;
use super::work::Output;
use crate::convert::lift::shown;
use crate::data_files::MOST_READ;
use crate::guest::{
    BACKTRACE_CHARS, Broken, Budget, Call, Files, Finished, GuestRuntime, MESSAGE_CHARS, Models,
    handover_bytes, most_fuel,
};

/// What a message has besides what a guest hands over.
const ENVELOPE_BYTES: u64 = 1 << 20;

pub(super) struct Ledger {
    label: String,
    slot: ChildSlot,
    runtime: Arc<GuestRuntime>,
    /// For the tasks that ask models.
    this: Weak<Self>,
    state: Mutex<State>,
}

struct State {
    /// None once the child has ended: who writes to it ends then.
    outbox: Option<Sender<ToChild>>,
    calls: HashMap<u64, AtHand>,
    next: u64,
    /// There until the child is ready.
    ready: Option<oneshot::Sender<Result<()>>>,
    refusal: Option<Error>,
    longest: u64,
    idle_since: Instant,
    watch: Watch,
    ended: Option<Error>,
}

/// A call that the child has not ended.
struct AtHand {
    /// None: nobody waits for it any more.
    end: Option<oneshot::Sender<Finished<Output>>>,
    limits: Limits,
    models: Arc<Models>,
    files: Files,
    budget: Budget,
    /// Cancelled when the call ends, so that models drop what it asked.
    cancel: CancellationToken,
    /// Whether a question is not answered yet.
    is_waiting: bool,
    /// Whether it has had the last sample of what it aggregates.
    is_fed: bool,
    /// Its share of the processor time that the child has used.
    computed: Duration,
    /// Its place among the guests that run at once, until the child is done with it.
    _place: OwnedSemaphorePermit,
}

impl Ledger {
    pub(super) fn new(
        label: String,
        runtime: Arc<GuestRuntime>,
        outbox: Sender<ToChild>,
        ready: oneshot::Sender<Result<()>>,
    ) -> Arc<Self> {
        let state = State {
            outbox: Some(outbox),
            calls: HashMap::new(),
            next: 0,
            ready: Some(ready),
            refusal: None,
            longest: ENVELOPE_BYTES,
            idle_since: Instant::now(),
            watch: Watch::default(),
            ended: None,
        };
        Arc::new_cyclic(|this| Self {
            label,
            slot: ChildSlot::default(),
            runtime,
            this: this.clone(),
            state: Mutex::new(state),
        })
    }

    /// Takes a call in and gives its id.
    ///
    /// # Errors
    /// Why the child ended, if it has.
    pub(super) fn enter(
        &self,
        call: &Call,
        cancel: CancellationToken,
        place: OwnedSemaphorePermit,
        end: oneshot::Sender<Finished<Output>>,
    ) -> Result<u64, (Error, OwnedSemaphorePermit)> {
        let mut state = self.lock();
        if let Some(error) = &state.ended {
            return Err((error.clone(), place));
        }
        let limits = call.limits;
        let id = state.next;
        state.next += 1;
        state.longest = state.longest.max(handover_bytes(&limits).saturating_add(ENVELOPE_BYTES));
        let call = AtHand {
            end: Some(end),
            limits,
            models: call.models.clone(),
            files: call.files.clone(),
            budget: budget(limits),
            cancel,
            is_waiting: false,
            is_fed: false,
            computed: Duration::ZERO,
            _place: place,
        };
        state.calls.insert(id, call);
        state.watch.asked();
        Ok(id)
    }

    /// Notes that nobody waits for a call, and tells the child once.
    pub(super) fn abandon(&self, id: u64) {
        if self.lock().calls.get_mut(&id).is_some_and(|call| call.end.take().is_some()) {
            self.send(ToChild::Cancel { id });
        }
    }

    pub(super) fn send(&self, message: ToChild) {
        // Where the far end is gone, the child's end fails the call.
        if let Some(outbox) = &self.lock().outbox {
            let _ = outbox.send(message);
        }
    }

    /// How long there has been no call.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.lock();
        (state.calls.is_empty() && state.ready.is_none()).then(|| state.idle_since.elapsed())
    }

    /// Ends a child without calls; says whether it had none.
    pub(super) fn retire(&self) -> bool {
        let state = self.lock();
        let is_idle = state.calls.is_empty();
        if is_idle {
            self.slot.kill();
            self.end_with(
                state,
                Error::unavailable("plugin-process-idle", "the plugin's process had nothing to do"),
            );
        }
        is_idle
    }

    /// Ends the child if what it has to do does not get on, or it computes what nobody asked of it.
    pub(super) fn end_if_stuck(&self) {
        let mut state = self.lock();
        let processor = self.slot.id().and_then(llm_bench_process::processor_time);
        let State { calls, watch, ready, .. } = &mut *state;
        let computing = calls.values_mut().filter(|call| !call.is_waiting);
        let computing = computing.map(|call| (&mut call.computed, call.limits.compute_timeout()));
        if let Some(reason) = watch.look(processor, computing.collect(), ready.is_some()) {
            self.slot.kill();
            tracing::warn!(process = self.label, reason, "a plugin's process is ended");
            self.end_with(state, ended(&format!("was ended: {reason}")));
        }
    }

    /// Fails everything that waits for the child.
    pub(super) fn end(&self, error: Error) {
        self.end_with(self.lock(), error);
    }

    fn end_with(&self, mut state: MutexGuard<'_, State>, error: Error) {
        if state.ended.is_some() {
            return;
        }
        let error = state.refusal.take().unwrap_or(error);
        state.ended = Some(error.clone());
        state.outbox = None;
        let (calls, ready) = (std::mem::take(&mut state.calls), state.ready.take());
        drop(state);
        if !calls.is_empty() {
            tracing::error!(process = self.label, calls = calls.len(), ?error, "a plugin's process ended");
        }
        for call in calls.into_values() {
            call.cancel.cancel();
            if let Some(end) = call.end {
                let _ = end.send(Finished::before_it_began(broken(&error)));
            }
        }
        if let Some(ready) = ready {
            let _ = ready.send(Err(error));
        }
    }

    pub(super) fn ended(&self) -> Option<Error> {
        self.lock().ended.clone()
    }

    fn question(&self, id: u64, question: Question) -> Result<(), String> {
        let mut state = self.lock();
        state.watch.asked();
        let call = state.calls.get_mut(&id).ok_or("it asked for a call that it does not have")?;
        if call.is_waiting {
            return Err("it asked twice at once for one call".to_owned());
        }
        if matches!(question, Question::Batch) {
            if !call.models.is_corpus() || call.is_fed {
                return Err("it asked for samples that it is not to have".to_owned());
            }
            // The child grants both anew for every batch. There are so many of these as the corpus has.
            call.budget = budget(call.limits);
            call.computed = Duration::ZERO;
        }
        // The child has counted the same, unless a stranger's code rules it.
        let counted = call.budget.count_call().and_then(|()| match &question {
            Question::Ask { request, .. } => call.budget.count_request(request),
            Question::ReadFile { name, offset, length } => {
                call.budget.count_data(call.files.available(name, *offset, *length))
            }
            Question::Open { .. } | Question::Batch | Question::FileSize { .. } => Ok(()),
        });
        counted.map_err(|ended| format!("it asked for more than a call may: {ended}"))?;
        call.is_waiting = true;
        let (models, files) = (call.models.clone(), call.files.clone());
        let (cancel, ledger) = (call.cancel.clone(), self.this.clone());
        drop(state);
        let answering = async move {
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                answer = answer(&models, &files, question, &cancel) => answer,
            };
            let Some(ledger) = ledger.upgrade() else { return };
            let mut state = ledger.lock();
            if let Some(call) = state.calls.get_mut(&id) {
                call.is_waiting = false;
                call.is_fed |= matches!(answer, Answer::Batch(Ok(None)));
            }
            state.watch.asked();
            drop(state);
            ledger.send(ToChild::Answer { id, answer });
        };
        self.runtime.start(answering).map_err(|error| error.message)
    }

    fn finished(&self, id: u64, end: End) -> Result<(), String> {
        let mut state = self.lock();
        let call = state.calls.remove(&id).ok_or("it ended a call that it does not have")?;
        state.watch.asked();
        if state.calls.is_empty() {
            state.idle_since = Instant::now();
        }
        drop(state);
        call.cancel.cancel();
        if let Some(sender) = call.end {
            let fuel = if call.models.is_corpus() { most_fuel(&call.limits) } else { call.limits.fuel };
            let _ = sender.send(bounded(end, &call.limits, fuel));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversation for Ledger {
    type ToChild = ToChild;
    type FromChild = FromChild;

    fn label(&self) -> &str {
        &self.label
    }

    fn slot(&self) -> &ChildSlot {
        &self.slot
    }

    fn longest(&self) -> usize {
        usize::try_from(self.lock().longest).unwrap_or(usize::MAX)
    }

    fn hear(&self, message: FromChild) -> Result<(), String> {
        match message {
            FromChild::Ready => {
                let mut state = self.lock();
                let ready = state.ready.take().ok_or("it was ready twice")?;
                state.watch.asked();
                drop(state);
                let _ = ready.send(Ok(()));
                Ok(())
            }
            FromChild::Refused(refusal) => {
                let mut state = self.lock();
                if state.ready.is_none() {
                    return Err("it refused a plugin that it had loaded".to_owned());
                }
                state.refusal = Some(refusal.into());
                Ok(())
            }
            FromChild::Question { id, question } => self.question(id, question),
            FromChild::Finished { id, end } => self.finished(id, end),
        }
    }

    fn undeliverable(&self, message: ToChild, error: Error) {
        match message {
            ToChild::Call { id, .. } => {
                let call = self.lock().calls.remove(&id);
                if let Some(end) = call.and_then(|call| call.end) {
                    let _ = end.send(Finished::before_it_began(broken(&error)));
                }
            }
            ToChild::Answer { id, .. } => {
                let error = crate::convert::lower::error(&error);
                self.send(ToChild::Answer { id, answer: Answer::Response(Err(error)) });
            }
            ToChild::Begin(_) | ToChild::Cancel { .. } => {}
        }
    }
}

async fn answer(models: &Models, files: &Files, question: Question, cancel: &CancellationToken) -> Answer {
    match question {
        Question::Open { part } => Answer::Opened(models.open(&part).await),
        Question::Batch => Answer::Batch(models.next_batch().await),
        Question::FileSize { name } => Answer::FileSize(files.size(&name).await),
        Question::ReadFile { name, offset, length } => {
            Answer::FileBytes(files.read(&name, offset, length).await.map(ByteBuf::from))
        }
        Question::Ask { part, request } => {
            Answer::Response(models.call(&part, request, cancel.child_token()).await)
        }
    }
}

/// What a call may ask. The child learns how much a read of a file gave only afterwards, and ends the guest then.
fn budget(limits: Limits) -> Budget {
    Budget::new(Limits { data_bytes: limits.data_bytes.saturating_add(MOST_READ.into()), ..limits })
}

/// The end of a process, in the words that its calls fail with.
pub(super) fn ended(how: &str) -> Error {
    Error::unavailable("plugin-process-ended", format!("the process of the plugin {how}"))
}

fn broken(error: &Error) -> Broken {
    Broken::new(FailureKind::ProcessEnded, error.message.clone())
}

/// What a child says of a call, held against what a call can be.
fn bounded(end: End, limits: &Limits, most_fuel: u64) -> Finished<Output> {
    let End { result, log, mut usage } = end;
    usage.fuel = usage.fuel.min(most_fuel);
    usage.peak_memory_bytes = usage.peak_memory_bytes.min(limits.memory_bytes);
    let result = result.map_err(|Break { kind, message, backtrace }| Broken {
        kind,
        message: shown(&message, MESSAGE_CHARS),
        backtrace: backtrace.map(|backtrace| shown(&backtrace, BACKTRACE_CHARS)),
    });
    // The log itself, and a line on what was dropped of it.
    let log = log.map(|log| shown(&log, limits.log_bytes as usize + 64));
    Finished { result, log, usage }
}
