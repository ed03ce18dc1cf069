//! The thread that starts a child, listens to it, and buries it.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use llm_bench_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frames::{append, read};
use crate::relay::relay;
use crate::{ChildCommand, ChildSlot, Ending, Processes};

/// How long a child may take to end once it has closed its output, and its standard error to close after that.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// Writes that come together are one up to here.
const WRITE_BYTES: usize = 1 << 20;

/// What a parent knows of one child: those who ask the child and the thread that attends it share it.
pub trait Conversation: Send + Sync + 'static {
    type ToChild: Serialize + Send + 'static;
    type FromChild: DeserializeOwned;

    /// The child's name in the log, such as `model tiny-llama`.
    fn label(&self) -> &str;

    /// Where the child is kept.
    fn slot(&self) -> &ChildSlot;

    /// The longest message that the child may send now, in bytes.
    fn longest(&self) -> usize;

    /// Notes what the child says.
    ///
    /// # Errors
    /// What was wrong with it; the child is ended for that.
    fn hear(&self, message: Self::FromChild) -> Result<(), String>;

    /// Notes that a message cannot be sent.
    fn undeliverable(&self, message: Self::ToChild, error: Error);
}

/// Starts a child and stays with it to its end. The kernel ends the child with the thread that calls this, which
/// therefore should be one of its own.
pub fn attend<C: Conversation>(
    conversation: &Arc<C>,
    command: &ChildCommand,
    messages: Receiver<C::ToChild>,
    processes: &Processes,
) -> Ending {
    let mut child = match spawn(command) {
        Ok(child) => child,
        Err(error) => return Ending::NotStarted(error),
    };
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let id = child.id();
    processes.add(id);
    conversation.slot().adopt(child);
    let (farewell, last_words) = channel();
    let threads = match pipes {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            let (name, calls) = (conversation.label().to_owned(), conversation.clone());
            let relay = move || {
                // Nobody listens after the time of farewell.
                let _ = farewell.send(relay(&name, stderr));
            };
            start_thread("child log", relay)
                .and_then(|()| start_thread("child calls", move || write(&*calls, stdin, &messages)))
                .map(|()| stdout)
        }
        _ => Err(std::io::ErrorKind::BrokenPipe.into()),
    };
    let heard = threads.map(|stdout| listen(&**conversation, stdout));
    let status = bury(conversation.slot(), matches!(heard, Ok(None)));
    processes.remove(id);
    let said = last_words.recv_timeout(FAREWELL).unwrap_or_default();
    match (heard, status) {
        (Err(error), _) => Ending::NotAttended(error),
        (Ok(Some(garbled)), _) => Ending::Garbled(garbled),
        (Ok(None), Some(status)) => Ending::Ended { status, said },
        (Ok(None), None) => Ending::Lost,
    }
}

fn spawn(command: &ChildCommand) -> std::io::Result<std::process::Child> {
    Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        // A group of its own: what a terminal sends to the parent's group is the parent's to handle.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Starts a thread that nobody waits for.
///
/// # Errors
/// When the system has no more of them.
pub fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Hears the child out; gives what made no sense.
fn listen<C: Conversation>(conversation: &C, stdout: impl Read) -> Option<String> {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    let mut frame = Vec::new();
    loop {
        match read(&mut reader, &mut frame, || conversation.longest()) {
            Ok(Some(message)) => {
                if let Err(wrong) = conversation.hear(message) {
                    return Some(wrong);
                }
            }
            // A message that breaks off is the child's end, not nonsense.
            Ok(None) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(error.to_string()),
        }
    }
}

/// Writes what is sent to the child until its pipe closes or nobody can send any more.
fn write<C: Conversation>(conversation: &C, mut stdin: ChildStdin, messages: &Receiver<C::ToChild>) {
    let mut frames = Vec::new();
    while let Ok(first) = messages.recv() {
        frames.clear();
        let mut next = Some(first);
        while let Some(message) = next {
            if let Err(error) = append(&mut frames, &message) {
                conversation.undeliverable(message, error);
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
fn bury(slot: &ChildSlot, is_announced: bool) -> Option<ExitStatus> {
    let announced = Instant::now();
    while is_announced && !slot.has_ended() && announced.elapsed() < FAREWELL {
        std::thread::sleep(LOOK);
    }
    slot.release().and_then(|mut child| child.wait().ok())
}
