//! A child's standard error: its own log, and whatever its libraries write there.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

/// A line is cut here.
const LINE_BYTES: u64 = 4096;
/// Lines that are passed on in a [`WINDOW`].
const LINES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(10);
/// How much of the end is kept to tell why the child ended.
const TAIL_BYTES: usize = 8192;

/// Reads to the end, passes the lines on to the log of this process, and gives the last of them.
pub(crate) fn relay(name: &str, stderr: impl Read) -> String {
    let mut reader = BufReader::new(stderr);
    let mut throttle = Throttle::new(Instant::now());
    let mut tail = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        keep(&mut tail, &text);
        match throttle.admit(Instant::now()) {
            Admission::Pass { skipped } => {
                if skipped > 0 {
                    tracing::warn!(process = name, "{skipped} lines of a process's log were left out");
                }
                pass_on(name, text.trim_end());
            }
            Admission::Skip => {}
        }
    }
    if throttle.skipped > 0 {
        tracing::warn!(process = name, "{} lines of a process's log were left out", throttle.skipped);
    }
    tail
}

/// A line of the child's log begins with its level; any other comes from a library.
fn pass_on(name: &str, line: &str) {
    match level(line) {
        (Some("ERROR"), text) => tracing::error!(process = name, "{text}"),
        (Some("INFO"), text) => tracing::info!(process = name, "{text}"),
        (Some("DEBUG"), text) => tracing::debug!(process = name, "{text}"),
        (Some("TRACE"), text) => tracing::trace!(process = name, "{text}"),
        (_, "") => {}
        (_, text) => tracing::warn!(process = name, "{text}"),
    }
}

fn level(line: &str) -> (Option<&str>, &str) {
    let line = line.trim_start();
    match line.split_once(' ') {
        Some((level @ ("ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE"), text)) => {
            (Some(level), text.trim_start())
        }
        _ => (None, line),
    }
}

fn keep(tail: &mut String, text: &str) {
    tail.push_str(text);
    if tail.len() > TAIL_BYTES {
        let cut = tail.ceil_char_boundary(tail.len() - TAIL_BYTES);
        tail.drain(..cut);
    }
}

/// Lets so many lines pass in each window of time.
struct Throttle {
    window: Instant,
    passed: u32,
    skipped: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// `skipped` lines before it did not pass.
    Pass {
        skipped: u64,
    },
    Skip,
}

impl Throttle {
    fn new(now: Instant) -> Self {
        Self { window: now, passed: 0, skipped: 0 }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        if now.duration_since(self.window) >= WINDOW {
            self.window = now;
            self.passed = 0;
        }
        if self.passed == LINES {
            self.skipped += 1;
            return Admission::Skip;
        }
        self.passed += 1;
        Admission::Pass { skipped: std::mem::take(&mut self.skipped) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_kept_and_endless_ones_take_no_memory() {
        let flood = [vec![b'x'; 1 << 20], b"\nthe end\n".to_vec()].concat();
        let tail = relay("m", flood.as_slice());
        assert!(tail.ends_with("\nthe end\n") && tail.len() <= TAIL_BYTES, "{} bytes", tail.len());
    }

    #[test]
    fn lines_beyond_the_throttle_are_counted_not_passed() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        for _ in 0..LINES {
            assert_eq!(throttle.admit(start), Admission::Pass { skipped: 0 });
        }
        assert_eq!(throttle.admit(start), Admission::Skip);
        assert_eq!(throttle.admit(start), Admission::Skip);
        assert_eq!(throttle.admit(start + WINDOW), Admission::Pass { skipped: 2 });
        assert_eq!(throttle.admit(start + WINDOW), Admission::Pass { skipped: 0 });
    }

    #[test]
    fn the_level_of_a_log_line_is_told_from_the_words_of_a_library() {
        assert_eq!(level(" WARN a graph: odd"), (Some("WARN"), "a graph: odd"));
        assert_eq!(level("thread 'model' panicked"), (None, "thread 'model' panicked"));
        assert_eq!(level("ERROR"), (None, "ERROR"));
    }
}
