//! How a child ended, in the words that its calls fail with.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use llm_bench_core::Error;

/// What allocators of Rust, C++ and ONNX Runtime say when they get no memory.
const OUT_OF_MEMORY: [&str; 5] =
    ["memory allocation of", "bad_alloc", "Failed to allocate memory", "Cannot allocate memory", "BFCArena"];

/// How much of what the child last said is repeated.
const SAID_CHARACTERS: usize = 300;

pub(super) fn hung(name: &str, reason: &str) -> Error {
    Error::unavailable(
        "model-hung",
        format!("the process of the model `{name}` hung and was ended: {reason}"),
    )
}

/// The error of a child that said something else than the protocol allows, and was ended for that.
pub(super) fn garbled(name: &str, error: &std::io::Error) -> Error {
    Error::unavailable(
        "model-crashed",
        format!("the process of the model `{name}` sent no sense and was ended"),
    )
    .because(error.to_string())
}

/// The error of a child that ended by itself; `said` is the end of its standard error.
pub(super) fn ended(name: &str, status: ExitStatus, said: &str, memory_bytes: Option<u64>) -> Error {
    if let Some(limit) = memory_bytes
        && is_about_memory(said)
    {
        return memory_limit(name, limit);
    }
    let how = match (status.signal(), status.code()) {
        (Some(9), _) => {
            "it was killed by signal 9 (by someone, or because the system ran out of memory)".to_owned()
        }
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, code) => format!("it ended with code {}", code.unwrap_or(-1)),
    };
    let last = last_line(said);
    let said = if last.is_empty() { String::new() } else { format!("; it said: {last}") };
    Error::unavailable("model-crashed", format!("the process of the model `{name}` crashed: {how}{said}"))
}

/// Gives an error that tells of missing memory the name of the limit that was hit.
pub(super) fn name_memory(error: Error, name: &str, memory_bytes: Option<u64>) -> Error {
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    match memory_bytes {
        Some(limit) if is_about_memory(&error.message) || is_about_memory(&source) => {
            memory_limit(name, limit).because(error)
        }
        _ => error,
    }
}

fn memory_limit(name: &str, limit: u64) -> Error {
    Error::unavailable(
        "model-memory-limit",
        format!("the model `{name}` needs more than the {} MiB of memory that it may take", limit >> 20),
    )
}

fn is_about_memory(text: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|words| text.contains(words))
}

fn last_line(said: &str) -> String {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    line.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SAID_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_with_its_signal_and_the_last_words() {
        let error = ended("m", ExitStatus::from_raw(11), "first\nfree(): invalid\u{7} pointer\n\n", None);
        assert_eq!(error.code, "model-crashed");
        assert!(error.message.contains("`m`") && error.message.contains("signal 11"), "{error}");
        assert!(error.message.ends_with("free(): invalid  pointer"), "{error}");
        assert!(ended("m", ExitStatus::from_raw(3 << 8), "", None).message.contains("code 3"));
    }

    #[test]
    fn missing_memory_is_the_limits_only_where_there_is_one() {
        let said = "memory allocation of 1024 bytes failed";
        assert_eq!(ended("m", ExitStatus::from_raw(6), said, Some(64 << 20)).code, "model-memory-limit");
        assert_eq!(ended("m", ExitStatus::from_raw(6), said, None).code, "model-crashed");
        let failed = || Error::internal("model-failed", "ONNX Runtime failed").because("std::bad_alloc");
        assert_eq!(name_memory(failed(), "m", Some(64 << 20)).code, "model-memory-limit");
        assert_eq!(name_memory(failed(), "m", None).code, "model-failed");
    }
}
