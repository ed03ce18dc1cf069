//! What a guest writes: standard output, standard error and its log, of which the end is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::convert::lift::harmless;

/// Bytes that one write may hand over.
const WRITE_BYTES: usize = 65_536;

/// A bounded log. Clones share it.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Tail>>);

struct Tail {
    bytes: VecDeque<u8>,
    capacity: usize,
    dropped: u64,
}

impl Log {
    pub(super) fn new(capacity: u32) -> Self {
        let tail = Tail { bytes: VecDeque::new(), capacity: capacity as usize, dropped: 0 };
        Self(Arc::new(Mutex::new(tail)))
    }

    pub(super) fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(bytes);
    }

    /// The text that was kept, if anything was written. Control characters, which could steer a terminal, are
    /// replaced.
    pub(super) fn text(&self) -> Option<String> {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.bytes.is_empty() {
            return None;
        }
        let dropped = tail.dropped;
        let text = String::from_utf8_lossy(tail.bytes.make_contiguous());
        let text: String = text.chars().map(harmless).collect();
        Some(if dropped == 0 { text } else { format!("[{dropped} bytes before]\n{text}") })
    }
}

impl Tail {
    fn append(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.capacity)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.dropped += (excess + bytes.len() - kept.len()) as u64;
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Never asked by the interfaces that are linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[async_trait::async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl OutputStream for Log {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::Log;

    #[test]
    fn the_end_is_kept_and_says_what_is_missing() {
        let log = Log::new(8);
        assert_eq!(log.text(), None);
        log.append(b"abc");
        assert_eq!(log.text().unwrap(), "abc");
        log.append(b"0123456789");
        assert_eq!(log.text().unwrap(), "[5 bytes before]\n23456789");
        log.append(b"x");
        assert_eq!(log.text().unwrap(), "[6 bytes before]\n3456789x");
    }

    #[test]
    fn what_is_no_text_becomes_text() {
        let log = Log::new(64);
        log.append(b"\x1b[31m\xff\tred\n");
        assert_eq!(log.text().unwrap(), "\u{fffd}[31m\u{fffd}\tred\n");
    }

    #[test]
    fn a_log_of_no_bytes_keeps_nothing() {
        let log = Log::new(0);
        log.append(b"abc");
        assert_eq!(log.text(), None);
    }
}
