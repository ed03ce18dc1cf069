//! What the repositories promise, against real files.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to a reader, if not to the lint")]

mod common;
mod comparison;
mod concurrency;
mod lifecycle;
mod lists;
mod open;
mod queue;
mod registries;
mod rescore;
mod response_cache;
mod samples;
mod tokens;
