//! Models in child processes: a crash, a hang or a hunger for memory is the child's, and ends with it.
//!
//! The child is this program's own binary with a hidden subcommand, or whatever [`ProcessConfig`] names; it calls
//! [`run_model_in_child`]. Parent and child talk over the child's standard input and output ([`protocol`]).
//! [`supervisor`] replaces a child that ended; [`parent`] is one child as its parent uses it, [`ledger`] what is known of
//! it; [`child`] is the other end.

mod activity;
mod child;
mod ending;
mod ledger;
mod parent;
mod protocol;
mod supervisor;

use std::time::Duration;

use llm_bench_process::ChildCommand;

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
    /// The program that runs a model: it ends with [`run_model_in_child`].
    pub command: ChildCommand,
    /// Memory that one model may reserve for itself; none: no limit but the machine's. Linux only.
    ///
    /// It is the kernel's limit on private writable memory (`RLIMIT_DATA`), which holds at every moment. Files that are
    /// only mapped, as external data may be, are the page cache's and do not count; copies that the library makes of
    /// weights, to compute faster, do.
    pub memory_bytes: Option<u64>,
    /// How long a model that has calls, or is being loaded, may take to answer any of them, and how long one of its threads
    /// may be at the same piece of work; longer is a hang.
    pub call_deadline: Duration,
}

impl ProcessConfig {
    /// No limit of memory, and a deadline of an hour: as long as a guest waits for its models by default.
    pub fn new(command: ChildCommand) -> Self {
        Self { command, memory_bytes: None, call_deadline: Duration::from_hours(1) }
    }
}
