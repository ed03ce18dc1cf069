//! Lines for the plugin's log, which the benchmark keeps. Natively, in tests, they go to stderr.
//!
//! ```no_run
//! llm_bench_plugin_sdk::log::warn("the row has two right answers, taking the first");
//! ```
//!
//! A panic needs no line: its message reaches the log by stderr.

use crate::bindings::logging::Level;

/// For the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Worth knowing.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Something is odd, the result stands.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Something failed.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::logging::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "natively there is no host to write to")]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
