//! Metrics of several benchmarks put together.

use crate::benchmark::{Benchmark, Metric};
use crate::plugin::{Aggregation, MetricDeclaration};
use crate::statistics::{GroupMember, GroupedMetric, interval};
use crate::{Error, Result};

/// The means that all benchmarks of a group have, or those of them that are `wanted`: weighted by the number of
/// samples, in the order of the first benchmark. One that has no value in some benchmark is left out.
///
/// The standard error is pooled as in lm-evaluation-harness 0.4.13 (`pooled_sample_stderr`), where every benchmark has
/// one.
pub fn aggregate(members: &[&Benchmark], wanted: Option<&[String]>) -> Vec<Metric> {
    let declared: Vec<&[MetricDeclaration]> = members.iter().map(|member| &member.plan.metrics[..]).collect();
    common_means(&declared)
        .filter(|metric| wanted.is_none_or(|wanted| wanted.contains(&metric.name)))
        .filter_map(|metric| {
            let values: Option<Vec<&Metric>> =
                members.iter().map(|member| metric_of(member, metric)).collect();
            together(&values?)
        })
        .collect()
}

/// The means that all members declare, by name and filter, in the order of the first member.
pub fn common_means<'a>(members: &[&'a [MetricDeclaration]]) -> impl Iterator<Item = &'a MetricDeclaration> {
    let (first, rest) = members.split_first().map_or((&[][..], &[][..]), |(first, rest)| (*first, rest));
    first.iter().filter(move |metric| {
        is_mean(metric)
            && rest.iter().all(|other| other.iter().any(|other| is_mean(other) && is_same(metric, other)))
    })
}

/// Checks that metrics which are to be put together are means of all members, before these run. A member is its name
/// and what it declares.
///
/// # Errors
/// `unknown-metric` names the metric, a member without it, and what that one has.
pub fn check_wanted(members: &[(&str, &[MetricDeclaration])], wanted: &[String]) -> Result<()> {
    let refusal = |message: String| Err(Error::invalid("unknown-metric", message));
    let declared: Vec<&[MetricDeclaration]> = members.iter().map(|(_, metrics)| *metrics).collect();
    for metric in wanted {
        let lacking = members.iter().find(|(_, metrics)| {
            !metrics.iter().any(|declared| is_mean(declared) && declared.name == *metric)
        });
        if let Some((member, metrics)) = lacking {
            let means: Vec<&str> =
                metrics.iter().filter(|metric| is_mean(metric)).map(|metric| metric.name.as_str()).collect();
            let means = if means.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", means.join(", "))
            };
            return refusal(format!(
                "`{metric}` cannot be put together: `{member}` has no such mean; {means}"
            ));
        }
        if !common_means(&declared).any(|common| common.name == *metric) {
            return refusal(format!(
                "`{metric}` cannot be put together: the members read it by different filters"
            ));
        }
    }
    Ok(())
}

fn is_mean(metric: &MetricDeclaration) -> bool {
    metric.aggregation == Aggregation::Mean
}

fn is_same(metric: &MetricDeclaration, other: &MetricDeclaration) -> bool {
    (&metric.name, &metric.filter) == (&other.name, &other.filter)
}

fn metric_of<'a>(benchmark: &'a Benchmark, declaration: &MetricDeclaration) -> Option<&'a Metric> {
    let metrics = &benchmark.outcome.as_ref()?.metrics;
    metrics.iter().find(|metric| (&metric.name, &metric.filter) == (&declaration.name, &declaration.filter))
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
        ci95: stderr.map(|stderr| interval(value, stderr)),
        count,
        higher_is_better: first.higher_is_better,
        reason: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::limits::{Budget, Limits};
    use crate::statistics::Z_95;

    /// One metric of a benchmark.
    #[derive(Clone, Copy)]
    struct Measured {
        name: &'static str,
        filter: Option<&'static str>,
        aggregation: &'static str,
        value: Option<f64>,
        stderr: Option<f64>,
    }

    fn mean(name: &'static str, value: f64, stderr: Option<f64>) -> Measured {
        Measured { name, filter: None, aggregation: "mean", value: Some(value), stderr }
    }

    fn benchmark(samples: u64, measured: &[Measured]) -> Benchmark {
        let declared = |metric: &Measured| {
            json!({ "name": metric.name, "filter": metric.filter, "description": "",
                "aggregation": metric.aggregation, "higher_is_better": true })
        };
        let metric = |metric: &Measured| {
            json!({ "name": metric.name, "filter": metric.filter, "value": metric.value, "stderr": metric.stderr,
                "ci95": null, "count": samples, "higher_is_better": true })
        };
        let digest = "ab";
        let facts = json!({ "digest": digest, "bytes": 1, "architecture": "", "max_length": 1, "vocabulary_size": 1,
            "has_chat_template": false });
        let split = json!({ "name": "test", "path": "test.jsonl", "format": "json-lines", "rows": samples, "bytes": 1,
            "digest": digest, "columns": [] });
        let plan = json!({
            "model": { "name": "model", "origin": "path", "path": "model", "facts": facts },
            "task": { "name": "task", "version": "1.0.0", "digest": digest }, "config": {},
            "metrics": measured.iter().map(declared).collect::<Vec<_>>(), "dataset": "data", "split": split,
            "gold": [], "rows": samples, "few_shot": null, "seed": 1, "concurrency": 1,
            "limits": Limits::of(Budget::Normal), "max_failed": 0.0,
        });
        let outcome = json!({ "metrics": measured.iter().map(metric).collect::<Vec<_>>(), "failures": {},
            "speed": crate::benchmark::Speed::default(), "hardware": null, "error": null });
        let progress =
            crate::benchmark::Progress { total: samples, completed: samples, ..Default::default() };
        serde_json::from_value(json!({
            "id": "019385c0-0000-7000-8000-000000000000", "plan": plan, "status": "completed", "progress": progress,
            "created_at": "2025-11-23T00:00:00Z", "started_at": null, "finished_at": null, "outcome": outcome,
            "cancel_requested": false,
        }))
        .unwrap()
    }

    fn names(metrics: &[Metric]) -> Vec<&str> {
        metrics.iter().map(|metric| metric.name.as_str()).collect()
    }

    #[test]
    fn a_group_is_weighted_by_size_and_its_error_is_pooled() {
        // lm_eval.api.metrics: aggregate_subtask_metrics([0.5, 0.25, 0.75], [10, 4, 30]),
        // pooled_sample_stderr([0.1666, 0.25, 0.0804], [10, 4, 30]).
        let parts = [(10, 0.5, 0.1666), (4, 0.25, 0.25), (30, 0.75, 0.0804)]
            .map(|(samples, value, stderr)| benchmark(samples, &[mean("acc", value, Some(stderr))]));
        let all = aggregate(&parts.each_ref(), None).remove(0);
        assert_eq!((all.value, all.count), (Some(0.647_727_272_727_272_7), 44));
        let stderr = all.stderr.unwrap();
        assert!((stderr - 0.070_127_456_026_094_35).abs() < 1e-15, "{all:?}");
        let [low, high] = all.ci95.unwrap();
        assert!(((high - low) / 2.0 - Z_95 * stderr).abs() < 1e-15, "{all:?}");
    }

    #[test]
    fn metrics_stand_in_the_order_of_the_first_benchmark_whatever_was_wanted_first() {
        let first =
            benchmark(1, &[mean("f1", 0.0, None), mean("acc", 1.0, None), mean("only here", 1.0, None)]);
        let second = benchmark(3, &[mean("acc", 0.0, None), mean("f1", 1.0, None)]);
        let members = [&first, &second];
        assert_eq!(names(&aggregate(&members, None)), ["f1", "acc"]);
        let wanted = ["acc".to_owned(), "f1".to_owned()];
        assert_eq!(names(&aggregate(&members, Some(&wanted))), ["f1", "acc"]);
        let acc = aggregate(&members, Some(&wanted[..1]));
        assert_eq!((names(&acc), acc[0].value), (vec!["acc"], Some(0.25)));
        assert_eq!(aggregate(&[], None), []);
    }

    #[test]
    fn only_what_is_a_mean_in_every_benchmark_is_put_together() {
        let perplexity = Measured { aggregation: "perplexity", ..mean("loss", 9.0, None) };
        let [strict, lax] =
            [Some("strict"), Some("lax")].map(|filter| Measured { filter, ..mean("em", 1.0, None) });
        let first = benchmark(1, &[mean("loss", 1.0, None), strict, lax]);
        let second = benchmark(1, &[perplexity, lax]);
        let together = aggregate(&[&first, &second], None);
        assert_eq!((names(&together), together[0].filter.as_deref()), (vec!["em"], Some("lax")));
    }

    #[test]
    fn a_metric_without_a_value_in_some_benchmark_is_left_out() {
        let unknown = Measured { value: None, ..mean("acc", 0.0, None) };
        let (first, second) = (benchmark(2, &[mean("acc", 1.0, None)]), benchmark(0, &[unknown]));
        assert_eq!(aggregate(&[&first, &second], None), []);
    }

    #[test]
    fn a_wanted_metric_that_a_member_has_not_as_a_mean_is_refused() {
        let perplexity = Measured { aggregation: "perplexity", ..mean("loss", 9.0, None) };
        let [strict, lax] =
            [Some("strict"), Some("lax")].map(|filter| Measured { filter, ..mean("em", 1.0, None) });
        let first = benchmark(1, &[mean("acc", 1.0, None), mean("loss", 1.0, None), strict]).plan.metrics;
        let second = benchmark(1, &[mean("acc", 1.0, None), perplexity, lax]).plan.metrics;
        let members = [("one", &first[..]), ("two", &second[..])];
        let check = |metric: &str| check_wanted(&members, &[metric.to_owned()]);
        check("acc").unwrap();
        for (metric, named) in [("accc", "`one`"), ("loss", "`two`"), ("em", "different filters")] {
            let refusal = check(metric).unwrap_err();
            assert_eq!(refusal.code, "unknown-metric");
            assert!(refusal.message.contains(named) && refusal.message.contains(metric), "{refusal}");
        }
    }
}
