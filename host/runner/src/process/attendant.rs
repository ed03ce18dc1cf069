//! The thread that starts a child, listens to it, and buries it.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use llm_bench_core::{Error, Result};

use super::ledger::Ledger;
use super::protocol::{ToChild, append, read};
use super::relay::relay;
use super::{Processes, ending};

/// How long a child may take to end once it has closed its output, and its standard error to close after that.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// ONNX Runtime would keep a database of what is run in the user's cache, to be uploaded to its makers.
const TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// Writes that come together are one up to here.
const WRITE_BYTES: usize = 1 << 20;

/// Starts the child and stays with it to its end.
pub(super) fn attend(ledger: &Arc<Ledger>, messages: Receiver<ToChild>, processes: &Processes) {
    let error = converse(ledger, messages, processes).unwrap_or_else(|error| error);
    ledger.end(error);
}

/// Gives the reason for the child's end.
///
/// # Errors
/// When it, or one of the threads around it, cannot be started.
fn converse(ledger: &Arc<Ledger>, messages: Receiver<ToChild>, processes: &Processes) -> Result<Error> {
    let command = &ledger.config.command;
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .env(TELEMETRY.0, TELEMETRY.1)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        // A group of its own: what a terminal sends to the parent's group is the parent's to handle.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let program = command.program.display();
            Error::unavailable("model-start-failed", format!("cannot start a model's process {program}"))
                .because(error)
        })?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let id = child.id();
    processes.add(id);
    ledger.adopt(child);
    let (farewell, last_words) = channel();
    let threads = match pipes {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            let (name, calls) = (ledger.name.clone(), ledger.clone());
            let relay = move || {
                // Nobody listens after the time of farewell.
                let _ = farewell.send(relay(&name, stderr));
            };
            start("log", relay)
                .and_then(|()| start("calls", move || write(&calls, stdin, &messages)))
                .map(|()| stdout)
        }
        _ => Err(Error::internal("model-start-failed", "a model's process has no pipes")),
    };
    let heard = threads.map(|stdout| listen(ledger, stdout));
    let status = bury(ledger, matches!(heard, Ok(None)));
    processes.remove(id);
    let said = last_words.recv_timeout(FAREWELL).unwrap_or_default();
    Ok(match (heard?, status) {
        (Some(garbled), _) => ending::garbled(&ledger.name, &garbled),
        (None, Some(status)) => ending::ended(&ledger.name, status, &said, ledger.config.memory_bytes),
        (None, None) => crate::thread::failed(&ledger.name),
    })
}

fn start(what: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(format!("model {what}")).spawn(work).map(drop).map_err(|error| {
        Error::unavailable("model-thread-failed", "no thread could be started for the model").because(error)
    })
}

/// Hears the child out; gives what made no sense.
fn listen(ledger: &Ledger, stdout: impl Read) -> Option<std::io::Error> {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    let mut frame = Vec::new();
    loop {
        match read(&mut reader, &mut frame) {
            Ok(Some(message)) => ledger.hear(message),
            // A message that breaks off is the child's end, not nonsense.
            Ok(None) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(error),
        }
    }
}

/// Writes what is sent to the child until its pipe closes or nobody can send any more.
fn write(ledger: &Ledger, mut stdin: ChildStdin, messages: &Receiver<ToChild>) {
    let mut frames = Vec::new();
    while let Ok(first) = messages.recv() {
        frames.clear();
        let mut next = Some(first);
        while let Some(message) = next {
            if let Err(error) = append(&mut frames, &message)
                && let ToChild::Call { id, .. } = message
            {
                ledger.fail(id, error);
            }
            next = if frames.len() < WRITE_BYTES { messages.try_recv().ok() } else { None };
        }
        if stdin.write_all(&frames).is_err() {
            // The child is gone: who listens to it says why.
            return;
        }
        frames.shrink_to(WRITE_BYTES);
    }
}

/// Waits for the child's end, if it has announced that by closing its output; one that lingers is killed.
fn bury(ledger: &Ledger, is_announced: bool) -> Option<ExitStatus> {
    let announced = Instant::now();
    while is_announced && !ledger.has_ended() && announced.elapsed() < FAREWELL {
        std::thread::sleep(LOOK);
    }
    ledger.release().and_then(|mut child| child.wait().ok())
}
