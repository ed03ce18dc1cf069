//! How a child ended, in the words that its calls fail with.

use llm_bench_core::Error;
use llm_bench_process::Ending;
use llm_bench_process::ending::{how, is_about_memory};

pub(super) fn hung(name: &str, reason: &str) -> Error {
    Error::unavailable(
        "model-hung",
        format!("the process of the model `{name}` hung and was ended: {reason}"),
    )
}

/// The error that a child's end is to its calls.
pub(super) fn error(
    name: &str,
    program: &std::path::Path,
    ending: Ending,
    memory_bytes: Option<u64>,
) -> Error {
    let unavailable = |code, message: String| Error::unavailable(code, message);
    match ending {
        Ending::NotStarted(error) => {
            let message = format!("cannot start a model's process {}", program.display());
            unavailable("model-start-failed", message).because(error)
        }
        Ending::NotAttended(error) => {
            unavailable("model-thread-failed", "no thread could be started for the model".to_owned())
                .because(error)
        }
        Ending::Garbled(wrong) => {
            let message = format!("the process of the model `{name}` sent no sense and was ended");
            unavailable("model-crashed", message).because(wrong)
        }
        Ending::Ended { said, .. } if memory_bytes.is_some() && is_about_memory(&said) => {
            memory_limit(name, memory_bytes.unwrap_or_default())
        }
        Ending::Ended { status, said } => {
            let how = how(status, &said);
            unavailable("model-crashed", format!("the process of the model `{name}` crashed: {how}"))
        }
        Ending::Lost => crate::thread::failed(name),
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(name: &str, status: ExitStatus, said: &str, memory_bytes: Option<u64>) -> Error {
        let ending = Ending::Ended { status, said: said.to_owned() };
        error(name, std::path::Path::new("runner"), ending, memory_bytes)
    }

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
