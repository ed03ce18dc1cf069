//! The thread of a model: takes calls from a channel and turns the scheduler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub(crate) use crate::calls::Command;
use crate::engine::Engine;
use crate::scheduler::Scheduler;

/// How long a silence ends the wait for calls that usually come together.
const SILENCE: Duration = Duration::from_micros(500);

/// Serves until every sender is gone. A defect that panics fails the calls at hand, not those after them.
///
/// Callers that were answered together soon ask again: an idle model waits for as many, until none comes for
/// [`SILENCE`], or they would split into batches that miss each other. A lone caller never waits.
pub(crate) fn serve(engine: &mut Engine, commands: &Receiver<Command>) {
    let mut scheduler = Scheduler::new(engine);
    loop {
        if scheduler.is_idle() {
            let Ok(first) = commands.recv() else { return };
            let expected = scheduler.take_answered();
            guarded(&mut scheduler, |scheduler| scheduler.admit(first));
            let mut admitted = 1;
            while admitted < expected
                && let Ok(next) = commands.recv_timeout(SILENCE)
            {
                guarded(&mut scheduler, |scheduler| scheduler.admit(next));
                admitted += 1;
            }
        }
        for command in commands.try_iter() {
            guarded(&mut scheduler, |scheduler| scheduler.admit(command));
        }
        guarded(&mut scheduler, Scheduler::turn);
    }
}

/// Tokenizers and templates are a stranger's too, not only graphs.
fn guarded<'engine>(scheduler: &mut Scheduler<'engine>, work: impl FnOnce(&mut Scheduler<'engine>)) {
    if catch_unwind(AssertUnwindSafe(|| work(scheduler))).is_err() {
        tracing::error!("the work for a model panicked; its calls failed");
        scheduler.give_up();
    }
}
