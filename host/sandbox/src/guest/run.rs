//! Running one call in an instance of its own.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::GuestCall;
use llm_bench_core::sample::{FailureKind, GuestUsage};
use llm_bench_core::{Error, Result};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{CallHook, CallHookHandler, Engine, Store, StoreContextMut};

use super::clock::{Stop, TURN, Timed, give_way};
use super::failure::{Broken, contract_error};
use super::files::Files;
use super::models::Models;
use super::state::{GuestState, NoModels};
use crate::bindings::exports::llm_bench::plugin::{aggregator, plugin, scorer, solver};
use crate::bindings::llm_bench::plugin::types;
use crate::plugin::{unfit, unlinkable};

/// Fuel between two yields: some tens of microseconds.
const YIELD_FUEL: u64 = 100_000;
/// The clock is looked at before every so many works of the host: most take less time than that.
const WORKS_UNSEEN: u32 = 4;
/// An instance that takes longer is not made on a thread of the server's.
const SLOW_INSTANCE: Duration = Duration::from_millis(1);
/// Bytes that a guest may hand over in one call of the host, unless its output may be larger.
const HANDOVER_BYTES: u64 = 16 << 20;
/// Handles of all resources in the guest's own tables.
const HANDLES: usize = 4096;

/// A component, compiled, linked, and its exports looked up.
pub(crate) struct Program {
    pub(crate) instance: InstancePre<GuestState>,
    pub(crate) plugin: plugin::GuestIndices,
    pub(crate) solver: Option<solver::GuestIndices>,
    pub(crate) scorer: Option<scorer::GuestIndices>,
    pub(crate) aggregator: Option<aggregator::GuestIndices>,
    /// Whether its last instance was long in the making; of one that was never made it is assumed.
    is_slow: AtomicBool,
}

impl Program {
    /// Looks up what a component exports, and whether everything that it imports is there.
    ///
    /// # Errors
    /// `plugin-signature` where an import has another type than the host's; `unsupported-plugin` where it does not fit.
    pub(crate) fn new(linker: &Linker<GuestState>, component: &Component) -> Result<Self> {
        let instance = linker.instantiate_pre(component).map_err(unlinkable)?;
        let exports = |interface| component.get_export_index(None, interface).is_some();
        Ok(Self {
            plugin: plugin::GuestIndices::new(&instance).map_err(unfit)?,
            solver: exports("llm-bench:plugin/solver@0.1.0")
                .then(|| solver::GuestIndices::new(&instance).map_err(unfit))
                .transpose()?,
            scorer: exports("llm-bench:plugin/scorer@0.1.0")
                .then(|| scorer::GuestIndices::new(&instance).map_err(unfit))
                .transpose()?,
            aggregator: exports("llm-bench:plugin/aggregator@0.1.0")
                .then(|| aggregator::GuestIndices::new(&instance).map_err(unfit))
                .transpose()?,
            instance,
            is_slow: AtomicBool::new(true),
        })
    }

    async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Instance> {
        let instance = self.instance.instantiate_async(&mut *store).await;
        self.is_slow.store(store.data().clock.turn() > SLOW_INSTANCE, Ordering::Relaxed);
        instance
    }

    /// The program whose compiled code was read from our own folder.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn from_code(engine: &Engine, linker: &Linker<GuestState>, code: &[u8]) -> Result<Self> {
        #[expect(
            unsafe_code,
            reason = "as for a file of the server's, and what follows from it stays in a confined process"
        )]
        let component = unsafe { Component::deserialize(engine, code) };
        Self::new(linker, &component.map_err(unfit)?)
    }
}

/// A function that a plugin exports, with its arguments.
pub(crate) trait Export: Send + 'static {
    type Output: Send + 'static;

    /// Calls the function. The outer error is a trap, the inner one the plugin's own.
    fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> impl Future<Output = wasmtime::Result<Result<Self::Output, types::Error>>> + Send;
}

/// What a call may use and ask.
pub(crate) struct Call {
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
    pub(crate) models: Arc<Models>,
    pub(crate) files: Files,
    pub(crate) cancel: CancellationToken,
}

impl Call {
    /// For a call that opens no model and depends on no sample.
    pub(crate) fn bare(limits: Limits) -> Self {
        Self {
            limits,
            seed: 0,
            models: Arc::new(Models::Here(Arc::new(NoModels))),
            files: Files::None,
            cancel: CancellationToken::new(),
        }
    }

    /// A call about a sample, which may read these files.
    pub(crate) fn with_files(call: GuestCall, files: Files) -> Self {
        let models = Arc::new(Models::Here(call.models));
        Self { limits: call.limits, seed: call.seed, models, files, cancel: call.cancel }
    }
}

/// How a call ended and what it used.
pub(crate) struct Finished<T> {
    pub(crate) result: Result<T, Broken>,
    pub(crate) log: Option<String>,
    pub(crate) usage: GuestUsage,
}

impl<T> Finished<T> {
    pub(crate) fn before_it_began(broken: Broken) -> Self {
        Self { result: Err(broken), log: None, usage: GuestUsage::default() }
    }
}

/// The threads of the guests. They are nobody else's, so that guests can't starve the server: but for its first turn, a
/// guest is executed by them alone.
pub(crate) struct GuestRuntime {
    /// Present until it is dropped.
    threads: Option<Runtime>,
    places: Semaphore,
    max_memory_bytes: u64,
}

impl GuestRuntime {
    /// Room for `concurrency` guests at once; others wait for a place, which counts against none of their clocks.
    pub(crate) fn new(concurrency: u32, max_memory_bytes: u64) -> Result<Self> {
        let threads =
            tokio::runtime::Builder::new_multi_thread().thread_name("guest").enable_all().build().map_err(
                |error| Error::internal("sandbox-threads", "the guests' threads cannot start").because(error),
            )?;
        Ok(Self { threads: Some(threads), places: Semaphore::new(concurrency as usize), max_memory_bytes })
    }

    /// Runs `work` on the guests' threads; dropping the future ends it.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let threads = self.threads.as_ref().ok_or_else(broke_off)?;
        AbortOnDropHandle::new(threads.spawn(work)).await.map_err(|error| broke_off().because(error))
    }

    /// Runs `work` on the guests' threads, to its end or to theirs.
    ///
    /// # Errors
    /// When the threads are gone.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let threads = self.threads.as_ref();
        let threads =
            threads.ok_or_else(|| Error::internal("sandbox-defect", "the guests' threads are gone"))?;
        threads.spawn(work);
        Ok(())
    }

    /// Runs one call in a fresh store and instance.
    ///
    /// Its first turn is on the thread that asks for it: most calls need no other, and what a guests' thread takes to wake
    /// up, and the caller to be woken, is as long as such a call. A turn is short, whatever the guest does, but for making
    /// its instance: whose is slow begins on a guests' thread.
    pub(crate) async fn call<E: Export>(
        self: &Arc<Self>,
        program: Arc<Program>,
        call: Call,
        export: E,
    ) -> Finished<E::Output> {
        let runtime = Arc::clone(self);
        let is_slow = program.is_slow.load(Ordering::Relaxed);
        let mut guest = Box::pin(async move { runtime.run(&program, &call, export).await });
        let first = if is_slow { Ok(Poll::Pending) } else { self.first_turn(guest.as_mut()) };
        let finished = match first {
            Ok(Poll::Ready(finished)) => return finished,
            Ok(Poll::Pending) => self.spawn(guest).await,
            Err(error) => Err(error),
        };
        finished.unwrap_or_else(|error| {
            tracing::error!("{error:?}");
            Finished::before_it_began(Broken::new(FailureKind::Internal, error.message))
        })
    }

    /// Polls what a guests' thread will poll again, unless it is ready.
    fn first_turn<T>(&self, guest: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Result<Poll<T>> {
        let threads = self.threads.as_ref().ok_or_else(broke_off)?;
        // Its timers are to go off on the guests' threads, and what it starts is to run there.
        let _entered = threads.enter();
        let poll = || guest.poll(&mut Context::from_waker(Waker::noop()));
        catch_unwind(AssertUnwindSafe(poll)).map_err(|_| broke_off())
    }

    /// Runs one call on the thread that waits for it.
    pub(crate) async fn run<E: Export>(
        &self,
        program: &Program,
        call: &Call,
        export: E,
    ) -> Finished<E::Output> {
        let stopped = |stop| Broken::stopped(stop, &call.limits);
        let _place = if let Ok(place) = self.places.try_acquire() {
            Ok(place)
        } else {
            tokio::select! {
                biased;
                () = call.cancel.cancelled() => return Finished::before_it_began(stopped(Stop::Cancelled)),
                place = self.places.acquire() => place,
            }
        };
        // However the call ends, models drop what it still waits for.
        let cancel = call.cancel.child_token();
        let _models_stop = cancel.clone().drop_guard();
        let memory_bytes = call.limits.memory_bytes.min(self.max_memory_bytes);
        let state = GuestState::new(call, memory_bytes, cancel.clone());
        let clock = Arc::clone(&state.clock);
        let mut store = match store(program, state, &call.limits) {
            Ok(store) => store,
            Err(error) => {
                let message = format!("no store for the plugin: {error:#}");
                return Finished::before_it_began(Broken::new(FailureKind::Internal, message));
            }
        };

        let ended = {
            let guest = pin!(async {
                let instance = program.instantiate(&mut store).await?;
                export.call(program, &mut store, &instance).await
            });
            Timed::new(guest, &clock, &cancel).await
        };
        let result = match ended {
            Err(stop) => Err(stopped(stop)),
            Ok(Err(error)) => Err(Broken::ended(&error, store.data(), &call.limits)),
            Ok(Ok(Err(error))) => Err(contract_error(&error)),
            Ok(Ok(Ok(output))) => Ok(output),
        };
        let burnt = call.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let state = store.data();
        let usage = GuestUsage {
            fuel: state.spent.fuel.saturating_add(burnt),
            peak_memory_bytes: state.limiter.peak_bytes(),
            host_calls: state.spent.host_calls.saturating_add(state.budget.host_calls()),
        };
        Finished { result, log: state.log.text(), usage }
    }
}

impl Drop for GuestRuntime {
    /// Waits for nobody: the sandbox may be dropped where waiting is not allowed.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

fn broke_off() -> Error {
    Error::internal("sandbox-defect", "a call of the sandbox broke off")
}

/// Bytes that a guest may hand over in one call of the host, or as its output.
pub(crate) fn handover_bytes(limits: &Limits) -> u64 {
    HANDOVER_BYTES.max(limits.output_bytes.saturating_mul(2))
}

fn store(program: &Program, state: GuestState, limits: &Limits) -> wasmtime::Result<Store<GuestState>> {
    let mut store = Store::new(program.instance.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(limits.fuel)?;
    store.fuel_async_yield_interval(Some(YIELD_FUEL))?;
    store.set_hostcall_fuel(usize::try_from(handover_bytes(limits)).unwrap_or(usize::MAX));
    store.set_max_component_handles(HANDLES);
    store.call_hook_async(Turns::default());
    Ok(store)
}

/// Lets others have the thread of a guest whose host works for it: that burns next to no fuel.
#[derive(Default)]
struct Turns {
    /// Works of the host so far.
    works: AtomicU32,
}

impl CallHookHandler<GuestState> for Turns {
    fn handle_call_event<'a, 'b, 'c>(
        &'a self,
        store: StoreContextMut<'b, GuestState>,
        event: CallHook,
    ) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let looks = || self.works.fetch_add(1, Ordering::Relaxed) % WORKS_UNSEEN == WORKS_UNSEEN - 1;
        if matches!(event, CallHook::CallingHost) && looks() && store.data().clock.turn() > TURN {
            return Box::pin(async {
                give_way().await;
                Ok(())
            });
        }
        // Without a state, so that its box takes no memory: this is called at every step to the host and back.
        Box::pin(poll_fn(|_| Poll::Ready(Ok(()))))
    }
}
