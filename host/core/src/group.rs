//! Metrics of several benchmarks put together.

use crate::benchmark::{Benchmark, Metric};
use crate::plugin::Aggregation;
use crate::statistics::{GroupMember, GroupedMetric, Z_95};

/// The means that all benchmarks of a group have, or those of them that are `wanted`: weighted by the number of
/// samples, in the order of the first benchmark.
///
/// The standard error is pooled as in lm-evaluation-harness 0.4.13 (`pooled_sample_stderr`), where every benchmark has
/// one.
pub fn aggregate(members: &[&Benchmark], wanted: Option<&[String]>) -> Vec<Metric> {
    let Some((first, rest)) = members.split_first() else { return Vec::new() };
    let is_wanted =
        |metric: &Metric| wanted.is_none_or(|wanted| wanted.contains(&metric.name)) && is_mean(first, metric);
    let metrics = metrics_of(first).filter(|metric| is_wanted(metric));
    metrics
        .filter_map(|metric| {
            let others = rest.iter().map(|member| {
                metrics_of(member)
                    .find(|other| (&other.name, &other.filter) == (&metric.name, &metric.filter))
            });
            let all: Vec<&Metric> = [Some(metric)].into_iter().chain(others).collect::<Option<_>>()?;
            together(&all)
        })
        .collect()
}

fn metrics_of(benchmark: &Benchmark) -> impl Iterator<Item = &Metric> {
    benchmark.outcome.iter().flat_map(|outcome| &outcome.metrics)
}

fn is_mean(benchmark: &Benchmark, metric: &Metric) -> bool {
    benchmark.plan.metrics.iter().any(|declaration| {
        (&declaration.name, &declaration.filter) == (&metric.name, &metric.filter)
            && declaration.aggregation == Aggregation::Mean
    })
}

/// None where one has no value.
fn together(metrics: &[&Metric]) -> Option<Metric> {
    let first = metrics.first()?;
    let members: Option<Vec<GroupMember>> = metrics
        .iter()
        .map(|metric| Some(GroupMember { value: metric.value?, stderr: metric.stderr, count: metric.count }))
        .collect();
    let GroupedMetric { value, stderr, count } = GroupedMetric::of(&members?)?;
    Some(Metric {
        name: first.name.clone(),
        filter: first.filter.clone(),
        value: Some(value),
        stderr,
        bootstrap_replicates: None,
        ci95: stderr.map(|stderr| [value - Z_95 * stderr, value + Z_95 * stderr]),
        count,
        higher_is_better: first.higher_is_better,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(value: f64, stderr: Option<f64>, count: u64) -> Metric {
        Metric {
            name: "acc".into(),
            filter: None,
            value: Some(value),
            stderr,
            bootstrap_replicates: None,
            ci95: None,
            count,
            higher_is_better: true,
        }
    }

    #[test]
    fn a_group_is_weighted_by_size_and_its_error_is_pooled() {
        // lm_eval.api.metrics: aggregate_subtask_metrics([0.5, 0.25, 0.75], [10, 4, 30]),
        // pooled_sample_stderr([0.1666, 0.25, 0.0804], [10, 4, 30]).
        let parts =
            [metric(0.5, Some(0.1666), 10), metric(0.25, Some(0.25), 4), metric(0.75, Some(0.0804), 30)];
        let all = together(&parts.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((all.value, all.count), (Some(0.647_727_272_727_272_7), 44));
        assert!((all.stderr.unwrap() - 0.070_127_456_026_094_35).abs() < 1e-15, "{all:?}");
    }

    #[test]
    fn without_the_error_of_one_there_is_none_of_all() {
        let parts = [metric(0.5, None, 1), metric(0.0, Some(0.1), 3)];
        let all = together(&parts.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((all.value, all.stderr, all.ci95), (Some(0.125), None, None));
    }
}
