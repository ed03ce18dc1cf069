//! How a child ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What allocators of Rust, C++ and ONNX Runtime say when they get no memory.
const OUT_OF_MEMORY: [&str; 5] =
    ["memory allocation of", "bad_alloc", "Failed to allocate memory", "Cannot allocate memory", "BFCArena"];

/// How much of what the child last said is repeated.
const SAID_CHARACTERS: usize = 300;

/// The signal of a forbidden system call.
#[cfg(target_os = "linux")]
const FORBIDDEN_CALL: Option<i32> = Some(rustix::process::Signal::SYS.as_raw());
#[cfg(not(target_os = "linux"))]
const FORBIDDEN_CALL: Option<i32> = None;

/// The end of a child, as its attendant saw it.
#[derive(Debug)]
pub enum Ending {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// A thread around it could not be started.
    NotAttended(std::io::Error),
    /// It said something else than was agreed, and was ended for that.
    Garbled(String),
    /// It ended; `said` is the end of its standard error.
    Ended { status: ExitStatus, said: String },
    /// Nobody knows: somebody else waited for it.
    Lost,
}

/// How a process ended, for a sentence that names it before: `it was ended by signal 11; it said: …`.
pub fn how(status: ExitStatus, said: &str) -> String {
    let how = match (status.signal(), status.code()) {
        (Some(9), _) => {
            "it was killed by signal 9 (by someone, or because the system ran out of memory)".to_owned()
        }
        (signal @ Some(_), _) if signal == FORBIDDEN_CALL => {
            "it made a system call that is forbidden to it".to_owned()
        }
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, code) => format!("it ended with code {}", code.unwrap_or(-1)),
    };
    match last_line(said).as_str() {
        "" => how,
        last => format!("{how}; it said: {last}"),
    }
}

/// Whether a text tells of missing memory.
pub fn is_about_memory(text: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|words| text.contains(words))
}

fn last_line(said: &str) -> String {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    line.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SAID_CHARACTERS)
        .collect()
}
