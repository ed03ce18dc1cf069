use std::collections::BTreeMap;

use jiff::Timestamp;
use llm_bench_core::sample::FailureCounts;
use llm_bench_core::verification::{Figure, Passes, Verdict, Verification, VerifiedMetric};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AgreementView;

/// The stored solutions of a benchmark, scored again in three ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerificationView {
    pub benchmark: String,
    #[schema(value_type = String, format = DateTime)]
    pub verified_at: Timestamp,
    /// How the scores with the own gold answers agree with the stored ones.
    pub agreement: AgreementView,
    /// Whether a metric ignores the gold answer.
    pub ignores_gold: bool,
    /// Samples without a solution, which cannot be scored.
    pub unsolved: u64,
    /// Samples that were also held against a gold answer that differs from their own.
    pub shuffled: u64,
    /// Why the gold answers were not shuffled; null where they were.
    pub not_shuffled: Option<String>,
    pub metrics: Vec<VerifiedMetricView>,
    pub failures: PassFailuresView,
}

/// One metric, with each gold answer, with those of other samples, and of blank solutions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerifiedMetricView {
    pub name: String,
    /// How the answer was read before it was judged; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub higher_is_better: bool,
    pub real: FigureView,
    pub shuffled: FigureView,
    pub blank: FigureView,
    /// Samples with a value for two gold answers that differ, from which the verdict comes.
    pub compared: u64,
    /// By how much the own gold answers are better than the others', a mean over these samples.
    pub gain: Option<f64>,
    /// Its paired standard error.
    pub gain_stderr: Option<f64>,
    /// The share of what these samples earn that they earn with the others' gold answers too: Σ min / Σ. Null where
    /// nothing is earned, or less is better.
    pub kept: Option<f64>,
    /// Whether it did not come out again as it was stored: of a metric of the whole corpus.
    pub differs: bool,
    /// `uses-gold`: the gain is more than two standard errors. `ignores-gold`: it is not, and every value stays the
    /// same, or 0.9 of what is earned is kept. `unclear`: neither, or fewer than 20 samples. `needs-model`: unclear,
    /// because the scorer asks a model what is not recorded. `not-shuffled`: there was nothing to shuffle. A metric of the
    /// whole corpus has one value a pass: `uses-gold` where others' gold answers keep less than 0.9 of it,
    /// `ignores-gold` where they keep all of it.
    pub verdict: String,
    /// The verdict in a sentence.
    pub reason: String,
}

/// A metric over one pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FigureView {
    /// Null where it is undefined.
    pub value: Option<f64>,
    /// Samples that have a value.
    pub count: u64,
}

/// Samples that failed in each pass, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassFailuresView {
    pub real: BTreeMap<String, u64>,
    pub shuffled: BTreeMap<String, u64>,
    pub blank: BTreeMap<String, u64>,
}

impl From<Verification> for VerificationView {
    fn from(verification: Verification) -> Self {
        let Verification {
            benchmark,
            verified_at,
            agreement,
            unsolved,
            shuffled,
            not_shuffled,
            metrics,
            failures,
        } = verification;
        let Passes { real, shuffled: of_shuffled, blank } = failures;
        Self {
            benchmark: benchmark.to_string(),
            verified_at,
            agreement: AgreementView::from(&agreement),
            ignores_gold: metrics.iter().any(|metric| metric.verdict == Verdict::IgnoresGold),
            unsolved,
            shuffled,
            not_shuffled,
            metrics: metrics.into_iter().map(VerifiedMetricView::from).collect(),
            failures: PassFailuresView {
                real: by_name(&real),
                shuffled: by_name(&of_shuffled),
                blank: by_name(&blank),
            },
        }
    }
}

impl From<VerifiedMetric> for VerifiedMetricView {
    fn from(metric: VerifiedMetric) -> Self {
        let VerifiedMetric {
            name,
            filter,
            higher_is_better,
            figures: Passes { real, shuffled, blank },
            compared,
            gain,
            gain_stderr,
            kept,
            differs,
            verdict,
            reason,
        } = metric;
        Self {
            name,
            filter,
            higher_is_better,
            real: real.into(),
            shuffled: shuffled.into(),
            blank: blank.into(),
            compared,
            gain,
            gain_stderr,
            kept,
            differs,
            verdict: verdict.as_str().to_owned(),
            reason,
        }
    }
}

impl From<Figure> for FigureView {
    fn from(figure: Figure) -> Self {
        let Figure { value, count } = figure;
        Self { value, count }
    }
}

fn by_name(failures: &FailureCounts) -> BTreeMap<String, u64> {
    failures.iter().map(|(kind, count)| (kind.as_str().to_owned(), *count)).collect()
}
