//! A loaded plugin: the port's calls, each turned into an export of the contract.

mod aggregate;

use std::sync::Arc;

use async_trait::async_trait;
use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::config_schema::ConfigSchema;
use llm_bench_core::plugin::{
    Descriptor, GuestCall, GuestOutcome, LoadedPlugin, MetricDeclaration, ScoredSamples,
};
use llm_bench_core::sample::{FailureKind, Measurement, Phase, Sample, Solution};
use llm_bench_core::{Error, Json, Result, Row};
use serde::{Deserialize, Serialize};
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::exports::llm_bench::plugin::plugin;
use crate::bindings::llm_bench::plugin::types;
use crate::convert::lift::{self, Misdescribed, shown};
use crate::convert::lower;
use crate::guest::{
    Broken, Call, Corpus, Export, Files, Finished, GuestRuntime, GuestState, Models, Program, contract_error,
};
use crate::process::{IsolatedProgram, Portable};

pub(crate) use aggregate::Aggregate;

/// Budgets of a call at upload, which does next to nothing: an interpreter may start for it.
fn rehearsal_limits() -> Limits {
    Limits { fuel: 5_000_000_000, memory_bytes: 128 << 20, compute_timeout_ms: 10_000, ..Limits::default() }
}

/// A compiled component, where it runs, and what it reads.
pub(crate) struct WasmPlugin {
    pub(crate) place: Place,
    /// What its calls about samples may read.
    pub(crate) files: Files,
}

pub(crate) enum Place {
    /// On threads of this process.
    Here { runtime: Arc<GuestRuntime>, program: Arc<Program> },
    /// In a process of its own.
    Isolated(IsolatedProgram),
}

impl WasmPlugin {
    /// Asks the plugin what it is, and which metrics its example config yields.
    ///
    /// # Errors
    /// `plugin-failed` where it does not answer; `plugin-descriptor`, `plugin-config-schema`, `plugin-example-config` or
    /// `plugin-metrics` where an answer breaks a rule.
    pub(crate) async fn rehearse(&self) -> Result<Descriptor> {
        let finished = self.call(Call::bare(rehearsal_limits()), Describe).await;
        let answer = finished.result.map_err(|broken| failed("describe itself", &broken))?;
        let descriptor = lift::descriptor(answer.map_err(unfit)?).map_err(|misdescribed| {
            let (code, wrong) = match misdescribed {
                Misdescribed::ConfigSchema(wrong) => ("plugin-config-schema", wrong),
                Misdescribed::ExampleConfig(wrong) => ("plugin-example-config", wrong),
                Misdescribed::Other(wrong) => ("plugin-descriptor", wrong),
            };
            Error::invalid(code, format!("what the plugin says of itself is refused: {wrong}"))
        })?;
        ConfigSchema::new(&descriptor.config_schema)?.check(&descriptor.example_config).map_err(|error| {
            let message =
                format!("the plugin's example config is refused by its own schema: {}", error.message);
            Error::invalid("plugin-example-config", message)
        })?;
        let metrics = self.declare(&descriptor.example_config, &rehearsal_limits()).await;
        let metrics = metrics.map_err(|error| match &*error.code {
            "invalid-config" => Error::invalid(
                "plugin-example-config",
                format!("the plugin refuses its own example config: {}", error.message),
            ),
            _ => error,
        })?;
        lift::metrics(metrics).map_err(|wrong| {
            let message =
                format!("the metrics that the plugin declares for its example config are refused: {wrong}");
            Error::invalid("plugin-metrics", message)
        })?;
        Ok(descriptor)
    }

    /// The metrics that the plugin declares for a config.
    async fn declare(&self, config: &Json, limits: &Limits) -> Result<Vec<types::Metric>> {
        let finished = self.call(Call::bare(*limits), Metrics(lower::json(config))).await;
        let answer = finished.result.map_err(|broken| failed("check a config", &broken))?;
        answer.map_err(|error| {
            let broken = contract_error(&error);
            match error.code {
                types::ErrorCode::InvalidConfig => Error::invalid("invalid-config", broken.message),
                _ => failed("check a config", &broken),
            }
        })
    }

    fn of_sample(&self, call: GuestCall) -> Call {
        Call::with_files(call, self.files.clone())
    }

    async fn call<E: Portable>(&self, call: Call, export: E) -> Finished<E::Output> {
        match &self.place {
            Place::Here { runtime, program } => runtime.call(Arc::clone(program), call, export).await,
            Place::Isolated(program) => {
                let Finished { result, log, usage } = Box::pin(program.call(call, export.work())).await;
                let result = result.and_then(|output| {
                    let mixed_up = || Broken::output("its process answered another call");
                    E::output(output).ok_or_else(mixed_up)
                });
                Finished { result, log, usage }
            }
        }
    }
}

#[async_trait]
impl LoadedPlugin for WasmPlugin {
    async fn metrics(&self, config: &Json, limits: &Limits) -> Result<Vec<MetricDeclaration>> {
        let raw = self.declare(config, limits).await?;
        lift::metrics(raw).map_err(|wrong| failed("check a config", &Broken::output(&wrong)))
    }

    async fn solve(&self, call: GuestCall, sample: &Sample) -> GuestOutcome<Solution> {
        let limits = call.limits;
        let export = Solve { context: lower::context(&call.context), sample: lower::sample(sample) };
        let finished = self.call(self.of_sample(call), export).await;
        outcome(finished, Phase::Solve, |raw| lift::solution(raw, &limits))
    }

    async fn score(
        &self,
        call: GuestCall,
        sample: &Sample,
        solution: Solution,
        target: &Row,
    ) -> GuestOutcome<Vec<Measurement>> {
        let limits = call.limits;
        let export = Score {
            context: lower::context(&call.context),
            sample: lower::sample(sample),
            solution: lower::solution(solution),
            target: lower::row(target),
        };
        let finished = self.call(self.of_sample(call), export).await;
        outcome(finished, Phase::Score, |raw| lift::measurements(raw, &limits))
    }

    async fn aggregate(&self, call: GuestCall, samples: ScoredSamples) -> GuestOutcome<Vec<Measurement>> {
        let limits = call.limits;
        let context = types::Context { examples: Vec::new(), ..lower::context(&call.context) };
        let call = Call { models: Arc::new(Models::Corpus(Corpus::new(samples))), ..self.of_sample(call) };
        let finished = self.call(call, Aggregate { context }).await;
        outcome(finished, Phase::Aggregate, |raw| lift::measurements(raw, &limits))
    }
}

/// The component is sound, but its exports or sizes are not what this host serves.
pub(crate) fn unfit(error: impl std::fmt::Display) -> Error {
    let reason = shown(&format!("{error:#}"), 1000);
    Error::unsupported("unsupported-plugin", format!("the component does not fit this host: {reason}"))
}

/// Inspection found the component's imports by name; what the contract does not say of them, the engine compares.
pub(crate) fn unlinkable(error: impl std::fmt::Display) -> Error {
    let reason = shown(&format!("{error:#}"), 1000);
    let message = format!("an import of the component has another signature than here: {reason}");
    Error::unsupported("plugin-signature", message)
}

/// Lifts what the guest returned, and gives a call without a result its phase and log.
fn outcome<R, T>(
    finished: Finished<R>,
    phase: Phase,
    lift: impl FnOnce(R) -> Result<T, lift::Wrong>,
) -> GuestOutcome<T> {
    let Finished { result, log, usage } = finished;
    let result = result.and_then(|raw| lift(raw).map_err(|wrong| Broken::output(&wrong)));
    GuestOutcome { result: result.map_err(|broken| broken.into_failure(phase, log.clone())), usage, log }
}

fn failed(what: &str, broken: &Broken) -> Error {
    let message = format!("the plugin failed to {what} ({}): {}", broken.kind.as_str(), broken.message);
    match broken.kind {
        FailureKind::Internal => Error::internal("plugin-failed", message),
        _ => Error::invalid("plugin-failed", message),
    }
}

/// `describe`, and a look at the other exports: types are checked where an export is looked up, which should be at
/// upload and not at the first sample. An export of another type is part of the output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Describe;

impl Export for Describe {
    type Output = Result<types::Descriptor, String>;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Self::Output, types::Error>> {
        match loaded(program, store, instance) {
            Ok(plugin) => plugin.call_describe(store).await.map(|descriptor| Ok(Ok(descriptor))),
            Err(misfit) => Ok(Ok(Err(format!("{misfit:#}")))),
        }
    }
}

fn loaded(
    program: &Program,
    store: &mut Store<GuestState>,
    instance: &Instance,
) -> wasmtime::Result<plugin::Guest> {
    if let Some(solver) = &program.solver {
        solver.load(&mut *store, instance)?;
    }
    if let Some(scorer) = &program.scorer {
        scorer.load(&mut *store, instance)?;
    }
    if let Some(aggregator) = &program.aggregator {
        aggregator.load(&mut *store, instance)?;
    }
    program.plugin.load(store, instance)
}

/// `metrics` with a config. The plugin's own error is part of the output, because `invalid-config` is an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metrics(String);

impl Export for Metrics {
    type Output = Result<Vec<types::Metric>, types::Error>;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Self::Output, types::Error>> {
        let answer = program.plugin.load(&mut *store, instance)?.call_metrics(store, &self.0).await?;
        let has_aggregator = program.aggregator.is_some();
        Ok(Ok(answer.and_then(|metrics| aggregate::computable(metrics, has_aggregator))))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Solve {
    context: types::Context,
    sample: types::Sample,
}

impl Export for Solve {
    type Output = types::Solution;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Self::Output, types::Error>> {
        let Some(solver) = &program.solver else { return Ok(Err(lacks("solver"))) };
        solver.load(&mut *store, instance)?.call_solve(store, &self.context, &self.sample).await
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Score {
    context: types::Context,
    sample: types::Sample,
    solution: types::Solution,
    target: String,
}

impl Export for Score {
    type Output = Vec<types::Measurement>;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Self::Output, types::Error>> {
        let Some(scorer) = &program.scorer else { return Ok(Err(lacks("scorer"))) };
        let scorer = scorer.load(&mut *store, instance)?;
        scorer.call_score(store, &self.context, &self.sample, &self.solution, &self.target).await
    }
}

fn lacks(interface: &str) -> types::Error {
    types::Error {
        code: types::ErrorCode::Unsupported,
        message: format!("the plugin exports no {interface}"),
        detail: None,
    }
}
