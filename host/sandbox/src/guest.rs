//! One call of a plugin: its state, its budgets, what the host offers it, and how it ended.

mod budget;
mod clock;
mod corpus;
mod failure;
mod files;
mod host;
mod limiter;
mod log;
mod models;
mod run;
mod state;
mod wasi;

pub(crate) use budget::Budget;
pub(crate) use corpus::{Corpus, most_fuel, next_step};
pub(crate) use failure::{BACKTRACE_CHARS, Broken, MESSAGE_CHARS, contract_error};
pub(crate) use files::Files;
pub(crate) use host::linker;
pub(crate) use models::Models;
pub(crate) use run::{Call, Export, Finished, GuestRuntime, Program, handover_bytes};
pub(crate) use state::GuestState;
#[expect(unreachable_pub, reason = "the generated code re-exports it as public")]
pub use state::OpenModel;
