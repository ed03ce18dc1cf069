//! Whether a score can be trusted: stored solutions scored again, with their own gold answers, with those of other
//! samples, and blank.

mod shuffle;
mod verdict;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::id::BenchmarkId;
use crate::rescore::Agreement;
use crate::sample::FailureCounts;

pub(crate) use shuffle::shuffle;
pub use verdict::{FEWEST, KEPT, Verdict};
pub(crate) use verdict::{GoldDependence, of_corpus};

/// What came of scoring the stored solutions of a benchmark again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub benchmark: BenchmarkId,
    pub verified_at: Timestamp,
    /// How the scores of the solutions, scored again as they were, agree with the stored ones.
    pub agreement: Agreement,
    /// Samples without a solution, which cannot be scored.
    pub unsolved: u64,
    /// Samples that were held against a gold answer that differs from their own.
    pub shuffled: u64,
    /// Why the gold answers were not shuffled.
    pub not_shuffled: Option<String>,
    pub metrics: Vec<VerifiedMetric>,
    /// Samples that failed, of each kind, in each pass.
    pub failures: Passes<FailureCounts>,
}

/// The same thing of the three passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passes<T> {
    /// Each solution against its own gold answer.
    pub real: T,
    /// Each solution against the gold answer of another sample.
    pub shuffled: T,
    /// A solution without an answer, passages and detail against each gold answer.
    pub blank: T,
}

impl<T> Passes<T> {
    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> Passes<U> {
        Passes { real: change(self.real), shuffled: change(self.shuffled), blank: change(self.blank) }
    }

    pub(crate) fn zip<U>(self, other: Passes<U>) -> Passes<(T, U)> {
        Passes {
            real: (self.real, other.real),
            shuffled: (self.shuffled, other.shuffled),
            blank: (self.blank, other.blank),
        }
    }
}

/// One metric of the three passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifiedMetric {
    pub name: String,
    pub filter: Option<String>,
    pub higher_is_better: bool,
    pub figures: Passes<Figure>,
    /// Samples that tell how the metric depends on the gold answer: those with a value for either gold answer, and two
    /// that differ.
    pub compared: u64,
    /// By how much the own gold answers are better than the others', a mean over these samples.
    pub gain: Option<f64>,
    /// Its paired standard error.
    pub gain_stderr: Option<f64>,
    /// The share of what these samples earn that they earn with the others' gold answers too; none where nothing is
    /// earned, or less is better.
    pub kept: Option<f64>,
    /// Whether it did not come out again as it was stored, though the samples' scores may have: of a metric of the whole
    /// corpus.
    #[serde(default)]
    pub differs: bool,
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub reason: String,
}

/// A metric over one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// None where it is undefined.
    pub value: Option<f64>,
    /// Samples that have a value.
    pub count: u64,
}

impl Verification {
    /// Whether every stored score came out again, and every metric looks at the gold answer as far as one can tell.
    pub fn is_clean(&self) -> bool {
        self.agreement.is_identical()
            && self.metrics.iter().all(|metric| !metric.differs && metric.verdict != Verdict::IgnoresGold)
    }
}

/// Keeps the last verification of each benchmark.
#[async_trait]
pub trait VerificationRepository: Send + Sync {
    /// Inserts or replaces the verification of that benchmark.
    async fn save(&self, verification: &Verification) -> Result<()>;
    async fn find(&self, benchmark: BenchmarkId) -> Result<Option<Verification>>;
}
