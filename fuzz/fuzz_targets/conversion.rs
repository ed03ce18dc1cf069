//! What a guest returns for a sample: what is taken keeps the rules, whatever was returned.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llm_bench_core::limits::Limits;
use llm_bench_core::sample::{Measurement, Passage};
use llm_bench_sandbox::probe;

#[derive(Debug, Arbitrary)]
struct Returned {
    answer: Option<String>,
    passages: Vec<(String, String, f64)>,
    detail: Option<String>,
    measurements: Vec<(String, Option<String>, Option<f64>, f64, Option<String>)>,
    output_bytes: u16,
    most_measurements: u8,
}

fuzz_target!(|returned: Returned| {
    let limits = Limits {
        output_bytes: returned.output_bytes.into(),
        measurements: returned.most_measurements.into(),
        ..Limits::default()
    };
    let passages =
        returned.passages.into_iter().map(|(id, text, score)| Passage { id, text, score }).collect();
    if let Ok(solution) = probe::solution(returned.answer, passages, returned.detail, &limits) {
        let answer = solution.answer.as_ref().map_or(0, String::len);
        let passages: usize = solution.passages.iter().map(|passage| passage.text.len()).sum();
        assert!((answer + passages) as u64 <= limits.output_bytes);
        assert!(solution.passages.iter().all(|passage| passage.score.is_finite()));
        if let Some(detail) = solution.detail {
            assert!(serde_json::from_str::<serde_json::Value>(&detail.to_string()).is_ok());
        }
    }
    let measurements = returned
        .measurements
        .into_iter()
        .map(|(metric, filter, value, weight, reason)| Measurement { metric, filter, value, weight, reason });
    if let Ok(measurements) = probe::measurements(measurements.collect(), &limits) {
        assert!(measurements.len() <= limits.measurements as usize);
        for (index, measurement) in measurements.iter().enumerate() {
            assert!(measurement.value.is_none_or(f64::is_finite));
            assert!(measurement.weight.is_finite() && measurement.weight >= 0.0);
            assert!((1..=64).contains(&measurement.metric.len()));
            let is_again = |other: &Measurement| {
                (&other.metric, &other.filter) == (&measurement.metric, &measurement.filter)
            };
            assert!(!measurements[..index].iter().any(is_again));
        }
    }
});
