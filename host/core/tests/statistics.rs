//! Statistics against values of lm-evaluation-harness and scipy, which `golden/record_statistics.py` records.

use std::path::Path;

use llm_bench_core::plugin::{Aggregation, MetricDeclaration};
use llm_bench_core::sample::Measurement;
use llm_bench_core::statistics::{
    Aggregator, Bootstrap, CORPUS_REPLICATES, GroupMember, GroupedMetric, MOST_DRAWS, McNemar, PairedMeans,
    PairedRatios, Total,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A section of the fixture.
fn golden<T: DeserializeOwned>(section: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/statistics.json");
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let mut sections: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("the fixture is JSON");
    let section = sections.remove(section).expect("the fixture has the section");
    serde_json::from_value(section).expect("the section has the shape of its cases")
}

#[track_caller]
fn close(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{got}, not {expected}");
}

fn perplexity(values: &mut [f64]) -> f64 {
    (-values.iter().sum::<f64>() / values.len() as f64).exp()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[derive(Deserialize)]
struct AggregateCase {
    aggregation: Aggregation,
    values: Vec<f64>,
    weights: Vec<f64>,
    value: f64,
    stderr: Option<f64>,
}

#[test]
fn metrics_and_their_standard_errors_are_lm_evals() {
    for case in golden::<AggregateCase>("aggregates") {
        let mut aggregator = Aggregator::new(vec![MetricDeclaration {
            name: "m".into(),
            filter: None,
            description: String::new(),
            aggregation: case.aggregation,
            higher_is_better: true,
        }]);
        for (value, weight) in case.values.iter().zip(&case.weights) {
            aggregator.add(&Measurement {
                metric: "m".into(),
                filter: None,
                value: Some(*value),
                weight: *weight,
                reason: None,
            });
        }
        let metric = aggregator.finish().remove(0);
        close(metric.value.unwrap(), case.value, 1e-12);
        assert_eq!(metric.stderr.is_some(), case.stderr.is_some(), "{:?}", case.aggregation);
        if let (Some(got), Some(expected)) = (metric.stderr, case.stderr) {
            // Values around 10⁹ leave nine digits to their differences.
            close(got, expected, if case.value > 1e8 { 1e-7 } else { 1e-10 });
        }
        let bootstrapped = matches!(case.aggregation, Aggregation::Median | Aggregation::Perplexity);
        let replicates = (bootstrapped && case.values.len() > 1).then_some(100_000);
        assert_eq!(metric.bootstrap_replicates, replicates);
    }
}

#[derive(Deserialize)]
struct BootstrapCase {
    estimate: String,
    values: Vec<f64>,
    replicates: u32,
    stderr: f64,
}

#[test]
fn bootstraps_draw_what_lm_eval_draws() {
    let cases = golden::<BootstrapCase>("bootstraps");
    assert!(cases.iter().any(|case| case.replicates == CORPUS_REPLICATES));
    for case in cases {
        let estimate = match case.estimate.as_str() {
            "perplexity" => perplexity,
            "median" => median,
            "mean" => mean,
            other => panic!("no estimate {other}"),
        };
        let bootstrap = Bootstrap::of(&case.values, case.replicates, MOST_DRAWS, estimate).unwrap();
        close(bootstrap.stderr, case.stderr, 1e-12);
        let whole_chunks =
            case.replicates - if case.replicates > 1_000 { case.replicates % 1_000 } else { 0 };
        assert_eq!(bootstrap.replicates, whole_chunks);
    }
}

#[derive(Deserialize)]
struct GroupCase {
    values: Vec<f64>,
    stderrs: Vec<f64>,
    sizes: Vec<u64>,
    value: f64,
    stderr: f64,
}

#[test]
fn a_group_has_lm_evals_mean_and_pooled_standard_error() {
    for case in golden::<GroupCase>("groups") {
        let members: Vec<_> = (case.values.iter().zip(&case.stderrs).zip(&case.sizes))
            .map(|((value, stderr), count)| GroupMember {
                value: *value,
                stderr: Some(*stderr),
                count: *count,
            })
            .collect();
        let group = GroupedMetric::of(&members).unwrap();
        close(group.value, case.value, 1e-12);
        close(group.stderr.unwrap(), case.stderr, 1e-12);
    }
}

#[derive(Deserialize)]
struct PairedCase {
    first: Vec<f64>,
    second: Vec<f64>,
    means: [f64; 2],
    difference: f64,
    stderr: f64,
}

#[test]
fn a_paired_difference_has_the_standard_error_of_scipys_t_test() {
    for case in golden::<PairedCase>("pairs") {
        let mut means = PairedMeans::default();
        for (first, second) in case.first.iter().zip(&case.second) {
            means.add(*first, *second);
        }
        let [first, second] = means.means().unwrap();
        close(first, case.means[0], 1e-12);
        close(second, case.means[1], 1e-12);
        let difference = means.difference().unwrap();
        let tolerance = if case.means[0] > 1e5 { 1e-8 } else { 1e-12 };
        close(difference.value, case.difference, tolerance);
        close(difference.stderr.unwrap(), case.stderr, tolerance);
        let [low, high] = difference.ci95.unwrap();
        close(high - low, 2.0 * 1.959_963_984_540_054 * case.stderr, tolerance.max(1e-10));
    }
}

#[derive(Deserialize)]
struct RatioCase {
    first: Vec<f64>,
    first_weights: Vec<f64>,
    second: Vec<f64>,
    second_weights: Vec<f64>,
    ratios: [f64; 2],
    difference: f64,
    stderr: f64,
}

#[test]
fn a_difference_of_ratios_has_the_delta_methods_standard_error() {
    for case in golden::<RatioCase>("ratio_pairs") {
        let mut ratios = PairedRatios::default();
        let totals = |values: &[f64], weights: &[f64]| -> Vec<Total> {
            values
                .iter()
                .zip(weights)
                .map(|(value, weight)| Total { value: *value, weight: *weight })
                .collect()
        };
        let first = totals(&case.first, &case.first_weights);
        let second = totals(&case.second, &case.second_weights);
        for (first, second) in first.into_iter().zip(second) {
            ratios.add(first, second);
        }
        let [first, second] = ratios.ratios().unwrap();
        close(first, case.ratios[0], 1e-12);
        close(second, case.ratios[1], 1e-12);
        let difference = ratios.difference().unwrap();
        close(difference.value, case.difference, 1e-12);
        close(difference.stderr.unwrap(), case.stderr, 1e-9);
    }
}

#[derive(Deserialize)]
struct McNemarCase {
    only_first: u64,
    only_second: u64,
    exact: f64,
    statistic: Option<f64>,
    chi_square: Option<f64>,
}

#[test]
fn mcnemars_p_values_are_scipys() {
    for case in golden::<McNemarCase>("mcnemar") {
        let mcnemar = McNemar { only_first: case.only_first, only_second: case.only_second };
        close(mcnemar.exact(), case.exact, 1e-9);
        let (statistic, p_value) = mcnemar.chi_square();
        if let (Some(expected_statistic), Some(expected)) = (case.statistic, case.chi_square) {
            close(statistic, expected_statistic, 1e-14);
            close(p_value, expected, 1e-12);
        }
        let default = if case.only_first + case.only_second < 25 { mcnemar.exact() } else { p_value };
        assert_eq!(mcnemar.test().p_value(), default);
    }
}
