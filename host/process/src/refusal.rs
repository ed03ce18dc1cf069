//! An error on its way between processes.

use llm_bench_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// An [`Error`] whose source has become a text.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    kind: ErrorKind,
    code: String,
    message: String,
    because: Option<String>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let because = std::error::Error::source(&error).map(ToString::to_string);
        Self { kind: error.kind, code: error.code.into_owned(), message: error.message, because }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let error = Error::new(refusal.kind, refusal.code, refusal.message);
        match refusal.because {
            Some(source) => error.because(source),
            None => error,
        }
    }
}
