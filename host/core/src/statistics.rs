//! From measurements to metrics: estimators, standard errors, intervals.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13, so that numbers can be compared.

mod aggregate;
mod bootstrap;
mod moments;

pub use aggregate::{Aggregator, MetricKey};
pub use bootstrap::{MOST_DRAWS, bootstrap_standard_error};
pub use moments::Moments;

/// The 97.5 % quantile of the standard normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;
