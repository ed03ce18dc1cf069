//! The child's end: one plugin, its calls asked over standard input, their ends told over standard output.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};

use llm_bench_core::{Error, Result};
use llm_bench_process::confinement::{self, Resource};
use llm_bench_process::frames::{MAX_MESSAGE_BYTES, read};
use llm_bench_process::pipes;
use tokio_util::sync::CancellationToken;

use super::models::{ParentHost, Voice};
use super::protocol::{Break, End, FromChild, Setup, ToChild};
use crate::engine;
use crate::guest::{Broken, Call, Files, Finished, GuestRuntime, Models, Program, linker};

/// Descriptors that may be open: two for each image of a memory, which the code of a component has, and some.
const DESCRIPTORS: u64 = 4096;
/// Files in memory, such as those images, are no longer than a component's compiled code.
const FILE_BYTES: u64 = 1 << 30;

/// Runs the guests of one plugin for the parent process until it closes this process's standard input.
///
/// Only for a process that has started no thread and ends afterwards: it confines itself for good. The caller starts
/// the log before, on standard error; each line begins with its level.
///
/// # Errors
/// When it cannot confine itself, or standard input is not a parent that knows the protocol. What is wrong with the
/// plugin is told to the parent.
pub fn run_guests_in_child() -> Result<()> {
    confinement::begin()?;
    confinement::close_inherited()?;
    let (mut input, output) = pipes::take()?;
    let setup = match read(&mut input, &mut Vec::new(), || MAX_MESSAGE_BYTES) {
        Ok(Some(ToChild::Begin(setup))) => setup,
        Ok(None) => return Ok(()),
        _ => return Err(pipes::not_a_command()),
    };
    let voice = Arc::new(Voice::new(output));
    match Guests::start(&setup, voice.clone()) {
        Ok(guests) => {
            voice.say(&FromChild::Ready)?;
            guests.listen(input)
        }
        Err(error) => voice.say(&FromChild::Refused(error.into())),
    }
}

struct Guests {
    program: Arc<Program>,
    runtime: Arc<GuestRuntime>,
    voice: Arc<Voice>,
    cancels: Arc<Mutex<HashMap<u64, CancellationToken>>>,
}

impl Guests {
    /// Opens what it needs, confines this process, and only then looks at the code.
    fn start(setup: &Setup, voice: Arc<Voice>) -> Result<Self> {
        let code = std::fs::read(&setup.code).map_err(|error| {
            Error::unavailable("plugin-folder", format!("cannot read {}: {error}", setup.code.display()))
        })?;
        let engine = engine::running(setup.concurrency, setup.max_memory_bytes)?;
        let linker = linker(&engine)?;
        let reserved = writable_bytes()?;
        confinement::limit(Resource::Nofile, DESCRIPTORS)?;
        confinement::limit(Resource::Fsize, FILE_BYTES)?;
        // Threads take it over, but not the other way round: they are started after it.
        confinement::deny_files()?;
        let runtime = Arc::new(GuestRuntime::new(setup.concurrency, setup.max_memory_bytes)?);
        confinement::limit_memory(reserved.saturating_add(setup.memory_bytes))?;
        confinement::filter_system_calls()?;
        let program = Arc::new(Program::from_code(&engine, &linker, &code)?);
        Ok(Self { program, runtime, voice, cancels: Arc::default() })
    }

    fn listen(self, mut input: BufReader<File>) -> Result<()> {
        let mut frame = Vec::new();
        loop {
            match read(&mut input, &mut frame, || MAX_MESSAGE_BYTES) {
                Ok(Some(ToChild::Call { id, limits, seed, lent, work })) => {
                    let cancel = CancellationToken::new();
                    self.cancels().insert(id, cancel.clone());
                    let parent = Arc::new(ParentHost { id, lent, voice: self.voice.clone() });
                    let (models, files) = (Models::Parent(parent.clone()), Files::Parent(parent));
                    let call = Call { limits, seed, models: Arc::new(models), files, cancel };
                    let (program, runtime) = (self.program.clone(), self.runtime.clone());
                    let (voice, cancels) = (self.voice.clone(), self.cancels.clone());
                    self.runtime.start(async move {
                        let finished = runtime.run(&program, &call, *work).await;
                        cancels.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                        tell(&voice, id, finished);
                    })?;
                }
                Ok(Some(ToChild::Cancel { id })) => {
                    if let Some(cancel) = self.cancels().get(&id) {
                        cancel.cancel();
                    }
                }
                Ok(Some(ToChild::Answer { id, answer })) => self.voice.hear(id, answer),
                // The parent is gone, or wants this process to be.
                Ok(Some(ToChild::Begin(_)) | None) | Err(_) => pipes::end_now(),
            }
        }
    }

    fn cancels(&self) -> std::sync::MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(voice: &Voice, id: u64, finished: Finished<super::Output>) {
    let Finished { result, log, usage } = finished;
    let result = result.map_err(|Broken { kind, message, backtrace }| Break { kind, message, backtrace });
    if let Err(error) = voice.say(&FromChild::Finished { id, end: End { result, log, usage } }) {
        let broken = Break {
            kind: llm_bench_core::sample::FailureKind::InvalidOutput,
            message: error.message,
            backtrace: None,
        };
        // An error is short enough; where even that fails, the parent's watch ends the call.
        let _ = voice.say(&FromChild::Finished { id, end: End { result: Err(broken), log: None, usage } });
    }
}

/// Private writable memory of this process, reserved or used, in bytes.
fn writable_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    let line =
        status.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("VmData:")));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1024).ok_or_else(|| {
        Error::unavailable("process-limits", "cannot tell how much memory the plugin's process has reserved")
    })
}
