//! Where a child is kept by those who may end it.

use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// A child from its start until it is waited for.
#[derive(Debug, Default)]
pub struct ChildSlot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    child: Option<Child>,
    is_unwanted: bool,
}

impl ChildSlot {
    /// Ends the child and what it started, at once; one that is only being started ends when it is.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.is_unwanted = true;
        state.kill();
    }

    /// The child's process id, while it is not waited for.
    pub fn id(&self) -> Option<u32> {
        self.lock().child.as_ref().map(Child::id)
    }

    pub(crate) fn adopt(&self, child: Child) {
        let mut state = self.lock();
        state.child = Some(child);
        if state.is_unwanted {
            state.kill();
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Ends the child if it still lives, and gives it up to be waited for.
    pub(crate) fn release(&self) -> Option<Child> {
        let mut state = self.lock();
        state.kill();
        state.child.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Kills the child's group; the id is its own until it is waited for.
    fn kill(&mut self) {
        let Some(child) = &mut self.child else { return };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let killed = group.map(|group| kill_process_group(group, Signal::KILL));
        if !matches!(killed, Some(Ok(())))
            && let Err(error) = child.kill()
        {
            tracing::warn!(%error, "a child process cannot be ended");
        }
    }
}
