//! What is started, and what is alive.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A program that is started as a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildCommand {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// All that the child's environment holds.
    pub environment: Vec<(OsString, OsString)>,
}

/// The child processes that are alive, for those who measure what the program uses.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    ids: Arc<Mutex<BTreeSet<u32>>>,
}

impl Processes {
    /// Their process ids.
    pub fn ids(&self) -> Vec<u32> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    pub(crate) fn add(&self, id: u32) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    pub(crate) fn remove(&self, id: u32) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// The processor time that a process has used so far, as the kernel tells; none where it does not.
pub fn processor_time(id: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // After the command in parentheses the state is the third field; user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}
