//! The calls that a child has to answer, and what is known of the child: shared by all who deal with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use llm_bench_core::model::ModelAnswer;
use llm_bench_core::{Error, Result};
use llm_bench_process::frames::MAX_MESSAGE_BYTES;
use llm_bench_process::{ChildSlot, Conversation};
use tokio::sync::oneshot;

use super::activity::Activity;
use super::parent::Readiness;
use super::protocol::{FromChild, ToChild};
use super::{ProcessConfig, ending};

pub(super) struct Ledger {
    pub(super) name: String,
    /// The model, for the log.
    label: String,
    slot: ChildSlot,
    pub(super) config: ProcessConfig,
    state: Mutex<State>,
}

/// How a child ended.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) error: Error,
    pub(super) at: Instant,
    /// Whether it had answered a call well.
    pub(super) was_useful: bool,
}

struct State {
    /// Calls that the child has not answered; those that nobody waits for any more have no sender.
    calls: HashMap<u64, Option<oneshot::Sender<Result<ModelAnswer>>>>,
    next: u64,
    /// There until the child is ready.
    ready: Option<oneshot::Sender<Result<Readiness>>>,
    activity: Activity,
    was_useful: bool,
    /// What the child said before it ended by itself.
    refusal: Option<Error>,
    /// Nobody wants the child any more.
    is_dismissed: bool,
    ended: Option<Ended>,
}

impl Ledger {
    pub(super) fn new(name: &str, config: ProcessConfig, ready: oneshot::Sender<Result<Readiness>>) -> Self {
        let state = State {
            calls: HashMap::new(),
            next: 0,
            ready: Some(ready),
            activity: Activity::new(Instant::now()),
            was_useful: false,
            refusal: None,
            is_dismissed: false,
            ended: None,
        };
        let label = format!("model {name}");
        Self { name: name.to_owned(), label, slot: ChildSlot::default(), config, state: Mutex::new(state) }
    }

    /// Takes a call in and gives its id.
    ///
    /// # Errors
    /// Why the child ended, if it has.
    pub(super) fn enter(&self, answer: oneshot::Sender<Result<ModelAnswer>>) -> Result<u64> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.error.clone());
        }
        if !state.is_busy() {
            state.activity.restart(Instant::now());
        }
        let id = state.next;
        state.next += 1;
        state.calls.insert(id, Some(answer));
        Ok(id)
    }

    /// Notes that nobody waits for a call; says whether the child still has to be told. Its answer is still due: a
    /// child that does not give it is stuck.
    pub(super) fn abandon(&self, id: u64) -> bool {
        self.lock().calls.get_mut(&id).is_some_and(|sender| sender.take().is_some())
    }

    /// Notes what the child says.
    fn note(&self, message: FromChild) {
        let now = Instant::now();
        let mut state = self.lock();
        match message {
            FromChild::Opened => state.is_ready(Readiness::Opened, now),
            FromChild::Described(description) => {
                state.is_ready(Readiness::Described(description), now);
                // That was all it is for.
                state.is_dismissed = true;
            }
            FromChild::Refused(refusal) => state.refusal = Some(refusal.into()),
            FromChild::Answer { id, answer } => {
                // An answer to what was not asked is no sign of work.
                let Some(call) = state.calls.remove(&id) else { return };
                state.activity.answered(now);
                state.was_useful |= answer.is_ok();
                drop(state);
                if let Some(sender) = call {
                    let _ = sender.send(answer.map_err(Error::from));
                }
            }
            FromChild::Alive { processor, turn } => state.activity.alive(processor, turn, now),
        }
    }

    /// Nobody wants the child any more.
    pub(super) fn dismiss(&self) {
        self.lock().is_dismissed = true;
        self.slot.kill();
    }

    /// What the child did lately could not be seen.
    pub(super) fn forgive(&self, now: Instant) {
        self.lock().activity.restart(now);
    }

    /// Ends the child if it has work and does not get on with it.
    pub(super) fn end_if_stuck(&self, now: Instant) {
        let state = self.lock();
        if !state.is_busy() {
            return;
        }
        if let Some(reason) = state.activity.overdue(self.config.call_deadline, now) {
            self.slot.kill();
            // Not only when its pipes close: a child of the child may hold them open. And before anybody learns that it
            // was killed, who would take that for a crash.
            self.end_with(state, ending::hung(&self.name, &reason));
        }
    }

    /// Fails everything that waits for the child. What it said itself, or was ended for, comes before `error`.
    pub(super) fn end(&self, error: Error) {
        self.end_with(self.lock(), error);
    }

    fn end_with(&self, mut state: MutexGuard<'_, State>, error: Error) {
        if state.ended.is_some() {
            return;
        }
        let was_loaded = state.ready.is_none();
        let error = state.refusal.take().unwrap_or(error);
        state.ended = Some(Ended { error: error.clone(), at: Instant::now(), was_useful: state.was_useful });
        let (calls, ready) = (std::mem::take(&mut state.calls), state.ready.take());
        let is_dismissed = state.is_dismissed;
        drop(state);
        if was_loaded && !is_dismissed {
            tracing::error!(model = self.name, calls = calls.len(), ?error, "a model's process ended");
        }
        for sender in calls.into_values().flatten() {
            let _ = sender.send(Err(error.clone()));
        }
        if let Some(ready) = ready {
            let _ = ready.send(Err(error));
        }
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    /// The error of a call whose sender was lost.
    pub(super) fn lost(&self) -> Error {
        self.ended().map_or_else(|| crate::thread::failed(&self.name), |ended| ended.error)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.ready.is_some() || !self.calls.is_empty()
    }

    fn is_ready(&mut self, readiness: Readiness, now: Instant) {
        self.activity.restart(now);
        if let Some(ready) = self.ready.take() {
            // A model whose loading was given up is dismissed.
            let _ = ready.send(Ok(readiness));
        }
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
        MAX_MESSAGE_BYTES
    }

    fn hear(&self, message: FromChild) -> Result<(), String> {
        self.note(message);
        Ok(())
    }

    fn undeliverable(&self, message: ToChild, error: Error) {
        if let ToChild::Call { id, .. } = message
            && let Some(Some(sender)) = self.lock().calls.remove(&id)
        {
            // A receiver that is gone wants no answer.
            let _ = sender.send(Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use llm_bench_process::ChildCommand;

    fn ledger() -> (Ledger, oneshot::Receiver<Result<Readiness>>) {
        let command = ChildCommand { program: "none".into(), arguments: vec![], environment: vec![] };
        let (ready, readiness) = oneshot::channel();
        (Ledger::new("m", ProcessConfig::new(command), ready), readiness)
    }

    /// Long after every deadline.
    fn later() -> Instant {
        Instant::now() + Duration::from_secs(100_000)
    }

    #[test]
    fn a_child_that_is_never_ready_is_stuck() {
        let (ledger, mut readiness) = ledger();
        ledger.end_if_stuck(later());
        assert_eq!(readiness.try_recv().unwrap().err().unwrap().code, "model-hung");
    }

    #[test]
    fn a_child_without_a_call_is_idle_and_one_with_a_call_is_stuck_even_if_nobody_waits_for_it() {
        let (ledger, mut readiness) = ledger();
        ledger.note(FromChild::Opened);
        assert!(matches!(readiness.try_recv(), Ok(Ok(Readiness::Opened))));
        ledger.end_if_stuck(later());
        assert!(ledger.ended().is_none());

        let (answer, _) = oneshot::channel();
        let id = ledger.enter(answer).unwrap();
        assert!(ledger.abandon(id), "the child is told");
        assert!(!ledger.abandon(id), "and not twice");
        ledger.end_if_stuck(later());
        assert_eq!(ledger.ended().unwrap().error.code, "model-hung");
        assert_eq!(ledger.enter(oneshot::channel().0).unwrap_err().code, "model-hung");
    }

    #[test]
    fn all_calls_fail_by_what_came_first() {
        let (ledger, _readiness) = ledger();
        let (answer, mut answered) = oneshot::channel();
        ledger.enter(answer).unwrap();
        ledger.note(FromChild::Refused(Error::invalid("model-file-broken", "why").into()));
        ledger.end(Error::unavailable("model-crashed", "it ended"));
        ledger.end(Error::unavailable("model-hung", "too late"));
        assert_eq!(answered.try_recv().unwrap().unwrap_err().code, "model-file-broken");
    }
}
