//! What both sides said, held together.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{llm_bench, lm_eval};

/// The answers of one side of a work that asks for log-likelihoods.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    /// Sample by sample, the summed log-likelihood of each request.
    sums: Vec<Vec<f64>>,
    metrics: BTreeMap<String, f64>,
}

impl Scores {
    pub(crate) fn ours(run: &llm_bench::Run) -> Result<Self> {
        let sums = run.samples.iter().map(|sample| {
            let answers = sample["calls"][0]["response"].as_array().context("a sample has no answers")?;
            answers.iter().map(|answer| number(&answer["sum"])).collect()
        });
        let metrics =
            run.benchmark["metrics"].as_array().context("the result has no metrics")?.iter().map(|metric| {
                let name = metric["name"].as_str().context("a metric has no name")?;
                Ok((name.to_owned(), number(&metric["value"])?))
            });
        Ok(Self { sums: sums.collect::<Result<_>>()?, metrics: metrics.collect::<Result<_>>()? })
    }

    pub(crate) fn theirs(run: &lm_eval::Run) -> Result<Self> {
        let sums = run.samples.iter().map(|sample| {
            let answers = sample["filtered_resps"].as_array().context("a sample has no answers")?;
            // A log-likelihood comes with `is_greedy`, that of a whole text alone.
            answers.iter().map(|answer| number(answer.get(0).unwrap_or(answer))).collect()
        });
        let metrics = run.metrics.as_object().context("the results lack the task")?;
        let metrics = metrics.iter().filter_map(|(key, value)| {
            let name = key.strip_suffix(",none").filter(|name| !name.ends_with("_stderr"))?;
            Some((name.to_owned(), value.as_f64()?))
        });
        Ok(Self { sums: sums.collect::<Result<_>>()?, metrics: metrics.collect() })
    }

    /// How far the other's answers are from these, and their metrics of these names.
    ///
    /// # Errors
    /// When they are answers to different questions, or a side lacks one of the metrics.
    pub(crate) fn compare(&self, theirs: &Self, metrics: &[&str], tolerance: Tolerance) -> Result<Agreement> {
        let counts = |scores: &Self| scores.sums.iter().map(Vec::len).collect::<Vec<_>>();
        ensure!(counts(self) == counts(theirs), "the sides answered different numbers of requests");
        let pairs = || self.sums.iter().flatten().zip(theirs.sums.iter().flatten());
        let beyond = pairs().filter(|(ours, theirs)| !tolerance.holds(**ours, **theirs)).count();
        let metrics = metrics.iter().map(|&name| {
            let of = |side: &str, scores: &Self| {
                scores.metrics.get(name).copied().with_context(|| format!("{side} measured no `{name}`"))
            };
            Ok((name.to_owned(), (of("llm-bench", self)?, of("lm-eval", theirs)?)))
        });
        let metrics = metrics.collect::<Result<BTreeMap<_, _>>>()?;
        let apart = metrics.values().filter(|(ours, theirs)| !tolerance.holds_metric(*ours, *theirs));
        Ok(Agreement {
            holds: beyond == 0 && apart.count() == 0,
            requests: pairs().count(),
            beyond,
            greatest_difference: pairs().map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max),
            metrics,
        })
    }
}

/// How far two sums may be apart: the tolerances of the project's golden tests.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) absolute: f64,
    pub(crate) relative: f64,
    /// Of metrics, relative.
    pub(crate) metric: f64,
}

impl Tolerance {
    /// Not a number is near nothing.
    fn holds(self, ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= self.absolute + self.relative * theirs.abs()
    }

    fn holds_metric(self, ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= self.metric * theirs.abs().max(1.0)
    }
}

/// The outcome of a comparison.
#[derive(Debug, PartialEq)]
pub(crate) struct Agreement {
    pub(crate) holds: bool,
    requests: usize,
    /// Requests whose sums are further apart than the tolerance.
    beyond: usize,
    greatest_difference: f64,
    /// Metric → ours and theirs.
    metrics: BTreeMap<String, (f64, f64)>,
}

impl Agreement {
    pub(crate) fn json(&self) -> Value {
        json!({
            "agree": self.holds,
            "requests": self.requests,
            "requests_beyond_tolerance": self.beyond,
            "greatest_difference": self.greatest_difference,
            "metrics": self.metrics.iter().map(|(name, (ours, theirs))| {
                (name.clone(), json!({ "llm-bench": ours, "lm-eval": theirs }))
            }).collect::<serde_json::Map<_, _>>(),
        })
    }

    pub(crate) fn line(&self) -> String {
        let verdict = if self.holds { "agree" } else { "DIFFER" };
        let metrics: Vec<_> = self
            .metrics
            .iter()
            .map(|(name, (ours, theirs))| format!("{name} {ours:.6} and {theirs:.6}"))
            .collect();
        format!(
            "{verdict}: {} sums, {} beyond the tolerance, at most {:.1e} apart; {}",
            self.requests,
            self.beyond,
            self.greatest_difference,
            metrics.join(", ")
        )
    }
}

/// A number, or a text that is one: both sides write some of theirs so.
fn number(value: &Value) -> Result<f64> {
    let parsed = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    parsed.with_context(|| format!("`{value}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { absolute: 1e-3, relative: 0.0, metric: 1e-6 };

    fn ours(sums: &Value, acc: f64) -> Scores {
        let answers: Vec<_> = sums.as_array().unwrap().iter().map(|sum| json!({ "sum": sum })).collect();
        Scores::ours(&llm_bench::Run {
            process_s: 1.0,
            benchmark: json!({ "metrics": [{ "name": "acc", "value": acc }] }),
            samples: vec![json!({ "calls": [{ "response": answers }] })],
        })
        .unwrap()
    }

    fn theirs() -> Scores {
        Scores::theirs(&lm_eval::Run {
            process_s: 1.0,
            requests_s: None,
            metrics: json!({ "acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "choices" }),
            samples: vec![json!({ "doc_id": 0, "filtered_resps": [["-1.25", "False"], ["-2.5", "True"]] })],
        })
        .unwrap()
    }

    #[test]
    fn sums_within_the_tolerance_agree() {
        let agreement = ours(&json!([-1.2504, -2.5]), 0.5).compare(&theirs(), &["acc"], TOLERANCE).unwrap();
        assert!(agreement.holds, "{agreement:?}");
        assert_eq!((agreement.requests, agreement.beyond), (2, 0));
        assert_eq!(agreement.metrics["acc"], (0.5, 0.5));
    }

    #[test]
    fn a_sum_too_far_away_or_no_number_at_all_differs() {
        for sum in [json!(-1.252), json!("NaN"), json!("-Infinity")] {
            let agreement = ours(&json!([sum, -2.5]), 0.5).compare(&theirs(), &["acc"], TOLERANCE).unwrap();
            assert_eq!((agreement.holds, agreement.beyond), (false, 1), "{sum}");
        }
    }

    #[test]
    fn equal_sums_with_another_metric_differ() {
        let agreement = ours(&json!([-1.25, -2.5]), 0.75).compare(&theirs(), &["acc"], TOLERANCE).unwrap();
        assert_eq!((agreement.holds, agreement.beyond), (false, 0));
    }

    #[test]
    fn a_metric_that_one_side_lacks_cannot_be_compared() {
        let compare =
            |ours: &Scores, theirs: &Scores, metrics: &[&str]| ours.compare(theirs, metrics, TOLERANCE);
        let sums = json!([-1.25, -2.5]);
        let error = compare(&ours(&sums, 0.5), &theirs(), &["acc", "acc_norm"]).unwrap_err();
        assert_eq!(error.to_string(), "llm-bench measured no `acc_norm`");
        let mut more = ours(&sums, 0.5);
        more.metrics.insert("acc_norm".to_owned(), 0.5);
        let error = compare(&more, &theirs(), &["acc", "acc_norm"]).unwrap_err();
        assert_eq!(error.to_string(), "lm-eval measured no `acc_norm`");
    }

    #[test]
    fn answers_to_other_questions_cannot_be_compared() {
        assert!(ours(&json!([-1.25]), 0.5).compare(&theirs(), &["acc"], TOLERANCE).is_err());
    }

    #[test]
    fn the_sum_of_a_whole_text_stands_alone() {
        let run = lm_eval::Run {
            process_s: 1.0,
            requests_s: None,
            metrics: json!({ "word_perplexity,none": 7.0 }),
            samples: vec![json!({ "doc_id": 0, "filtered_resps": [-321.5] })],
        };
        assert_eq!(Scores::theirs(&run).unwrap().sums, [[-321.5]]);
    }
}
