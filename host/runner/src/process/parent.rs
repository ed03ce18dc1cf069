//! One child process, as its parent uses it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use llm_bench_core::model::{ModelAnswer, ModelRequest};
use llm_bench_core::{Error, Result};
use llm_bench_process::{Processes, attend, start_thread};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ended, Ledger};
use super::protocol::{Purpose, Setup, ToChild};
use super::{ProcessConfig, activity, ending};
use crate::inspection::Description;
use crate::runner::RunnerConfig;

/// What describing a model may take. The largest tokenizers need a tenth of it.
const DESCRIPTION_DEADLINE: Duration = Duration::from_mins(2);
const DESCRIPTION_MEMORY_BYTES: u64 = 4 << 30;

/// ONNX Runtime would keep a database of what is run in the user's cache, to be uploaded to its makers.
const TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// A wait that takes so much longer than it should tells that this process stood still.
const STANDSTILL: Duration = Duration::from_secs(2);

/// A child process with a model. Dropping this ends it at once.
pub(super) struct ModelProcess {
    ledger: Arc<Ledger>,
    outbox: Sender<ToChild>,
}

/// What a child says once it is ready.
pub(super) enum Readiness {
    Opened,
    Described(Description),
}

impl ModelProcess {
    /// Starts a child. Calls may be made at once; they wait until it is ready, and fail if it never is.
    pub(super) fn start(
        name: &str,
        setup: Setup,
        config: ProcessConfig,
        processes: Processes,
    ) -> (Self, oneshot::Receiver<Result<Readiness>>) {
        let (ready, readiness) = oneshot::channel();
        let (outbox, messages) = channel();
        let beat = setup.beat;
        // The receiver is in this function.
        let _ = outbox.send(ToChild::Begin(Box::new(setup)));
        let ledger = Arc::new(Ledger::new(name, config, ready));
        let attended = ledger.clone();
        // The kernel ends the child with the thread that started it, so that thread must be the last to go.
        let thread = start_thread(&format!("model {name}"), move || {
            let mut command = attended.config.command.clone();
            command.environment.insert(0, (TELEMETRY.0.into(), TELEMETRY.1.into()));
            let ending = attend(&attended, &command, messages, &processes);
            let memory_bytes = attended.config.memory_bytes;
            attended.end(ending::error(&attended.name, &command.program, ending, memory_bytes));
        });
        if let Err(error) = thread {
            ledger.end(
                Error::unavailable("model-thread-failed", "no thread could be started for the model")
                    .because(error),
            );
        }
        tokio::spawn(watch(Arc::downgrade(&ledger), beat));
        (Self { ledger, outbox }, readiness)
    }

    pub(super) async fn ask(&self, request: ModelRequest, cancel: &CancellationToken) -> Result<ModelAnswer> {
        let asked = Instant::now();
        let (answer, answered) = oneshot::channel();
        let id = self.ledger.enter(answer)?;
        let _withdrawal = Withdrawal { process: self, id };
        // Where the far end is gone, the ledger fails the call.
        let _ = self.outbox.send(ToChild::Call { id, request });
        let mut answer = tokio::select! {
            biased;
            answer = answered => answer.unwrap_or_else(|_| Err(self.ledger.lost()))?,
            () = cancel.cancelled() => return Err(Error::cancelled("the call to the model was cancelled")),
        };
        // The way there and back belongs to the waiting.
        let timings = &mut answer.timings;
        let busy = timings.tokenize_ms + timings.prefill_ms + timings.decode_ms;
        timings.queue_ms = (asked.elapsed().as_secs_f64() * 1000.0 - busy).max(0.0);
        Ok(answer)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ledger.ended()
    }
}

impl Drop for ModelProcess {
    fn drop(&mut self) {
        self.ledger.dismiss();
    }
}

/// Tells the child when a call ends without its answer.
struct Withdrawal<'process> {
    process: &'process ModelProcess,
    id: u64,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if self.process.ledger.abandon(self.id) {
            let _ = self.process.outbox.send(ToChild::Cancel { id: self.id });
        }
    }
}

/// Looks now and then whether the child is stuck.
async fn watch(ledger: std::sync::Weak<Ledger>, pause: Duration) {
    loop {
        let began = Instant::now();
        tokio::time::sleep(pause).await;
        let Some(ledger) = ledger.upgrade() else { return };
        if ledger.ended().is_some() {
            return;
        }
        if began.elapsed() > pause * 2 + STANDSTILL {
            // It was this process that stood still, stopped or short of time: it has heard nothing meanwhile.
            ledger.forgive(Instant::now());
        }
        ledger.end_if_stuck(Instant::now());
    }
}

/// What a model's folder tells without its weights, found out by a child: its files are a stranger's.
pub(crate) async fn describe(
    folder: &Path,
    config: &RunnerConfig,
    process: &ProcessConfig,
    processes: &Processes,
) -> Result<Description> {
    let memory_bytes = if cfg!(target_os = "linux") {
        Some(process.memory_bytes.map_or(DESCRIPTION_MEMORY_BYTES, |most| most.min(DESCRIPTION_MEMORY_BYTES)))
    } else {
        process.memory_bytes
    };
    let call_deadline = process.call_deadline.min(DESCRIPTION_DEADLINE);
    let process = ProcessConfig { memory_bytes, call_deadline, ..process.clone() };
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let setup = setup(Purpose::Describe, &name, folder, config, &process)?;
    let (_child, readiness) = ModelProcess::start(&name, setup, process, processes.clone());
    match readiness.await {
        Ok(Ok(Readiness::Described(description))) => Ok(description),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Readiness::Opened)) | Err(_) => {
            Err(Error::internal("inspection-failed", "looking at a model failed"))
        }
    }
}

pub(super) fn setup(
    purpose: Purpose,
    name: &str,
    folder: &Path,
    config: &RunnerConfig,
    process: &ProcessConfig,
) -> Result<Setup> {
    // The child has another working directory.
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| {
            Error::invalid("no-such-path", format!("cannot tell where `{}` lies", path.display()))
                .because(error)
        })
    };
    Ok(Setup {
        purpose,
        name: name.to_owned(),
        config: RunnerConfig { library: absolute(&config.library)?, ..config.clone() },
        model: absolute(folder)?.into_os_string(),
        memory_bytes: process.memory_bytes,
        beat: activity::beat(process.call_deadline),
    })
}
