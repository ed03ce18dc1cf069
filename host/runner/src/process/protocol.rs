//! What parent and child say to each other: messages in `MessagePack`, each after its length.
//!
//! `MessagePack` describes itself, as tagged requests need, keeps every float bit for bit, which JSON does not, and
//! copies long prompts instead of escaping them.

use std::ffi::OsString;
use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read};
use std::time::Duration;

use llm_bench_core::model::{ModelAnswer, ModelRequest};
use llm_bench_core::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::inspection::Description;
use crate::runner::RunnerConfig;

/// The longest message. All requests of one guest together are far shorter.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// Bytes of a message's length, which stands before it: the number in little-endian order.
const PREFIX_BYTES: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToChild {
    /// The first message.
    Begin(Box<Setup>),
    Call {
        id: u64,
        request: ModelRequest,
    },
    /// Nobody waits for this call any more; it is answered all the same.
    Cancel {
        id: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromChild {
    /// The model is loaded.
    Opened,
    /// What was asked of [`Purpose::Describe`]; the child ends.
    Described(Description),
    /// The model cannot be loaded or described; the child ends.
    Refused(Refusal),
    Answer {
        id: u64,
        answer: Result<ModelAnswer, Refusal>,
    },
    /// Sent now and then while there is work: the processor time that the process has used so far.
    Alive {
        processor: Duration,
    },
}

/// All that a child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) purpose: Purpose,
    /// The model's name, for messages.
    pub(super) name: String,
    pub(super) config: RunnerConfig,
    /// The model's folder.
    pub(super) model: OsString,
    pub(super) memory_bytes: Option<u64>,
    /// How often [`FromChild::Alive`] is sent.
    pub(super) beat: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Load the model and answer calls.
    Serve {
        /// The size of the model's files.
        bytes: u64,
    },
    /// Tell what can be told without the weights.
    Describe,
}

/// An error on its way; its source becomes a text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
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

/// Appends a message with its length.
///
/// # Errors
/// `message-too-large` when it is longer than [`MAX_MESSAGE_BYTES`]; `frames` is then as before.
pub(super) fn append(frames: &mut Vec<u8>, message: &impl Serialize) -> Result<(), Error> {
    let start = frames.len();
    frames.extend([0; PREFIX_BYTES]);
    // Fields by name: some are left out where they are empty.
    let written = rmp_serde::encode::write_named(frames, message);
    let length = frames.len() - start - PREFIX_BYTES;
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_MESSAGE_BYTES);
    let (Some(prefix), Ok(())) = (prefix, &written) else {
        frames.truncate(start);
        return Err(match written {
            Err(error) => {
                Error::internal("message-not-written", "a message to or from a model cannot be written")
                    .because(error)
            }
            Ok(()) => Error::too_large(
                "message-too-large",
                format!(
                    "a call of a model or its answer has {length} bytes; at most {MAX_MESSAGE_BYTES} are carried"
                ),
            ),
        });
    };
    frames[start..start + PREFIX_BYTES].copy_from_slice(&prefix.to_le_bytes());
    Ok(())
}

/// The next message; none at the end, if it comes between two messages.
///
/// A length that lies costs no memory: as much is taken as arrives.
pub(super) fn read<T: DeserializeOwned>(
    reader: &mut impl Read,
    frame: &mut Vec<u8>,
) -> std::io::Result<Option<T>> {
    frame.clear();
    reader.by_ref().take(PREFIX_BYTES as u64).read_to_end(frame)?;
    let prefix: [u8; PREFIX_BYTES] = match frame.as_slice().try_into() {
        Ok(prefix) => prefix,
        Err(_) if frame.is_empty() => return Ok(None),
        Err(_) => return Err(IoErrorKind::UnexpectedEof.into()),
    };
    let length = u64::from(u32::from_le_bytes(prefix));
    if length > MAX_MESSAGE_BYTES as u64 {
        return Err(IoError::new(IoErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    frame.clear();
    reader.by_ref().take(length).read_to_end(frame)?;
    if (frame.len() as u64) < length {
        return Err(IoErrorKind::UnexpectedEof.into());
    }
    let message = rmp_serde::from_slice(frame);
    // One long message must not hold its memory for ever.
    frame.shrink_to(1 << 20);
    message.map(Some).map_err(|error| IoError::new(IoErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests;
