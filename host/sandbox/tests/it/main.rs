//! The sandbox against real components: the built-in plugins, and one that misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod admission;
mod aggregation;
#[expect(dead_code, reason = "the corpus of broken files uses the rest")]
mod bomb;
mod built_in;
mod compiler;
mod crossing;
mod data_files;
mod hostile;
mod inspection;
mod isolation;
mod limits;
mod signature;
mod support;
mod task;
mod turns;
