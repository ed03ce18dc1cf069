//! Whether a metric looks at the gold answer.
//!
//! Over the samples that have a value with their own gold answer, *r*, and with another, *w*, where the two answers
//! differ, let
//!
//! - gain = mean(r − w), with the other sign where less is better, and its standard error sd(r − w) / √n;
//! - kept = Σ min(r, w) / Σ r, for metrics of which more is better and that are nowhere negative.
//!
//! A metric *uses the gold answer* when the gain is more than two standard errors. When it is not, it may be that the
//! model guesses: its right answers are then as often right by another's gold answer, but seldom the same ones, since a
//! solution that fits one answer does not fit a different one. A scorer that does not look at the gold answer keeps
//! what it gives, sample by sample. So a metric *ignores the gold answer* when there is no such gain and either every
//! value stays the same bit for bit, or kept ≥ 0.9. Where nothing is earned at all (every value is 0, and more is
//! better) a scorer cannot be told from a model that is always wrong, and neither is said; nor below 20 samples.

use serde::{Deserialize, Serialize};

use crate::rescore::is_same_float;
use crate::statistics::{Difference, PairedMeans};

/// Samples that a verdict needs.
pub const FEWEST: u64 = 20;
/// The share of what is earned that a scorer which looks at the gold answer does not keep with another one.
pub const KEPT: f64 = 0.9;
/// Standard errors that a gain has to exceed.
const SIGNIFICANT: f64 = 2.0;

/// What can be said of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    UsesGold,
    IgnoresGold,
    /// The samples do not tell.
    Unclear,
    /// Other gold answers make the scorer ask a model what is not recorded.
    NeedsModel,
    /// There is nothing to shuffle.
    NotShuffled,
}

impl Verdict {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsesGold => "uses-gold",
            Self::IgnoresGold => "ignores-gold",
            Self::Unclear => "unclear",
            Self::NeedsModel => "needs-model",
            Self::NotShuffled => "not-shuffled",
        }
    }
}

/// The values of one metric with the own and with another's gold answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoldDependence {
    higher_is_better: bool,
    /// From the other gold answer to the own one.
    pairs: PairedMeans,
    /// Samples whose value differs.
    changed: u64,
    /// Samples whose value with the own gold answer is not 0.
    earning: u64,
    smallest: f64,
    earned: f64,
    kept: f64,
}

impl GoldDependence {
    pub(crate) fn new(higher_is_better: bool) -> Self {
        Self {
            higher_is_better,
            pairs: PairedMeans::default(),
            changed: 0,
            earning: 0,
            smallest: 0.0,
            earned: 0.0,
            kept: 0.0,
        }
    }

    pub(crate) fn add(&mut self, own: f64, other: f64) {
        self.pairs.add(other, own);
        self.changed += u64::from(!is_same_float(own, other));
        self.earning += u64::from(!is_same_float(own, 0.0));
        self.smallest = self.smallest.min(own).min(other);
        self.earned += own;
        self.kept += own.min(other);
    }

    pub(crate) fn count(&self) -> u64 {
        self.pairs.count()
    }

    /// By how much the own gold answers are better.
    pub(crate) fn gain(&self) -> Option<Difference> {
        let sign = if self.higher_is_better { 1.0 } else { -1.0 };
        self.pairs.difference().map(|difference| difference.scaled(sign))
    }

    pub(crate) fn kept(&self) -> Option<f64> {
        let is_defined = self.higher_is_better && self.smallest >= 0.0 && self.earned > 0.0;
        is_defined.then(|| self.kept / self.earned).filter(|kept| kept.is_finite())
    }

    /// The verdict, in a word and in a sentence.
    pub(crate) fn verdict(&self) -> (Verdict, String) {
        let count = self.count();
        if count < FEWEST {
            let reason = format!(
                "{count} samples have a value for two gold answers that differ; it takes {FEWEST} to tell"
            );
            return (Verdict::Unclear, reason);
        }
        let is_better = self.gain().is_some_and(|gain| {
            gain.value > 0.0 && gain.value > SIGNIFICANT * gain.stderr.unwrap_or(f64::INFINITY)
        });
        if is_better {
            return (Verdict::UsesGold, "better with the own gold answers than with others'".to_owned());
        }
        if self.changed == 0 {
            if self.higher_is_better && self.earning == 0 {
                let reason = "no solution earns anything, whatever the gold answer";
                return (Verdict::Unclear, reason.to_owned());
            }
            let reason = "every sample has the same value with another's gold answer";
            return (Verdict::IgnoresGold, reason.to_owned());
        }
        if let Some(kept) = self.kept().filter(|kept| *kept >= KEPT) {
            let share = kept * 100.0;
            let reason = format!(
                "no better with the own gold answers, and {share:.0} % of it is earned with others' too"
            );
            return (Verdict::IgnoresGold, reason);
        }
        let reason = "no better with the own gold answers, as of a model that guesses";
        (Verdict::Unclear, reason.to_owned())
    }
}

/// The verdict on a metric of the whole corpus, of which there is one value a pass and no standard error: only a value
/// that stays the same ignores the gold answer, and only one that keeps less than [`KEPT`] of itself uses it.
pub(crate) fn of_corpus(
    higher_is_better: bool,
    shuffled_samples: u64,
    own: Option<f64>,
    other: Option<f64>,
) -> (Verdict, String) {
    if shuffled_samples < FEWEST {
        let reason = format!(
            "{shuffled_samples} samples have another's gold answer that differs; it takes {FEWEST} to tell"
        );
        return (Verdict::Unclear, reason);
    }
    let (Some(own), Some(other)) = (own, other) else {
        return (Verdict::Unclear, "the corpus has no value for both gold answers".to_owned());
    };
    if is_same_float(own, other) {
        if higher_is_better && is_same_float(own, 0.0) {
            return (Verdict::Unclear, "the corpus earns nothing, whatever the gold answer".to_owned());
        }
        let reason = "the corpus has the same value with others' gold answers";
        return (Verdict::IgnoresGold, reason.to_owned());
    }
    let (better, worse) = if higher_is_better { (own, other) } else { (other, own) };
    if better > 0.0 && worse < KEPT * better {
        return (Verdict::UsesGold, "better with the own gold answers than with others'".to_owned());
    }
    let reason = "not much better with the own gold answers, and a corpus has no standard error to tell by";
    (Verdict::Unclear, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: impl IntoIterator<Item = (f64, f64)>) -> Verdict {
        judged(true, pairs)
    }

    fn judged(higher_is_better: bool, pairs: impl IntoIterator<Item = (f64, f64)>) -> Verdict {
        let mut dependence = GoldDependence::new(higher_is_better);
        pairs.into_iter().for_each(|(own, other)| dependence.add(own, other));
        dependence.verdict().0
    }

    fn right(is_right: bool) -> f64 {
        f64::from(u8::from(is_right))
    }

    #[test]
    fn a_scorer_that_always_gives_the_most_ignores_the_gold_answer() {
        assert_eq!(verdict((0..20).map(|_| (1.0, 1.0))), Verdict::IgnoresGold);
        assert_eq!(verdict((0..19).map(|_| (1.0, 1.0))), Verdict::Unclear, "too few to tell");
    }

    #[test]
    fn a_scorer_that_believes_the_solver_ignores_the_gold_answer() {
        assert_eq!(verdict((0..40).map(|n| (right(n % 3 == 0), right(n % 3 == 0)))), Verdict::IgnoresGold);
    }

    #[test]
    fn a_cheat_that_varies_a_little_ignores_the_gold_answer() {
        let pairs = (0..200).map(|n| (right(n % 20 != 0), right(n % 20 != 1)));
        assert_eq!(verdict(pairs), Verdict::IgnoresGold);
    }

    #[test]
    fn a_model_that_knows_something_is_better_with_its_own_gold_answers() {
        assert_eq!(verdict((0..40).map(|n| (right(n % 2 == 0), right(n % 5 == 1)))), Verdict::UsesGold);
        assert_eq!(verdict((0..40).map(|_| (1.0, 0.0))), Verdict::UsesGold);
        assert_eq!(judged(false, (0..40).map(|_| (0.1, 0.9))), Verdict::UsesGold);
    }

    #[test]
    fn a_model_that_guesses_is_not_taken_for_a_scorer_that_cheats() {
        // Right by a quarter of the gold answers, own or other, and never by both.
        assert_eq!(verdict((0..40).map(|n| (right(n % 4 == 0), right(n % 4 == 1)))), Verdict::Unclear);
        // Shares of words: a little of it with any gold answer.
        let overlaps =
            (0..40).map(|n| f64::from(n * 7 % 11) / 11.0).zip((0..40).map(|n| f64::from(n * 5 % 11) / 11.0));
        assert_eq!(verdict(overlaps), Verdict::Unclear);
    }

    #[test]
    fn a_model_that_is_always_wrong_tells_nothing_of_its_scorer() {
        assert_eq!(verdict((0..40).map(|_| (0.0, 0.0))), Verdict::Unclear);
        assert_eq!(
            judged(false, (0..40).map(|_| (0.0, 0.0))),
            Verdict::IgnoresGold,
            "no error at all is the best"
        );
    }

    #[test]
    fn a_metric_of_the_corpus_is_judged_by_its_two_values_and_only_where_they_tell() {
        let verdict = |higher, samples, own, other| of_corpus(higher, samples, Some(own), Some(other)).0;
        assert_eq!(verdict(true, 20, 30.0, 5.0), Verdict::UsesGold);
        assert_eq!(verdict(false, 20, 0.2, 0.8), Verdict::UsesGold);
        assert_eq!(verdict(true, 20, 30.0, 30.0), Verdict::IgnoresGold);
        assert_eq!(verdict(true, 19, 30.0, 30.0), Verdict::Unclear, "too few to tell");
        assert_eq!(verdict(true, 20, 30.0, 29.0), Verdict::Unclear, "chance may do that");
        assert_eq!(verdict(true, 20, 5.0, 30.0), Verdict::Unclear);
        assert_eq!(verdict(true, 20, 0.0, 0.0), Verdict::Unclear, "nothing is earned");
        assert_eq!(verdict(false, 20, 0.0, 0.0), Verdict::IgnoresGold, "no error at all is the best");
        assert_eq!(of_corpus(true, 20, Some(1.0), None).0, Verdict::Unclear);
    }

    #[test]
    fn what_is_kept_is_a_share_of_what_is_earned() {
        let mut dependence = GoldDependence::new(true);
        for (own, other) in [(1.0, 0.5), (0.5, 1.0), (0.0, 1.0)] {
            dependence.add(own, other);
        }
        assert_eq!(dependence.kept(), Some(1.0 / 1.5));
        dependence.add(-1.0, 0.0);
        assert_eq!(dependence.kept(), None, "a share of a sum with negative terms says nothing");
    }
}
