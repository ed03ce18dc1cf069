//! From measurements to metrics: estimators, standard errors, intervals.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13, so that numbers can be compared.

mod aggregate;
mod bootstrap;
mod grouped;
mod mcnemar;
mod moments;
mod paired;

pub use aggregate::{Aggregator, MetricKey};
pub(crate) use bootstrap::resampled_corpora;
pub use bootstrap::{Bootstrap, CORPUS_REPLICATES, MOST_DRAWS, REPLICATES};
pub use grouped::{GroupMember, GroupedMetric};
pub use mcnemar::{McNemar, McNemarTest};
pub use moments::Moments;
pub use paired::{Difference, PairedMeans, PairedRatios, Total};

/// The 97.5 % quantile of the standard normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// The 95 % interval around a value, low then high.
pub(crate) fn interval(value: f64, stderr: f64) -> [f64; 2] {
    [value - Z_95 * stderr, value + Z_95 * stderr]
}
