//! What belongs to one call: the data of its store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llm_bench_core::limits::Limits;
use llm_bench_core::model::{ModelRequest, ModelResponse};
use llm_bench_core::plugin::ModelAccess;
use llm_bench_core::{Error, Result};
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::budget::Budget;
use super::clock::CallClock;
use super::files::Files;
use super::limiter::Limiter;
use super::log::Log;
use super::models::Models;
use super::run::Call;
use super::wasi::{self, TimeView, VirtualTime};

/// Host resources (models, streams, alarms) that a guest may hold at once.
const RESOURCES: usize = 1024;

/// What the finished steps of an aggregation took.
#[derive(Debug, Default)]
pub(super) struct Spent {
    pub(super) fuel: u64,
    pub(super) computed: Duration,
    pub(super) host_calls: u32,
}

/// The data of a store.
pub(crate) struct GuestState {
    pub(super) limiter: Limiter,
    pub(super) budget: Budget,
    pub(super) clock: Arc<CallClock>,
    pub(super) log: Log,
    pub(super) models: Arc<Models>,
    pub(super) files: Files,
    pub(super) cancel: CancellationToken,
    pub(super) table: ResourceTable,
    pub(super) limits: Limits,
    /// What the steps before this one took: an aggregation has several.
    pub(super) spent: Spent,
    time: VirtualTime,
    seed: u64,
    /// None until the guest asks for the system.
    wasi: Option<WasiCtx>,
}

/// What a `model` handle stands for: the part that it was opened for.
#[expect(unreachable_pub, reason = "the generated code re-exports it as public")]
pub struct OpenModel {
    pub(super) part: String,
}

impl GuestState {
    /// The state of a call that may use `memory_bytes`, and whose models are asked under `cancel`.
    pub(super) fn new(call: &Call, memory_bytes: u64, cancel: CancellationToken) -> Self {
        let limits = call.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self {
            limiter: Limiter::new(memory_bytes),
            budget: Budget::new(limits),
            clock: CallClock::new(limits.compute_timeout(), limits.model_timeout()),
            models: Arc::clone(&call.models),
            files: call.files.clone(),
            cancel,
            table,
            limits,
            spent: Spent::default(),
            log: Log::new(limits.log_bytes),
            time: VirtualTime::default(),
            seed: call.seed,
            wasi: None,
        }
    }

    pub(super) fn time(&mut self) -> TimeView<'_> {
        TimeView { time: &self.time, table: &mut self.table }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = || wasi::context(self.seed, &self.log, &self.time);
        WasiCtxView { ctx: self.wasi.get_or_insert_with(wasi), table: &mut self.table }
    }
}

/// For calls in which a plugin opens no model: `describe`, `metrics`, and those of an aggregator.
pub(crate) struct NoModels;

#[async_trait]
impl ModelAccess for NoModels {
    fn open(&self, part: &str) -> Result<()> {
        Err(Error::denied(
            "denied",
            format!("no model plays `{part}` here: only `solve` and `score` open models"),
        ))
    }

    async fn call(&self, part: &str, _: ModelRequest, _: CancellationToken) -> Result<ModelResponse> {
        self.open(part)?;
        Err(Error::denied("denied", "no model can be asked here"))
    }
}
