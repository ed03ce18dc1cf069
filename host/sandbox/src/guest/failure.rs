//! How a guest ended, told by a named kind and a sentence.

use std::str::Utf8Error;

use llm_bench_core::limits::Limits;
use llm_bench_core::sample::{Failure, FailureKind, Phase};
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::budget::Ended;
use super::clock::Stop;
use super::run::handover_bytes;
use super::state::GuestState;
use crate::bindings::llm_bench::plugin::types::{self, ErrorCode};
use crate::convert::lift::shown;

/// Longest message that is taken over from a guest, in characters.
pub(crate) const MESSAGE_CHARS: usize = 2000;
pub(crate) const BACKTRACE_CHARS: usize = 4000;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    pub(crate) backtrace: Option<String>,
}

impl Broken {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), backtrace: None }
    }

    /// What the guest returned is not what the contract asks for.
    pub(crate) fn output(wrong: &str) -> Self {
        Self::new(FailureKind::InvalidOutput, format!("the plugin's output is refused: {wrong}"))
    }

    pub(crate) fn into_failure(self, phase: Phase, log: Option<String>) -> Failure {
        Failure { kind: self.kind, phase, message: self.message, backtrace: self.backtrace, log }
    }

    /// Nobody wants the call any more.
    pub(crate) fn cancelled(limits: &Limits) -> Self {
        Self::stopped(Stop::Cancelled, limits)
    }

    /// The guest was stopped from outside.
    pub(super) fn stopped(stop: Stop, limits: &Limits) -> Self {
        let (compute, model) = (limits.compute_timeout_ms, limits.model_timeout_ms);
        match stop {
            Stop::ComputeTimeout => {
                Self::new(FailureKind::Timeout, format!("the plugin computed for longer than {compute} ms"))
            }
            Stop::ModelTimeout => Self::new(
                FailureKind::Timeout,
                format!("the plugin waited for models for longer than {model} ms"),
            ),
            Stop::Cancelled => Self::new(FailureKind::Internal, "the call was cancelled"),
        }
    }

    /// The guest did not return.
    pub(super) fn ended(error: &wasmtime::Error, state: &GuestState, limits: &Limits) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).filter(|frames| !frames.is_empty());
        let (kind, message) = classify(error, state, limits);
        Self { kind, message, backtrace }
    }
}

fn classify(error: &wasmtime::Error, state: &GuestState, limits: &Limits) -> (FailureKind, String) {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return (ended.kind, ended.message.clone());
    }
    let trap = error.downcast_ref::<Trap>();
    match trap {
        Some(Trap::OutOfFuel) => {
            let message = format!("the plugin burnt all of its {} units of fuel", limits.fuel);
            return (FailureKind::FuelExhausted, message);
        }
        Some(Trap::StackOverflow) => {
            return (
                FailureKind::StackOverflow,
                "the plugin's calls nest too deeply for its stack".to_owned(),
            );
        }
        _ => {}
    }
    if state.limiter.denied {
        let most = mebibytes(state.limiter.limit_bytes());
        return (FailureKind::MemoryLimit, format!("the plugin wanted more memory than its {most}"));
    }
    if let Some(trap) = trap {
        let panic = (*trap == Trap::UnreachableCodeReached).then(|| state.log.text()).flatten();
        return (FailureKind::Trap, panic.as_deref().and_then(panicked).unwrap_or_else(|| trapped(*trap)));
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return (FailureKind::Exit, format!("the plugin ended itself with exit code {code}"));
    }
    if let Some(error) = error.downcast_ref::<Utf8Error>() {
        return (
            FailureKind::InvalidOutput,
            format!("the plugin handed over text that is no UTF-8: {error}"),
        );
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return (FailureKind::CallLimit, "the plugin holds more handles than its host grants".to_owned());
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return (FailureKind::Internal, format!("no room for another plugin: {error:#}"));
    }
    let reason = error.root_cause().to_string();
    // wasmtime keeps this error's type to itself.
    if reason.contains("fuel allocated for hostcalls has been exhausted") {
        let most = handover_bytes(limits);
        let message = format!("the plugin handed over more than {most} bytes at once");
        return (FailureKind::InvalidOutput, message);
    }
    (FailureKind::Trap, format!("the plugin was stopped: {}", shown(&reason, MESSAGE_CHARS)))
}

/// The guest returned an error of the contract.
pub(crate) fn contract_error(error: &types::Error) -> Broken {
    let kind = match error.code {
        ErrorCode::Denied => FailureKind::Denied,
        ErrorCode::InvalidSample => FailureKind::InvalidSample,
        ErrorCode::Model => FailureKind::ModelError,
        // A spent budget of the host ends the guest, so `limit` is the guest's own or the model's.
        ErrorCode::InvalidConfig | ErrorCode::Unsupported | ErrorCode::Limit | ErrorCode::Other => {
            FailureKind::PluginError
        }
    };
    let message = match error.message.trim() {
        "" => "the plugin failed and did not say why".to_owned(),
        message => shown(message, MESSAGE_CHARS),
    };
    Broken::new(kind, message)
}

fn trapped(trap: Trap) -> String {
    let reason = trap.to_string();
    format!("the plugin trapped: {}", reason.strip_prefix("wasm trap: ").unwrap_or(&reason))
}

/// What a Rust guest wrote to standard error when it panicked: the place, a colon, and the message on the next line.
fn panicked(log: &str) -> Option<String> {
    let (_, panic) = log.rsplit_once(" panicked at ")?;
    let (place, rest) = panic.split_once(":\n")?;
    let message = rest.lines().next().filter(|line| !line.is_empty())?;
    Some(format!("the plugin panicked: {} ({})", shown(message, MESSAGE_CHARS), shown(place, 200)))
}

/// The guest's frames, innermost first, without wasmtime's heading.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    let lines = text.lines().filter(|line| !line.starts_with("error while executing"));
    shown(&lines.collect::<Vec<_>>().join("\n"), BACKTRACE_CHARS)
}

fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panic_of_a_log_is_the_sentence() {
        let log = "hello\nthread '<unnamed>' (1) panicked at src/lib.rs:3:5:\nno luck\nnote: run with RUST_BACKTRACE\n";
        assert_eq!(panicked(log).unwrap(), "the plugin panicked: no luck (src/lib.rs:3:5)");
        assert_eq!(panicked("nothing happened"), None);
        assert_eq!(panicked("cut off panicked at src/lib"), None);
    }

    #[test]
    fn an_error_of_the_contract_keeps_its_sentence() {
        let error = |code, message: &str| {
            contract_error(&types::Error { code, message: message.into(), detail: Some("{".into()) })
        };
        let broken = error(ErrorCode::InvalidSample, "column `a`: missing");
        assert_eq!(
            (broken.kind, broken.message.as_str()),
            (FailureKind::InvalidSample, "column `a`: missing")
        );
        assert_eq!(error(ErrorCode::Other, " ").message, "the plugin failed and did not say why");
        assert!(error(ErrorCode::Other, &"x".repeat(1 << 20)).message.len() < 2010);
    }
}
