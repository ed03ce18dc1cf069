//! One child process, as its parent uses it.

use std::sync::Arc;
use std::sync::mpsc::channel;

use llm_bench_core::sample::FailureKind;
use llm_bench_core::{Error, Result};
use llm_bench_process::{ChildCommand, Ending, Processes, attend, ending, start_thread};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::ledger::{Ledger, ended};
use super::protocol::{Setup, ToChild};
use super::watch;
use super::work::{Output, Work};
use crate::convert::lift::PARTS;
use crate::guest::{Broken, Call, Finished, GuestRuntime};

/// A child process with a plugin. Dropping this ends it at once.
pub(super) struct GuestProcess {
    pub(super) ledger: Arc<Ledger>,
}

impl GuestProcess {
    /// Starts a child. Calls may be made at once; they wait until it is ready, and fail if it never is.
    pub(super) fn start(
        name: String,
        command: ChildCommand,
        setup: Setup,
        processes: Processes,
        runtime: &Arc<GuestRuntime>,
    ) -> (Self, oneshot::Receiver<Result<()>>) {
        let (ready, readiness) = oneshot::channel();
        let (outbox, messages) = channel();
        // The receiver is in this function.
        let _ = outbox.send(ToChild::Begin(setup));
        let ledger = Ledger::new(name, runtime.clone(), outbox, ready);
        let attended = ledger.clone();
        // The kernel ends the child with the thread that started it, so that thread must be the last to go.
        let thread = start_thread("plugin", move || {
            let ending = attend(&attended, &command, messages, &processes);
            attended.end(end(&command, ending));
        });
        let watched = Arc::downgrade(&ledger);
        let watching = runtime.start(async move {
            loop {
                tokio::time::sleep(watch::LOOK).await;
                let Some(ledger) = watched.upgrade().filter(|ledger| ledger.ended().is_none()) else {
                    return;
                };
                ledger.end_if_stuck();
            }
        });
        if let Some(error) = thread.err().map(not_attended).or(watching.err()) {
            ledger.end(error);
        }
        (Self { ledger }, readiness)
    }

    /// Has the child run a call.
    ///
    /// # Errors
    /// All that was given, where the child has ended before.
    pub(super) async fn call(
        &self,
        call: Call,
        place: OwnedSemaphorePermit,
        work: Work,
    ) -> Result<Finished<Output>, (Call, OwnedSemaphorePermit, Work)> {
        let (end, finished) = oneshot::channel();
        let cancel = call.cancel.child_token();
        let id = match self.ledger.enter(&call, cancel, place, end) {
            Ok(id) => id,
            Err((_, place)) => return Err((call, place, work)),
        };
        let _withdrawal = Withdrawal { ledger: &self.ledger, id };
        let mut lent = Vec::new();
        for part in PARTS {
            if call.models.open(part).await.is_ok() {
                lent.push(part.to_owned());
            }
        }
        self.ledger.send(ToChild::Call {
            id,
            limits: call.limits,
            seed: call.seed,
            lent,
            work: Box::new(work),
        });
        Ok(tokio::select! {
            biased;
            finished = finished => finished.unwrap_or_else(|_| lost()),
            () = call.cancel.cancelled() => Finished::before_it_began(Broken::cancelled(&call.limits)),
        })
    }
}

impl Drop for GuestProcess {
    fn drop(&mut self) {
        llm_bench_process::Conversation::slot(&*self.ledger).kill();
    }
}

/// Tells the child when a call ends without its answer.
struct Withdrawal<'ledger> {
    ledger: &'ledger Ledger,
    id: u64,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.ledger.abandon(self.id);
    }
}

fn lost() -> Finished<Output> {
    Finished::before_it_began(Broken::new(FailureKind::Internal, "the call of the plugin's process was lost"))
}

fn not_attended(error: std::io::Error) -> Error {
    Error::unavailable("plugin-process-start", "no thread could be started for the plugin").because(error)
}

fn end(command: &ChildCommand, ending: Ending) -> Error {
    match ending {
        Ending::NotStarted(error) => {
            let program = command.program.display();
            Error::unavailable("plugin-process-start", format!("cannot start the plugin's process {program}"))
                .because(error)
        }
        Ending::NotAttended(error) => not_attended(error),
        Ending::Garbled(wrong) => ended("broke the rules and was ended").because(wrong),
        Ending::Ended { said, .. } if ending::is_about_memory(&said) => {
            ended("wanted more memory than it may take")
        }
        Ending::Ended { status, said } => ended(&format!("ended: {}", ending::how(status, &said))),
        Ending::Lost => ended("was lost"),
    }
}
