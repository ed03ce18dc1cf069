//! From a row to what the model reads: the one place that decides how description, examples and question become text
//! or a chat, as lm-evaluation-harness 0.4.13 does it.

#[cfg(feature = "template")]
mod prompted;
#[cfg(feature = "template")]
mod settings;
mod turn;

#[cfg(feature = "template")]
pub use prompted::{Prompted, TaskSettings};
#[cfg(feature = "template")]
pub use settings::{PromptSettings, Solved};
pub(crate) use turn::{Turn, as_chat, as_text, exchange};
