//! The measures of a ranking, as `trec_eval` defines them.
#![expect(clippy::cast_precision_loss, reason = "no ranking has 2^52 places, no document such a grade")]

use std::collections::{BTreeMap, BTreeSet};

use llm_bench_plugin_sdk::Passage;

/// How relevant documents are, by their id: 0 and less is not at all. What is not in it was not judged, and counts as
/// not relevant.
pub(crate) type Judgements = BTreeMap<String, i64>;

/// The grades of what was retrieved, best first, and those of all that was judged.
pub(crate) struct Ranking {
    grades: Vec<i64>,
    /// Those of all relevant documents, the highest first.
    ideal: Vec<i64>,
}

impl Ranking {
    /// Ranks by score, the highest first, and documents of one score by their id, the last in the alphabet first. Of
    /// several passages of a document the best counts.
    pub(crate) fn new(passages: &[Passage], judgements: &Judgements) -> Self {
        let mut ranked: Vec<(f64, &str)> =
            passages.iter().map(|passage| (passage.score, passage.id.as_str())).collect();
        ranked.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| second.cmp(first)));
        let mut seen = BTreeSet::new();
        ranked.retain(|(_, id)| seen.insert(*id));
        let grades = ranked.iter().map(|(_, id)| judgements.get(*id).copied().unwrap_or(0)).collect();
        let mut ideal: Vec<i64> = judgements.values().copied().filter(|grade| *grade > 0).collect();
        ideal.sort_by(|a, b| b.cmp(a));
        Self { grades, ideal }
    }

    /// Discounted gain of the first k documents over that of the best k: Σ grade / log2(rank + 1). 0 where nothing is
    /// relevant.
    pub(crate) fn ndcg(&self, k: usize) -> f64 {
        let gain = |grades: &[i64]| -> f64 {
            let gains = grades.iter().take(k).enumerate();
            gains.map(|(place, grade)| (*grade).max(0) as f64 / (place as f64 + 2.0).log2()).sum()
        };
        share(gain(&self.grades), gain(&self.ideal))
    }

    /// The share of all relevant documents that are among the first k.
    pub(crate) fn recall(&self, k: usize) -> f64 {
        share(self.hits(k), self.ideal.len() as f64)
    }

    /// The share of the first k places that hold a relevant document, also where fewer were retrieved.
    pub(crate) fn precision(&self, k: usize) -> f64 {
        share(self.hits(k), k as f64)
    }

    /// 1 / rank of the first relevant document; 0 where none was retrieved.
    pub(crate) fn reciprocal_rank(&self) -> f64 {
        let first = self.grades.iter().position(|grade| *grade > 0);
        first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
    }

    /// Mean over all relevant documents of the precision at their rank; 0 at that of one that was not retrieved.
    pub(crate) fn average_precision(&self) -> f64 {
        let relevant = self.grades.iter().enumerate().filter(|(_, grade)| **grade > 0);
        let precisions =
            (1_u32..).zip(relevant).map(|(found, (place, _))| f64::from(found) / (place as f64 + 1.0));
        share(precisions.sum(), self.ideal.len() as f64)
    }

    fn hits(&self, k: usize) -> f64 {
        self.grades.iter().take(k).filter(|grade| **grade > 0).count() as f64
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
