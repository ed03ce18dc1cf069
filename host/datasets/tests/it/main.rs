//! The reader on real files.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod files;
mod folders;
mod rows;
mod support;
