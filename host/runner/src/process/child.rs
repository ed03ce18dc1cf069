//! The child's end: one model, asked over standard input, answering over standard output.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use llm_bench_core::model::ModelAnswer;
use llm_bench_core::{Error, Result};
use llm_bench_process::frames::{MAX_MESSAGE_BYTES, append, read};
use llm_bench_process::{confinement, pipes};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::ending;
use super::protocol::{FromChild, Purpose, Setup, ToChild};
use crate::inspection::describe;
use crate::thread::{self, Started};
use crate::worker::{Command, Turn};

/// Runs one model for the parent process until it closes this process's standard input.
///
/// Only for a process that has started no thread and ends afterwards: it confines itself for good. The caller starts
/// the log before, on standard error; each line begins with its level.
///
/// # Errors
/// When it cannot confine itself, or standard input is not a parent that knows the protocol. What is wrong with the
/// model is told to the parent.
pub fn run_model_in_child() -> Result<()> {
    confinement::begin()?;
    let (mut input, mut output) = pipes::take()?;
    let setup = match read(&mut input, &mut Vec::new(), || MAX_MESSAGE_BYTES) {
        Ok(Some(ToChild::Begin(setup))) => *setup,
        Ok(None) => return Ok(()),
        _ => return Err(pipes::not_a_command()),
    };
    if let Err(error) = setup.memory_bytes.map_or(Ok(()), confinement::limit_memory) {
        return say(&mut output, &FromChild::Refused(error.into()));
    }
    match setup.purpose {
        Purpose::Describe => {
            let described = describe(&PathBuf::from(&setup.model));
            let message =
                described.map_or_else(|error| FromChild::Refused(error.into()), FromChild::Described);
            say(&mut output, &message)
        }
        Purpose::Serve { bytes } => serve(setup, bytes, input, output),
    }
}

/// A call that is under way: its id, and where its answer comes from.
type Pending = (u64, oneshot::Receiver<Result<ModelAnswer>>);

/// The tokens of the calls under way.
type Cancels = Arc<Mutex<HashMap<u64, CancellationToken>>>;

fn serve(setup: Setup, bytes: u64, input: BufReader<File>, output: File) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::unavailable("model-thread-failed", "the model's process cannot start its threads")
            .because(error)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let model = PathBuf::from(&setup.model);
    let Started { commands, opened, turns } = thread::start(&setup.name, setup.config.clone(), model, bytes)?;
    let (calls, received) = unbounded_channel();
    let cancels = Cancels::default();
    let listener = Listener { commands, calls, cancels: cancels.clone() };
    std::thread::Builder::new()
        .name("calls".to_owned())
        .spawn(move || listener.run(input))
        .map_err(failed)?;
    runtime.block_on(Speaker { setup, output, cancels, turns }.run(opened, received))
}

/// Hands the calls that come in to the model's thread.
struct Listener {
    commands: Sender<Command>,
    calls: UnboundedSender<Pending>,
    cancels: Cancels,
}

impl Listener {
    fn run(self, mut input: BufReader<File>) {
        let mut frame = Vec::new();
        loop {
            match read(&mut input, &mut frame, || MAX_MESSAGE_BYTES) {
                Ok(Some(ToChild::Call { id, request })) => {
                    let cancel = CancellationToken::new();
                    lock(&self.cancels).insert(id, cancel.clone());
                    let (command, answered) = Command::new(request, cancel);
                    // Without its thread the process is of no use: the parent fails its calls and starts another.
                    if self.commands.send(command).is_err() || self.calls.send((id, answered)).is_err() {
                        pipes::end_now();
                    }
                }
                Ok(Some(ToChild::Cancel { id })) => {
                    if let Some(cancel) = lock(&self.cancels).get(&id) {
                        cancel.cancel();
                    }
                }
                // The parent is gone, or wants this process to be.
                Ok(Some(ToChild::Begin(_)) | None) | Err(_) => pipes::end_now(),
            }
        }
    }
}

/// Tells the parent what there is to tell.
struct Speaker {
    setup: Setup,
    output: File,
    cancels: Cancels,
    turns: Vec<Turn>,
}

impl Speaker {
    async fn run(
        mut self,
        mut opened: oneshot::Receiver<Result<()>>,
        mut received: UnboundedReceiver<Pending>,
    ) -> Result<()> {
        let mut beat = tokio::time::interval(self.setup.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let opened = loop {
            tokio::select! {
                opened = &mut opened => break opened.unwrap_or_else(|_| Err(thread::failed(&self.setup.name))),
                _ = beat.tick() => self.say(&self.alive())?,
            }
        };
        if let Err(error) = opened {
            let error = ending::name_memory(error, &self.setup.name, self.setup.memory_bytes);
            return self.say(&FromChild::Refused(error.into()));
        }
        self.say(&FromChild::Opened)?;
        self.answer(&mut received, &mut beat).await
    }

    async fn answer(&mut self, received: &mut UnboundedReceiver<Pending>, beat: &mut Interval) -> Result<()> {
        let mut pending = JoinSet::new();
        loop {
            tokio::select! {
                Some(answered) = pending.join_next() => {
                    // Calls that were answered as one batch go out as one write.
                    let mut frames = Vec::new();
                    self.append(&mut frames, answered);
                    while let Some(answered) = pending.try_join_next() {
                        self.append(&mut frames, answered);
                    }
                    pipes::write(&self.output, &frames)?;
                }
                call = received.recv() => {
                    let Some((id, answered)) = call else { return Ok(()) };
                    if pending.is_empty() {
                        beat.reset();
                    }
                    pending.spawn(async move { (id, answered.await) });
                }
                _ = beat.tick(), if !pending.is_empty() => self.say(&self.alive())?,
            }
        }
    }

    fn append(&mut self, frames: &mut Vec<u8>, answered: Joined) {
        let Ok((id, answer)) = answered else { return };
        lock(&self.cancels).remove(&id);
        let answer = answer.unwrap_or_else(|_| Err(thread::failed(&self.setup.name)));
        let answer = answer
            .map_err(|error| ending::name_memory(error, &self.setup.name, self.setup.memory_bytes).into());
        if let Err(error) = append(frames, &FromChild::Answer { id, answer }) {
            // An error is short enough; where even that fails, the parent's deadline ends the call.
            let _ = append(frames, &FromChild::Answer { id, answer: Err(error.into()) });
        }
    }

    fn alive(&self) -> FromChild {
        let time = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let now = Instant::now();
        FromChild::Alive {
            // Without this thread, which only talks.
            processor: time(ClockId::ProcessCPUTime).saturating_sub(time(ClockId::ThreadCPUTime)),
            turn: self.turns.iter().map(|turn| turn.age(now)).max().unwrap_or_default(),
        }
    }

    fn say(&mut self, message: &FromChild) -> Result<()> {
        say(&mut self.output, message)
    }
}

/// What a waiting task gives; it fails only if it panics, which waiting does not.
type Joined = Result<(u64, Result<Result<ModelAnswer>, oneshot::error::RecvError>), tokio::task::JoinError>;

fn say(output: &mut File, message: &FromChild) -> Result<()> {
    let mut frame = Vec::new();
    append(&mut frame, message)?;
    pipes::write(output, &frame)
}

fn lock(cancels: &Cancels) -> std::sync::MutexGuard<'_, HashMap<u64, CancellationToken>> {
    cancels.lock().unwrap_or_else(PoisonError::into_inner)
}
