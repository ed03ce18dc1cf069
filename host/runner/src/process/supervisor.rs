//! A loaded model that outlives its processes: one that ended is replaced for the next call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use llm_bench_core::model::{LoadedModel, Model, ModelAnswer, ModelRequest};
use llm_bench_core::{Error, Result};
use llm_bench_process::Processes;
use tokio_util::sync::CancellationToken;

use super::ProcessConfig;
use super::ledger::Ended;
use super::parent::{ModelProcess, Readiness, setup};
use super::protocol::{Purpose, Setup};
use crate::digest::DigestCache;
use crate::inspection::{blocking, check_digest};
use crate::runner::RunnerConfig;

/// So many processes that end one after the other without an answer between them are enough.
const ATTEMPTS: u32 = 5;
/// How long a model that was given up is left alone.
const REST: Duration = Duration::from_mins(1);
/// The pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A model in child processes, one at a time.
pub(crate) struct ProcessModel {
    model: Model,
    setup: Setup,
    config: ProcessConfig,
    processes: Processes,
    digests: Arc<DigestCache>,
    current: Mutex<Current>,
}

struct Current {
    process: Arc<ModelProcess>,
    /// Processes before this one that ended without an answer, in a row.
    failures: u32,
}

impl ProcessModel {
    /// Starts a process and waits until it has loaded the model.
    pub(crate) async fn load(
        model: Model,
        config: &RunnerConfig,
        process: &ProcessConfig,
        processes: &Processes,
        digests: Arc<DigestCache>,
    ) -> Result<Self> {
        let setup =
            setup(Purpose::Serve { bytes: model.facts.bytes }, &model.name, &model.path, config, process)?;
        let (config, processes) = (process.clone(), processes.clone());
        let (process, readiness) =
            ModelProcess::start(&model.name, setup.clone(), config.clone(), processes.clone());
        match readiness.await {
            Ok(Ok(Readiness::Opened)) => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Readiness::Described(_))) | Err(_) => return Err(crate::thread::failed(&model.name)),
        }
        let current = Mutex::new(Current { process: Arc::new(process), failures: 0 });
        Ok(Self { model, setup, config, processes, digests, current })
    }

    /// The process that takes calls now, a new one if the last has ended.
    async fn living(&self) -> Result<Arc<ModelProcess>> {
        loop {
            let (ended, failures) = {
                let current = self.current();
                match current.process.ended() {
                    None => return Ok(current.process.clone()),
                    Some(ended) => (ended.clone(), Self::failures(&current, &ended)),
                }
            };
            if failures >= ATTEMPTS && ended.at.elapsed() < REST {
                return Err(self.given_up(&ended.error));
            }
            tokio::time::sleep_until((ended.at + pause(failures)).into()).await;
            // What takes the place of a model must be that model.
            let (model, digests) = (self.model.clone(), self.digests.clone());
            blocking(move || check_digest(&model, &digests)).await?;
            let mut current = self.current();
            // Of all calls that waited, the first one starts the process.
            if current.process.ended().is_some_and(|now| now.at == ended.at) {
                tracing::info!(model = self.model.name, failures, "a model's process is replaced");
                let (process, _) = ModelProcess::start(
                    &self.model.name,
                    self.setup.clone(),
                    self.config.clone(),
                    self.processes.clone(),
                );
                *current = Current { process: Arc::new(process), failures };
            }
        }
    }

    /// Ends without an answer in a row, the last one included.
    fn failures(current: &Current, ended: &Ended) -> u32 {
        if ended.was_useful { 0 } else { current.failures + 1 }
    }

    fn given_up(&self, last: &Error) -> Error {
        Error::unavailable(
            "model-given-up",
            format!(
                "the process of the model `{}` ended {ATTEMPTS} times without an answer, the last time so: {}; it is \
                 tried again a minute after that",
                self.model.name, last.message
            ),
        )
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause before another attempt.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => FIRST_PAUSE * 2_u32.saturating_pow(failures.min(ATTEMPTS) - 1),
    }
}

#[async_trait]
impl LoadedModel for ProcessModel {
    async fn answer(&self, request: ModelRequest, cancel: CancellationToken) -> Result<ModelAnswer> {
        let process = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::cancelled("the call to the model was cancelled")),
            process = self.living() => process?,
        };
        process.ask(request, &cancel).await
    }
}
