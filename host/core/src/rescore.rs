//! Benchmarks that judge what another one recorded, and how far they agree with it.

use serde::{Deserialize, Serialize};

use crate::benchmark::PluginPin;
use crate::id::BenchmarkId;
use crate::sample::{Failure, Measurement, Passage, SampleRecord, Solution};

/// Where a benchmark that asks no subject has its answers from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The benchmark that recorded them.
    pub benchmark: BenchmarkId,
    /// Its task.
    pub task: PluginPin,
    pub takes: Takes,
    /// Parts whose calls are answered from the record; the models of the others are asked.
    pub recorded_parts: Vec<String>,
    /// Whether its samples are held against the source's: both declare the same metrics.
    pub is_compared: bool,
}

/// What is taken over from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// The answers of its models: a task asks and judges anew.
    Calls,
    /// The solutions of its samples: a scorer judges them anew.
    Solutions,
}

impl Takes {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Solutions => "solutions",
        }
    }
}

/// How the samples of a benchmark agree with those of its source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Samples that were held against the source's.
    pub compared: u64,
    /// Samples whose solution, measurements or failure are not those of the source.
    pub differing: u64,
    /// The first of them, by row.
    pub rows: Vec<u64>,
}

impl Agreement {
    /// Rows that are named, at most.
    pub const NAMED: u32 = 100;

    /// Counts a sample in.
    pub(crate) fn add(&mut self, row: u64, is_equal: bool) {
        self.compared += 1;
        if !is_equal {
            self.differing += 1;
            if self.rows.len() < Self::NAMED as usize {
                self.rows.push(row);
            }
        }
    }

    /// Whether every sample is that of the source, bit for bit.
    pub fn is_identical(&self) -> bool {
        self.differing == 0
    }
}

/// Whether two records of a sample say the same, bit for bit: solution, measurements and failure. What a run of it
/// took, and the text of a backtrace or a log, are not part of that.
pub(crate) fn is_same(first: &SampleRecord, second: &SampleRecord) -> bool {
    is_same_solution(first.solution.as_ref(), second.solution.as_ref())
        && is_same_judgement(
            judgement(&first.measurements, first.failure.as_ref()),
            judgement(&second.measurements, second.failure.as_ref()),
        )
}

/// What a scorer made of a solution, or why it made nothing of it.
pub(crate) type Judgement<'a> = Result<&'a [Measurement], &'a Failure>;

pub(crate) fn judgement<'a>(measurements: &'a [Measurement], failure: Option<&'a Failure>) -> Judgement<'a> {
    failure.map_or(Ok(measurements), Err)
}

pub(crate) fn is_same_judgement(first: Judgement<'_>, second: Judgement<'_>) -> bool {
    match (first, second) {
        (Ok(first), Ok(second)) => {
            first.len() == second.len()
                && first.iter().zip(second).all(|(first, second)| is_same_measurement(first, second))
        }
        (Err(first), Err(second)) => {
            (first.kind, first.phase, &first.message) == (second.kind, second.phase, &second.message)
        }
        _ => false,
    }
}

fn is_same_measurement(first: &Measurement, second: &Measurement) -> bool {
    let same_value = match (first.value, second.value) {
        (Some(first), Some(second)) => is_same_float(first, second),
        (None, None) => true,
        _ => false,
    };
    same_value
        && is_same_float(first.weight, second.weight)
        && (&first.metric, &first.filter, &first.reason) == (&second.metric, &second.filter, &second.reason)
}

fn is_same_solution(first: Option<&Solution>, second: Option<&Solution>) -> bool {
    match (first, second) {
        (Some(first), Some(second)) => {
            // As text, where the order of fields counts.
            let detail = |solution: &Solution| solution.detail.as_ref().map(ToString::to_string);
            first.answer == second.answer
                && detail(first) == detail(second)
                && first.passages.len() == second.passages.len()
                && first.passages.iter().zip(&second.passages).all(|(first, second)| {
                    let Passage { id, text, score } = first;
                    (id, text) == (&second.id, &second.text) && is_same_float(*score, second.score)
                })
        }
        (None, None) => true,
        _ => false,
    }
}

/// The same bits, but that all NaNs are one, and both zeros: a database keeps neither apart.
pub(crate) fn is_same_float(first: f64, second: f64) -> bool {
    let bits = |float: f64| if float.is_nan() { f64::NAN.to_bits() } else { (float + 0.0).to_bits() };
    bits(first) == bits(second)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample::{FailureKind, Phase};

    fn record(detail: crate::Json, value: f64) -> SampleRecord {
        let measurement = Measurement {
            metric: "acc".to_owned(),
            filter: None,
            value: Some(value),
            weight: 1.0,
            reason: None,
        };
        SampleRecord {
            solution: Some(Solution { answer: Some("a".to_owned()), passages: vec![], detail: Some(detail) }),
            measurements: vec![measurement],
            ..SampleRecord::blank(3)
        }
    }

    #[test]
    fn one_bit_of_a_measurement_or_of_a_detail_makes_a_difference() {
        let first = record(json!({"a": 0.1, "b": 2}), 0.3);
        assert!(is_same(&first, &first.clone()));
        assert!(!is_same(&first, &record(json!({"a": 0.1, "b": 2}), 0.1 + 0.2)));
        assert!(!is_same(&first, &record(json!({"a": 0.100_000_000_000_000_02, "b": 2}), 0.3)));
        assert!(!is_same(&first, &record(json!({"b": 2, "a": 0.1}), 0.3)), "the order of fields counts");
        assert!(!is_same(&first, &SampleRecord { solution: None, ..first.clone() }));
    }

    #[test]
    fn what_a_database_does_not_keep_apart_is_the_same() {
        assert!(is_same(&record(json!(1), f64::NAN), &record(json!(1), -f64::NAN)));
        assert!(is_same(&record(json!(1), 0.0), &record(json!(1), -0.0)));
    }

    #[test]
    fn a_failure_is_told_by_its_kind_and_sentence_and_not_by_its_log() {
        let failed = |message: &str, log: &str| SampleRecord {
            failure: Some(Failure {
                kind: FailureKind::Trap,
                phase: Phase::Score,
                message: message.to_owned(),
                backtrace: None,
                log: Some(log.to_owned()),
            }),
            measurements: vec![],
            ..record(json!(1), 0.0)
        };
        assert!(is_same(&failed("a", "x"), &failed("a", "y")));
        assert!(!is_same(&failed("a", "x"), &failed("b", "x")));
        assert!(!is_same(&failed("a", "x"), &record(json!(1), 0.0)));
    }

    #[test]
    fn an_agreement_names_the_first_that_differ() {
        let mut agreement = Agreement::default();
        (0..250).for_each(|row| agreement.add(row, row % 2 == 0));
        assert_eq!((agreement.compared, agreement.differing, agreement.rows.len()), (250, 125, 100));
        assert_eq!(agreement.rows[..3], [1, 3, 5]);
        assert!(!agreement.is_identical());
    }
}
