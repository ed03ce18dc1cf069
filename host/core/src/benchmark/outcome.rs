//! How a benchmark ended.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::hardware::HardwareSummary;
use crate::rescore::Agreement;
use crate::sample::{Failure, FailureCounts};

/// How a benchmark ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub metrics: Vec<Metric>,
    /// Why there are no metrics of the whole corpus, where the task has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_failure: Option<Failure>,
    pub failures: FailureCounts,
    pub speed: Speed,
    pub hardware: Option<HardwareSummary>,
    /// How its samples agree with those of its source, where they can.
    #[serde(default)]
    pub agreement: Option<Agreement>,
    /// Why the benchmark failed.
    pub error: Option<ErrorNote>,
}

/// An error as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorNote {
    pub code: String,
    pub message: String,
}

/// An aggregate over the completed samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// None where it is undefined: no sample has a value.
    pub value: Option<f64>,
    /// Standard error; none where the estimator has none.
    pub stderr: Option<f64>,
    /// Bootstrap replicates behind the standard error: 100,000, or fewer for a large dataset. None where a formula
    /// gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_replicates: Option<u32>,
    /// 95 % interval, low then high.
    pub ci95: Option<[f64; 2]>,
    /// Samples that have a value; of a metric of the whole corpus, the samples that it is of.
    pub count: u64,
    pub higher_is_better: bool,
    /// Of a metric of the whole corpus: why it has no value, or what a person should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How fast it went, over the time spent executing. Token counts are of the model's own answers; there are rates only
/// where it gave every answer, and the response cache none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds spent executing, summed over restarts; loading the model is not in it.
    pub active_s: f64,
    /// Finished samples over `active_s`.
    pub samples_per_s: Option<f64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Prompt tokens over `active_s`.
    pub prompt_tokens_per_s: Option<f64>,
    /// Generated tokens over `active_s`.
    pub completion_tokens_per_s: Option<f64>,
    /// Samples of which at least one call was answered from the response cache.
    #[serde(default)]
    pub cached_samples: u64,
    /// Model calls that were answered from the response cache.
    #[serde(default)]
    pub cached_calls: u64,
}

impl From<&Error> for ErrorNote {
    fn from(error: &Error) -> Self {
        Self { code: error.code.to_string(), message: error.message.clone() }
    }
}
