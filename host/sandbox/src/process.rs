//! Guests in child processes, one for each plugin: what breaks out of a guest is confined to a process that has no
//! file, no connection, no key and no other plugin.
//!
//! The child is this program's own binary with a hidden subcommand, which calls [`run_guests_in_child`]. It runs calls
//! as the sandbox does in the process itself ([`crate::guest`]); what a guest asks of a model goes to the parent. The
//! parent trusts nothing that a child says: it counts again what guests ask, and lifts their output itself.
//! [`pool`] keeps the processes, [`ledger`] knows the calls of one, [`watch`] ends one that hangs, [`child`] is the
//! other end.

mod child;
mod ledger;
mod models;
mod parent;
mod pool;
mod protocol;
mod watch;
mod work;

pub use child::run_guests_in_child;
pub(crate) use models::ParentHost;
pub(crate) use pool::{GuestProcesses, IsolatedProgram};
pub(crate) use work::{Output, Portable};
