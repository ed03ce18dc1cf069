//! Child processes of the program's own binary, for what must not harm the program: a crash, a hang or a hunger for
//! memory is the child's, and ends with it.
//!
//! A parent starts a child by [`attend`], on a thread that stays with it to its end, and hears of it through a
//! [`Conversation`]; they exchange [`frames`] over the child's standard input and output. A child takes from itself
//! what it does not need by [`confinement`].

mod attendant;
mod command;
pub mod confinement;
pub mod ending;
pub mod frames;
pub mod pipes;
mod refusal;
mod relay;
mod slot;

pub use attendant::{Conversation, attend, start_thread};
pub use command::{ChildCommand, Processes, processor_time};
pub use ending::Ending;
pub use refusal::Refusal;
pub use slot::ChildSlot;
