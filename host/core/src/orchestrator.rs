//! Accepts benchmarks, executes them, and keeps what comes out.

mod conclude;
mod corpus;
mod draw;
mod examples;
mod execute;
mod lease;
mod model_pool;
mod order;
mod own_task;
mod prepare;
mod recorder;
mod rehearse;
mod replay;
mod rescore;
mod sample;
mod saver;
mod verify;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::benchmark::{Benchmark, BenchmarkRepository, FewShotDraws, Progress, Status};
use crate::clock::Clock;
use crate::dataset::DatasetReader;
use crate::hardware::HardwareMonitor;
use crate::id::{BenchmarkId, WorkerId};
use crate::limits::Limits;
use crate::model::{Model, ModelRunner};
use crate::plugin::Sandbox;
use crate::response_cache::ResponseCache;
use crate::verification::VerificationRepository;
use crate::{Error, Result};

pub use draw::FewShotOrder;
use lease::Claim;
use model_pool::ModelPool;
pub use model_pool::{ModelState, Residence};
pub use order::NewBenchmark;
pub use rehearse::{NewRehearsal, Rehearsal};
pub(crate) use replay::CallTable;
pub use rescore::NewRescore;
pub use sample::Trial;

/// Everything outside the domain that executing a benchmark needs.
#[derive(Clone)]
pub struct Ports {
    pub benchmarks: Arc<dyn BenchmarkRepository>,
    pub datasets: Arc<dyn DatasetReader>,
    pub runner: Arc<dyn ModelRunner>,
    pub response_cache: Arc<dyn ResponseCache>,
    pub verifications: Arc<dyn VerificationRepository>,
    pub sandbox: Arc<dyn Sandbox>,
    pub hardware: Arc<dyn HardwareMonitor>,
    pub clock: Arc<dyn Clock>,
}

/// How the queue is worked off.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// A claim that is not renewed for this long is claimed again.
    pub lease: Duration,
    /// Benchmarks executed at once by one worker.
    pub parallel_benchmarks: usize,
    /// How often the queue is looked at for work that another process put there.
    pub poll: Duration,
    /// How long samples in flight may take to finish once the host is told to stop.
    pub grace: Duration,
    /// What the files of loaded models may take together, in bytes; none: half of the machine's memory.
    pub model_cache_bytes: Option<u64>,
    /// What may be kept of one benchmark's samples, in bytes.
    pub record_bytes: u64,
    /// What one call of a plugin may use unless an order or a grant says otherwise.
    pub guest_limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            parallel_benchmarks: 2,
            poll: Duration::from_secs(1),
            grace: Duration::from_secs(5),
            model_cache_bytes: None,
            record_bytes: 16 << 30,
            guest_limits: Limits::default(),
        }
    }
}

/// Something changed in a benchmark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    pub id: BenchmarkId,
    pub status: Status,
    pub progress: Progress,
}

/// The application service for benchmarks. One a process.
pub struct Orchestrator {
    ports: Ports,
    settings: Settings,
    models: Arc<ModelPool>,
    submitted: Notify,
    events: broadcast::Sender<Event>,
}

impl Orchestrator {
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let (events, _) = broadcast::channel(1024);
        let model_cache_bytes = settings
            .model_cache_bytes
            .unwrap_or_else(|| half_or_all(ports.hardware.info().total_memory_bytes));
        Self {
            models: Arc::new(ModelPool::new(ports.runner.clone(), ports.clock.clone(), model_cache_bytes)),
            ports,
            settings,
            submitted: Notify::new(),
            events,
        }
    }

    /// Checks an order, pins what it names, and queues it.
    ///
    /// # Errors
    /// `invalid` with the field that is wrong and the values that are possible.
    pub async fn submit(&self, order: NewBenchmark) -> Result<Benchmark> {
        let planned = self.plan(order).await?;
        self.queue(planned).await
    }

    /// As [`Orchestrator::submit`], for a benchmark that judges what another one recorded.
    ///
    /// # Errors
    /// `benchmark-not-finished` and `nothing-recorded` of the source, `dataset-changed` where its rows are no longer
    /// there, `invalid` for what does not fit the plugin.
    pub async fn submit_rescore(&self, order: NewRescore) -> Result<Benchmark> {
        let planned = self.plan_rescore(order).await?;
        self.queue(planned).await
    }

    async fn queue(&self, (benchmark, draws): (Benchmark, Option<FewShotDraws>)) -> Result<Benchmark> {
        self.ports.benchmarks.insert(&benchmark, draws.as_ref(), None).await?;
        self.submitted.notify_one();
        self.announce(&benchmark, benchmark.progress);
        Ok(benchmark)
    }

    /// Checks an order and executes it here and now, without standing in the queue. Cancelling `stop` ends it
    /// as cancelled, with the samples finished so far kept.
    pub async fn run(
        &self,
        order: NewBenchmark,
        stop: &CancellationToken,
        created: impl FnOnce(&Benchmark),
    ) -> Result<Benchmark> {
        let planned = self.plan(order).await?;
        self.run_now(planned, stop, created).await
    }

    /// As [`Orchestrator::run`], for a benchmark that judges what another one recorded.
    ///
    /// # Errors
    /// Those of [`Orchestrator::submit_rescore`].
    pub async fn run_rescore(
        &self,
        order: NewRescore,
        stop: &CancellationToken,
        created: impl FnOnce(&Benchmark),
    ) -> Result<Benchmark> {
        let planned = self.plan_rescore(order).await?;
        self.run_now(planned, stop, created).await
    }

    async fn run_now(
        &self,
        (mut benchmark, draws): (Benchmark, Option<FewShotDraws>),
        stop: &CancellationToken,
        created: impl FnOnce(&Benchmark),
    ) -> Result<Benchmark> {
        let now = self.ports.clock.now();
        benchmark.status = Status::Running;
        benchmark.started_at = Some(now);
        let claim = Claim { id: benchmark.id, worker: WorkerId::new() };
        let lease = Some((claim.worker, self.lease_end(now)));
        self.ports.benchmarks.insert(&benchmark, draws.as_ref(), lease).await?;
        created(&benchmark);
        self.announce(&benchmark, benchmark.progress);
        Box::pin(self.execute(&benchmark, claim, stop, execute::WhenStopped::Cancel)).await?;
        let benchmark = self.find(benchmark.id).await?;
        if !benchmark.status.has_ended() {
            // It is held: nothing of it is lost, and a server goes on once it may.
            benchmark.task_standing.ensure_usable(benchmark.plan.task.label())?;
        }
        Ok(benchmark)
    }

    /// # Errors
    /// `benchmark-not-found`.
    pub async fn find(&self, id: BenchmarkId) -> Result<Benchmark> {
        self.ports.benchmarks.find(id).await?.ok_or_else(|| {
            Error::not_found("benchmark-not-found", format!("there is no benchmark with the id {id}"))
        })
    }

    /// Ends a benchmark that waits; asks one that runs to stop.
    ///
    /// # Errors
    /// `benchmark-not-found`, `benchmark-ended`.
    pub async fn cancel(&self, id: BenchmarkId) -> Result<Benchmark> {
        let benchmark = self.ports.benchmarks.request_cancel(id, self.ports.clock.now()).await?;
        self.announce(&benchmark, benchmark.progress);
        Ok(benchmark)
    }

    /// Begins to load a model before a benchmark asks for it; [`Orchestrator::residence`] tells how that went.
    ///
    /// # Errors
    /// `model-memory-in-use` when it would not fit beside the models that benchmarks use.
    pub fn load_model(&self, model: &Model) -> Result<Residence> {
        self.models.start_loading(model)
    }

    /// Begins to load a model that a benchmark is about to ask for. If it cannot be loaded, the benchmark is told why.
    pub fn load_ahead(&self, model: &Model) {
        self.models.load_ahead(model);
    }

    /// Gives back the memory of a model.
    ///
    /// # Errors
    /// `model-in-use` while a benchmark runs on it, `model-loading`.
    pub async fn unload_model(&self, model: &Model) -> Result<Residence> {
        self.models.unload(model).await
    }

    /// Whether a model is loaded in this process, and when it was used.
    pub fn residence(&self, model: &Model) -> Residence {
        self.models.residence(model)
    }

    /// Changes of all benchmarks of this process from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn announce(&self, benchmark: &Benchmark, progress: Progress) {
        // Nobody listening is not a failure.
        let _ = self.events.send(Event { id: benchmark.id, status: benchmark.status, progress });
    }

    fn lease_end(&self, now: jiff::Timestamp) -> jiff::Timestamp {
        now + self.settings.lease
    }
}

/// Half of what there is; all that can be counted where the machine does not tell.
fn half_or_all(memory_bytes: u64) -> u64 {
    if memory_bytes == 0 { u64::MAX } else { memory_bytes / 2 }
}
