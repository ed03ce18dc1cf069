//! What an aggregator is fed, and what each of its steps may use.

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::ScoredSamples;
use llm_bench_core::sample::FailureKind;
use tokio::sync::Mutex;
use wasmtime::Store;

use super::budget::{Budget, Ended};
use super::state::GuestState;
use crate::bindings::exports::llm_bench::plugin::aggregator::Scored;
use crate::bindings::llm_bench::plugin::types;
use crate::convert::lower;

/// Samples that an aggregator gets at once, at most.
const BATCH_SAMPLES: usize = 64;
/// A batch is full once its texts have so many bytes; they have to fit into the guest's memory beside what it gathers.
const BATCH_BYTES: usize = 1 << 20;

/// Samples on their way to an aggregator.
pub(crate) struct Corpus(Mutex<ScoredSamples>);

impl Corpus {
    pub(crate) fn new(samples: ScoredSamples) -> Self {
        Self(Mutex::new(samples))
    }

    /// The next samples; none after the last. What is in a batch depends on the samples alone, not on when they come,
    /// so that the same corpus burns the same fuel.
    pub(super) async fn next(&self) -> Option<Vec<Scored>> {
        let mut samples = self.0.lock().await;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_SAMPLES && bytes < BATCH_BYTES {
            let Some(sample) = samples.recv().await else { break };
            let sample = lower::scored(sample);
            bytes += text_bytes(&sample);
            batch.push(sample);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

fn text_bytes(scored: &Scored) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let Scored { sample, solution, target, measurements } = scored;
    let passages: usize = solution.passages.iter().map(|passage| passage.id.len() + passage.text.len()).sum();
    let measurements: usize = measurements.iter().map(|one| one.metric.len() + text(&one.reason)).sum();
    sample.input.len()
        + text(&solution.answer)
        + text(&solution.detail)
        + passages
        + target.len()
        + measurements
}

impl GuestState {
    /// The next samples to aggregate; none after the last. Waiting for them counts against none of the guest's clocks.
    pub(crate) async fn next_batch(&mut self) -> Result<Option<Vec<Scored>>, types::Error> {
        self.clock.rest(self.models.next_batch()).await
    }
}

/// Grants fuel, time and host calls anew for the next step of an aggregation.
///
/// # Errors
/// When the steps before took more than all together may.
pub(crate) fn next_step(store: &mut Store<GuestState>) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let state = store.data_mut();
    let limits = state.limits;
    let spent = &mut state.spent;
    spent.fuel = spent.fuel.saturating_add(limits.fuel.saturating_sub(left));
    spent.computed += limits.compute_timeout().saturating_sub(state.clock.grant(limits.compute_timeout()));
    spent.host_calls = spent.host_calls.saturating_add(state.budget.host_calls());
    state.budget = Budget::new(limits);
    let (fuel, computed) =
        (most_fuel(&limits), limits.compute_timeout().saturating_mul(Limits::AGGREGATION_STEPS));
    let ended = |kind, message| Err(Ended { kind, message }.into());
    if spent.fuel > fuel {
        let message = format!("the plugin burnt more than {fuel} units of fuel for the whole corpus");
        return ended(FailureKind::FuelExhausted, message);
    }
    if spent.computed > computed {
        let most = computed.as_millis();
        let message = format!("the plugin computed for longer than {most} ms for the whole corpus");
        return ended(FailureKind::Timeout, message);
    }
    store.set_fuel(limits.fuel)
}

/// What all steps of an aggregation may burn.
pub(crate) fn most_fuel(limits: &Limits) -> u64 {
    limits.fuel.saturating_mul(Limits::AGGREGATION_STEPS.into())
}
