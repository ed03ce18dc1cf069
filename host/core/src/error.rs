//! The one error type of the domain.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What every port and service returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller must tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The caller's input is wrong; the same input fails again.
    Invalid,
    /// The named thing does not exist.
    NotFound,
    /// The request contradicts what is stored.
    Conflict,
    /// The caller, or a guest, is not allowed to do this.
    Denied,
    /// The input is larger than a limit.
    TooLarge,
    /// The input is well formed, but this build cannot serve it.
    Unsupported,
    /// Something needed is missing or busy; the same input may work later.
    Unavailable,
    /// The work was cancelled.
    Cancelled,
    /// A defect or a failing machine; the message is for the log, not for the client.
    Internal,
}

/// A failure with a kind for programs, a stable `code` slug, and a sentence for people.
///
/// The message is lower case without a final full stop, names the thing and, where there is one, the way out.
/// The source is context for the log only.
#[derive(Clone)]
pub struct Error {
    pub kind: ErrorKind,
    /// A stable slug such as `model-not-found`; the `type` of a problem document.
    pub code: Cow<'static, str>,
    pub message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), source: None }
    }

    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    pub fn denied(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, code, message)
    }

    pub fn too_large(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, code, message)
    }

    pub fn unsupported(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, code, message)
    }

    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled", message)
    }

    pub fn internal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, code, message)
    }

    /// Adds the cause, which goes to the log and to `Error::source`.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}/{}: {}", self.kind, self.code, self.message)?;
        if let Some(source) = &self.source {
            write!(formatter, " (because: {source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
