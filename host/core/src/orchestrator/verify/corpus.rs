//! Metrics of the whole corpus, in each of the three passes.

use futures::future::join3;
use tokio_util::sync::CancellationToken;

use super::{Judged, JudgedSample};
use crate::Row;
use crate::benchmark::{Metric, Outcome, Plan};
use crate::orchestrator::corpus::{Feeder, aggregate};
use crate::plugin::{GuestOutcome, LoadedPlugin, MetricDeclaration, ScoredSample};
use crate::rescore::is_same_float;
use crate::sample::{Measurement, Solution};
use crate::verification::Passes;

type Aggregated = GuestOutcome<Vec<Measurement>>;

/// The aggregations of the three passes, side by side, where the plugin has metrics of the whole corpus.
pub(super) fn aggregations(
    plan: &Plan,
    plugin: &dyn LoadedPlugin,
    cancel: &CancellationToken,
) -> (Option<Passes<Feeder>>, Option<impl Future<Output = Passes<Aggregated>>>) {
    if !plan.metrics.iter().any(MetricDeclaration::is_of_corpus) {
        return (None, None);
    }
    let [(real, of_real), (shuffled, of_shuffled), (blank, of_blank)] = [0; 3].map(|_| {
        let (feeder, samples) = Feeder::new();
        (feeder, aggregate(plugin, &plan.config, (plan.seed, plan.limits), cancel, samples))
    });
    let aggregating = async {
        let (real, shuffled, blank) = join3(of_real, of_shuffled, of_blank).await;
        Passes { real, shuffled, blank }
    };
    (Some(Passes { real, shuffled, blank }), Some(aggregating))
}

/// Gives a sample to the aggregator of each pass in which it was scored.
pub(super) async fn feed(feeders: &mut Passes<Feeder>, judged: &JudgedSample) {
    let JudgedSample { sample, solution, target, other, real, shuffled, blank, .. } = judged;
    let scored = |solution: &Solution, target: &Row, judged: &Judged| {
        let measurements = judged.as_ref().ok()?.clone();
        let (sample, solution, target) = (sample.clone(), solution.clone(), target.clone());
        Some(ScoredSample { sample, solution, target, measurements })
    };
    if let Some(scored) = scored(solution, target, real) {
        feeders.real.feed(scored).await;
    }
    if let Some(scored) = shuffled.as_ref().and_then(|judged| scored(solution, other, judged)) {
        feeders.shuffled.feed(scored).await;
    }
    if let Some(scored) = scored(&Solution::default(), target, blank) {
        feeders.blank.feed(scored).await;
    }
}

/// Whether a stored value did not come out again.
pub(super) fn differs(stored: Option<&Outcome>, again: &Metric) -> bool {
    let is_it = |metric: &&Metric| metric.name == again.name && metric.filter == again.filter;
    let stored =
        stored.and_then(|outcome| outcome.metrics.iter().find(is_it)).and_then(|metric| metric.value);
    stored.is_some_and(|stored| again.value.is_none_or(|again| !is_same_float(stored, again)))
}
