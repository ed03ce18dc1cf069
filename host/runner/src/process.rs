//! Models in child processes: a crash, a hang or a hunger for memory is the child's, and ends with it.
//!
//! The child is this program's own binary with a hidden subcommand, or whatever [`ModelCommand`] names; it calls
//! [`run_model_in_child`]. Parent and child talk over the child's standard input and output ([`protocol`]).
//! [`supervisor`] replaces a child that ended; [`parent`] is one child as its parent uses it, [`attendant`] the thread
//! that stays with it, [`ledger`] what both know; [`child`] is the other end.

mod activity;
mod attendant;
mod child;
mod confinement;
mod ending;
mod ledger;
mod parent;
mod protocol;
mod relay;
mod supervisor;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use child::run_model_in_child;
pub(crate) use parent::describe;
pub(crate) use supervisor::ProcessModel;

/// Where loaded models live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Isolation {
    /// On a thread of this process, which a model that crashes takes along.
    #[default]
    InProcess,
    /// Each in a child process of its own.
    Process(ProcessConfig),
}

/// How models live in child processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessConfig {
    pub command: ModelCommand,
    /// Memory that one model may reserve for itself; none: no limit but the machine's. Linux only.
    ///
    /// It is the kernel's limit on private writable memory (`RLIMIT_DATA`), which holds at every moment. Files that are
    /// only mapped, as external data may be, are the page cache's and do not count; copies that the library makes of
    /// weights, to compute faster, do.
    pub memory_bytes: Option<u64>,
    /// How long a model that has calls, or is being loaded, may take to answer any of them; longer is a hang.
    pub call_deadline: Duration,
}

impl ProcessConfig {
    /// No limit of memory, and a deadline of an hour: as long as a guest waits for its models by default.
    pub fn new(command: ModelCommand) -> Self {
        Self { command, memory_bytes: None, call_deadline: Duration::from_hours(1) }
    }
}

/// The program that runs a model: it ends with [`run_model_in_child`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCommand {
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

    fn add(&self, id: u32) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn remove(&self, id: u32) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
