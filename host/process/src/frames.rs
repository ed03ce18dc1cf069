//! Messages in `MessagePack`, each after its length.
//!
//! `MessagePack` describes itself, as tagged requests need, keeps every float bit for bit, which JSON does not, and
//! copies long prompts instead of escaping them.

use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read};

use llm_bench_core::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message. All requests of one guest together are far shorter.
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// Bytes of a message's length, which stands before it: the number in little-endian order.
const PREFIX_BYTES: usize = 4;

/// Appends a message with its length.
///
/// # Errors
/// `message-too-large` when it is longer than [`MAX_MESSAGE_BYTES`]; `frames` is then as before.
pub fn append(frames: &mut Vec<u8>, message: &impl Serialize) -> Result<(), Error> {
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
                Error::internal("message-not-written", "a message between processes cannot be written")
                    .because(error)
            }
            Ok(()) => Error::too_large(
                "message-too-large",
                format!("a call or its answer has {length} bytes; at most {MAX_MESSAGE_BYTES} are carried"),
            ),
        });
    };
    frames[start..start + PREFIX_BYTES].copy_from_slice(&prefix.to_le_bytes());
    Ok(())
}

/// The next message; none at the end, if it comes between two messages.
///
/// A length that lies costs no memory: as much is taken as arrives. One of more than `most` bytes is an error.
pub fn read<T: DeserializeOwned>(
    reader: &mut impl Read,
    frame: &mut Vec<u8>,
    most: impl FnOnce() -> usize,
) -> std::io::Result<Option<T>> {
    frame.clear();
    reader.by_ref().take(PREFIX_BYTES as u64).read_to_end(frame)?;
    let prefix: [u8; PREFIX_BYTES] = match frame.as_slice().try_into() {
        Ok(prefix) => prefix,
        Err(_) if frame.is_empty() => return Ok(None),
        Err(_) => return Err(IoErrorKind::UnexpectedEof.into()),
    };
    let length = u64::from(u32::from_le_bytes(prefix));
    if length > most() as u64 {
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
