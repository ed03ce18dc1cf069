//! One call of a plugin: its state, its budgets, what the host offers it, and how it ended.

mod budget;
mod clock;
mod failure;
mod host;
mod limiter;
mod log;
mod run;
mod state;
mod wasi;

pub(crate) use failure::{Broken, contract_error};
pub(crate) use host::link;
pub(crate) use run::{Call, Export, Finished, GuestRuntime, Program};
pub(crate) use state::GuestState;
#[expect(unreachable_pub, reason = "the generated code re-exports it as public")]
pub use state::OpenModel;
