//! Metrics of all samples together, which an aggregator computes.

use tokio::sync::mpsc;

use super::{Aggregation, MetricDeclaration};
use crate::Row;
use crate::sample::{Measurement, Sample, Solution};

/// A sample with all that is known of it after scoring.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredSample {
    pub sample: Sample,
    pub solution: Solution,
    /// The gold columns.
    pub target: Row,
    pub measurements: Vec<Measurement>,
}

/// The samples of a corpus, in the order of the dataset, on their way to an aggregator.
pub type ScoredSamples = mpsc::Receiver<ScoredSample>;

impl MetricDeclaration {
    /// Whether it is computed over the whole corpus, so that no sample has a measurement of it.
    pub fn is_of_corpus(&self) -> bool {
        self.aggregation == Aggregation::Corpus
    }

    /// Whether a measurement is one of this metric.
    pub(crate) fn is_of(&self, measurement: &Measurement) -> bool {
        self.name == measurement.metric && self.filter == measurement.filter
    }
}
