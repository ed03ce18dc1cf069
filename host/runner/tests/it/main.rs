//! The runner on real models with the real library: no part is replaced.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod batches;
mod calls;
mod failures;
mod families;
mod generation;
mod partings;
#[cfg(target_os = "linux")]
mod process;
mod providers;
mod reference;
mod sharing;
mod support;
mod tiny_llama;
