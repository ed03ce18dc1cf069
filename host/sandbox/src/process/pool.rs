//! The child processes of all plugins: started when they are needed, replaced when they ended, ended when they are idle.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use llm_bench_core::sample::FailureKind;
use llm_bench_core::{Error, Result};
use llm_bench_process::{ChildCommand, Processes};
use tokio::sync::{Semaphore, oneshot};

use super::parent::GuestProcess;
use super::protocol::Setup;
use super::work::{Output, Work};
use crate::guest::{Broken, Call, Finished, GuestRuntime};

/// How long a process without calls stays.
const IDLE: Duration = Duration::from_mins(1);
/// How often is looked for such.
const LOOK: Duration = Duration::from_secs(10);
/// Processes that are kept, those with calls not counted among those that may be ended.
const MOST: usize = 8;
/// A process that ends between its start and its first call so often is not tried again for that call.
const ATTEMPTS: u32 = 3;

pub(crate) struct GuestProcesses {
    command: ChildCommand,
    runtime: Arc<GuestRuntime>,
    concurrency: u32,
    max_memory_bytes: u64,
    memory_bytes: u64,
    places: Arc<Semaphore>,
    pub(crate) processes: Processes,
    living: Mutex<HashMap<String, Living>>,
}

/// A process, and the code that it was told to load.
struct Living {
    code: PathBuf,
    process: Arc<GuestProcess>,
}

/// A plugin whose guests run in a process of their own.
#[derive(Clone)]
pub(crate) struct IsolatedProgram {
    digest: String,
    code: PathBuf,
    processes: Arc<GuestProcesses>,
}

impl GuestProcesses {
    /// # Errors
    /// `internal` when the guests' threads are gone.
    pub(crate) fn new(
        command: ChildCommand,
        runtime: Arc<GuestRuntime>,
        concurrency: u32,
        max_memory_bytes: u64,
        memory_bytes: u64,
    ) -> Result<Arc<Self>> {
        let places = Arc::new(Semaphore::new(concurrency as usize));
        let processes = Arc::new(Self {
            command,
            runtime,
            concurrency,
            max_memory_bytes,
            memory_bytes,
            places,
            processes: Processes::default(),
            living: Mutex::default(),
        });
        let kept = Arc::downgrade(&processes);
        processes.runtime.start(end_idle(kept))?;
        Ok(processes)
    }

    /// Has a process load a plugin, unless one has.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub(crate) async fn open(self: &Arc<Self>, digest: &str, code: &Path) -> Result<IsolatedProgram> {
        let program = IsolatedProgram {
            digest: digest.to_owned(),
            code: std::path::absolute(code).map_err(|error| {
                Error::internal("plugin-folder", "cannot tell where compiled code lies").because(error)
            })?,
            processes: self.clone(),
        };
        if let (_, Some(readiness)) = self.process(&program) {
            readiness
                .await
                .unwrap_or_else(|_| Err(Error::internal("sandbox-defect", "a plugin's process was lost")))?;
        }
        Ok(program)
    }

    /// A plugin that has a process.
    pub(crate) fn find(self: &Arc<Self>, digest: &str) -> Option<IsolatedProgram> {
        let living = self.living();
        let there = living.get(digest).filter(|there| there.process.ledger.ended().is_none())?;
        Some(IsolatedProgram { digest: digest.to_owned(), code: there.code.clone(), processes: self.clone() })
    }

    /// The process of a plugin, a new one if the last has ended, which tells then when it is ready.
    fn process(
        &self,
        program: &IsolatedProgram,
    ) -> (Arc<GuestProcess>, Option<oneshot::Receiver<Result<()>>>) {
        let mut living = self.living();
        living.retain(|_, there| there.process.ledger.ended().is_none());
        if let Some(there) = living.get(&program.digest) {
            return (there.process.clone(), None);
        }
        if living.len() >= MOST {
            // The one that has been idle for the longest; where all have calls, there are more for a while.
            let idle = living.values().filter_map(|there| Some((there.process.ledger.idle()?, there)));
            if let Some((_, there)) = idle.max_by_key(|(idle, _)| *idle) {
                there.process.ledger.retire();
            }
        }
        let setup = Setup {
            code: program.code.clone(),
            concurrency: self.concurrency,
            max_memory_bytes: self.max_memory_bytes,
            memory_bytes: self.memory_bytes,
        };
        let name = format!("plugin {}", program.digest.get(..12).unwrap_or(&program.digest));
        let (process, readiness) =
            GuestProcess::start(name, self.command.clone(), setup, self.processes.clone(), &self.runtime);
        let process = Arc::new(process);
        let there = Living { code: program.code.clone(), process: process.clone() };
        living.insert(program.digest.clone(), there);
        (process, Some(readiness))
    }

    /// Ends the process of a plugin, unless it has calls.
    pub(crate) fn forget(&self, digest: &str) {
        if let Some(there) = self.living().get(digest) {
            there.process.ledger.retire();
        }
    }

    fn living(&self) -> MutexGuard<'_, HashMap<String, Living>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsolatedProgram {
    /// Runs one call in the plugin's process.
    pub(crate) async fn call(&self, call: Call, work: Work) -> Finished<Output> {
        let place = tokio::select! {
            biased;
            () = call.cancel.cancelled() => None,
            place = self.processes.places.clone().acquire_owned() => place.ok(),
        };
        let Some(mut place) = place else {
            return Finished::before_it_began(Broken::cancelled(&call.limits));
        };
        let (mut call, mut work) = (call, work);
        for _ in 0..ATTEMPTS {
            let (process, _) = self.processes.process(self);
            match process.call(call, place, work).await {
                Ok(finished) => return finished,
                // It ended just now, before it had the call.
                Err(given_back) => (call, place, work) = given_back,
            }
        }
        let message = "the process of the plugin cannot be started";
        Finished::before_it_began(Broken::new(FailureKind::ProcessEnded, message))
    }
}

async fn end_idle(processes: Weak<GuestProcesses>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(processes) = processes.upgrade() else { return };
        processes.living().retain(|_, Living { process, .. }| {
            let is_over = process.ledger.idle().is_some_and(|idle| idle >= IDLE) && process.ledger.retire();
            !is_over && process.ledger.ended().is_none()
        });
    }
}
