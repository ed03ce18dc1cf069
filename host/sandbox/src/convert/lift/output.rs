//! What a guest returns for a sample, held against its limits.

use std::collections::HashSet;

use llm_bench_core::limits::Limits;
use llm_bench_core::sample::{Measurement, Passage, Solution};

use super::{NAME_BYTES, Wrong, filter_name, shown};
use crate::bindings::llm_bench::plugin::types;

/// A solution of bounded size whose numbers are finite and whose detail is JSON.
pub(crate) fn solution(raw: types::Solution, limits: &Limits) -> Result<Solution, Wrong> {
    let passages =
        raw.passages.iter().map(|passage| passage.id.len() + passage.text.len() + 8).sum::<usize>();
    let size =
        raw.answer.as_ref().map_or(0, String::len) + raw.detail.as_ref().map_or(0, String::len) + passages;
    within("solution", size, limits)?;
    Ok(Solution {
        answer: raw.answer,
        passages: raw.passages.into_iter().map(passage).collect::<Result<_, _>>()?,
        detail: match raw.detail {
            None => None,
            Some(text) => Some(
                serde_json::from_str(&text)
                    .map_err(|error| format!("the detail of its solution is no JSON: {error}"))?,
            ),
        },
    })
}

fn passage(raw: types::Passage) -> Result<Passage, Wrong> {
    if !raw.score.is_finite() {
        return Err(format!("the score of its passage `{}` is {}", shown(&raw.id, NAME_BYTES), raw.score));
    }
    Ok(Passage { id: raw.id, text: raw.text, score: raw.score })
}

/// Measurements of bounded number and size, finite, at most one for each pair of metric and filter. Whether the
/// metric was declared is the orchestrator's to know.
pub(crate) fn measurements(raw: Vec<types::Measurement>, limits: &Limits) -> Result<Vec<Measurement>, Wrong> {
    let (count, most) = (raw.len(), limits.measurements);
    if count > most as usize {
        return Err(format!("it returned {count} measurements; the limit is {most}"));
    }
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let size = raw.iter().map(|raw| raw.metric.len() + text(&raw.filter) + text(&raw.reason) + 16).sum();
    within("list of measurements", size, limits)?;

    let mut seen = HashSet::new();
    let measurements: Vec<_> = raw.into_iter().map(measurement).collect::<Result<_, _>>()?;
    for measurement in &measurements {
        if !seen.insert((&measurement.metric, &measurement.filter)) {
            return Err(format!("it measured `{}` twice", measurement.metric));
        }
    }
    Ok(measurements)
}

fn measurement(raw: types::Measurement) -> Result<Measurement, Wrong> {
    let name = shown(&raw.metric, NAME_BYTES);
    if raw.metric.is_empty() || raw.metric.len() > NAME_BYTES {
        return Err(format!(
            "its metric name `{name}` has {} bytes; 1 to {NAME_BYTES} are allowed",
            raw.metric.len()
        ));
    }
    if let Some(filter) = &raw.filter {
        filter_name(filter)?;
    }
    if let Some(value) = raw.value.filter(|value| !value.is_finite()) {
        return Err(format!(
            "its value of `{name}` is {value}; a value is finite, or absent where the metric is undefined"
        ));
    }
    if !raw.weight.is_finite() || raw.weight < 0.0 {
        return Err(format!("its weight of `{name}` is {}; a weight is finite and not negative", raw.weight));
    }
    Ok(Measurement {
        metric: raw.metric,
        filter: raw.filter,
        value: raw.value,
        weight: raw.weight,
        reason: raw.reason,
    })
}

fn within(what: &str, size: usize, limits: &Limits) -> Result<(), Wrong> {
    if size as u64 <= limits.output_bytes {
        return Ok(());
    }
    Err(format!("its {what} has {size} bytes; the limit is {}", limits.output_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(metric: &str, value: Option<f64>) -> types::Measurement {
        types::Measurement { metric: metric.into(), filter: None, value, weight: 1.0, reason: None }
    }

    fn refusal(raw: Vec<types::Measurement>) -> Wrong {
        measurements(raw, &Limits::default()).unwrap_err()
    }

    #[test]
    fn one_metric_under_two_filters_is_fine_and_an_absent_value_too() {
        let strict = types::Measurement { filter: Some("strict".into()), ..raw("acc", None) };
        assert_eq!(measurements(vec![raw("acc", Some(1.0)), strict], &Limits::default()).unwrap().len(), 2);
    }

    #[test]
    fn numbers_that_break_an_average_are_refused() {
        assert!(refusal(vec![raw("acc", Some(f64::NAN))]).contains("`acc` is NaN"));
        assert!(refusal(vec![raw("acc", Some(f64::INFINITY))]).contains("`acc` is inf"));
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(refusal(vec![types::Measurement { weight, ..raw("acc", None) }]).contains("weight"));
        }
    }

    #[test]
    fn repeated_nameless_and_countless_measurements_are_refused() {
        assert_eq!(refusal(vec![raw("acc", None), raw("acc", None)]), "it measured `acc` twice");
        assert!(refusal(vec![raw("", None)]).contains("0 bytes"));
        assert!(refusal(vec![raw(&"x".repeat(1000), None)]).contains("1000 bytes"));
        assert!(refusal((0..300).map(|n| raw(&format!("m{n}"), None)).collect()).contains("limit is 256"));
        let wordy = types::Measurement { reason: Some("x".repeat(5 << 20)), ..raw("acc", None) };
        assert!(refusal(vec![wordy]).contains("list of measurements"));
    }

    #[test]
    fn a_solution_is_bounded_and_its_detail_is_json() {
        let limits = Limits { output_bytes: 100, ..Limits::default() };
        let raw = |answer: &str, detail: Option<&str>| types::Solution {
            answer: Some(answer.into()),
            passages: vec![],
            detail: detail.map(str::to_owned),
        };
        let good = solution(raw("4", Some(r#"{"b": 1, "a": [1e-7]}"#)), &limits).unwrap();
        assert_eq!(good.detail.unwrap().to_string(), r#"{"b":1,"a":[1e-7]}"#);
        assert!(solution(raw("4", Some("{,}")), &limits).unwrap_err().contains("no JSON"));
        let deep = "[".repeat(100_000);
        assert!(solution(raw("4", Some(&deep)), &Limits::default()).unwrap_err().contains("recursion limit"));
        assert!(solution(raw(&"x".repeat(101), None), &limits).unwrap_err().contains("101 bytes"));
        let passages = vec![types::Passage { id: "p".into(), text: "t".into(), score: f64::NAN }];
        let odd = types::Solution { answer: None, passages, detail: None };
        assert!(solution(odd, &limits).unwrap_err().contains("passage `p` is NaN"));
    }
}
