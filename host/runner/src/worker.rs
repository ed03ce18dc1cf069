//! The thread of a model: takes calls from a channel and turns the scheduler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use crate::calls::Command;
use crate::engine::Engine;
use crate::scheduler::Scheduler;

/// How long a silence ends the wait for calls that usually come together.
const SILENCE: Duration = Duration::from_micros(500);

/// Since when a model's thread has been at one piece of its work: taking a call in, or one turn of the scheduler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<Option<Instant>>>);

impl Turn {
    /// How long it takes already; nothing between two pieces.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        let began = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }

    fn set(&self, began: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }
}

/// Serves until every sender is gone. A defect that panics fails the calls at hand, not those after them.
///
/// Callers that were answered together soon ask again: an idle model waits for as many, until none comes for
/// [`SILENCE`], or they would split into batches that miss each other. A lone caller never waits.
pub(crate) fn serve(engine: &mut Engine, commands: &Receiver<Command>, turn: &Turn) {
    let mut scheduler = Scheduler::new(engine);
    loop {
        if scheduler.is_idle() {
            let Ok(first) = commands.recv() else { return };
            let expected = scheduler.take_answered();
            guarded(&mut scheduler, turn, |scheduler| scheduler.admit(first));
            let mut admitted = 1;
            while admitted < expected
                && let Ok(next) = commands.recv_timeout(SILENCE)
            {
                guarded(&mut scheduler, turn, |scheduler| scheduler.admit(next));
                admitted += 1;
            }
        }
        for command in commands.try_iter() {
            guarded(&mut scheduler, turn, |scheduler| scheduler.admit(command));
        }
        guarded(&mut scheduler, turn, Scheduler::turn);
    }
}

/// Tokenizers and templates are a stranger's too, not only graphs.
fn guarded<'engine>(
    scheduler: &mut Scheduler<'engine>,
    turn: &Turn,
    work: impl FnOnce(&mut Scheduler<'engine>),
) {
    turn.set(Some(Instant::now()));
    if catch_unwind(AssertUnwindSafe(|| work(scheduler))).is_err() {
        tracing::error!("the work for a model panicked; its calls failed");
        scheduler.give_up();
    }
    turn.set(None);
}
