//! Standard errors by resampling, drawn as the reference implementation draws them.

use super::Moments;
use crate::python_random::PythonRandom;

/// Replicates that the reference takes for metrics that are cheap to compute: a median, a perplexity.
pub const REPLICATES: u32 = 100_000;
/// Replicates that the reference takes for metrics that need a whole corpus each time: BLEU, chrF, TER.
pub const CORPUS_REPLICATES: u32 = 100;
/// Draws above which fewer replicates are taken, so that a large dataset does not take minutes: of all metrics of a
/// benchmark together.
pub const MOST_DRAWS: usize = 100_000_000;

/// Replicates drawn from one seed.
const CHUNK: usize = 1_000;
/// Corpora below which a standard error says too little.
const LEAST_CORPORA: usize = 20;
/// Replicates that are taken however many draws they need.
const LEAST_REPLICATES: usize = 100;

/// A standard error by resampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    pub stderr: f64,
    /// Replicates behind it, which may be fewer than were asked for.
    pub replicates: u32,
}

impl Bootstrap {
    /// The sample standard deviation of `estimate` over bootstrap replicates of `values`; none below two values.
    ///
    /// Chunk *i* of 1,000 replicates (of all, where fewer are asked for) comes from Python's
    /// `random.Random(i).choices`, and what does not fill a chunk is left out, as in lm-evaluation-harness 0.4.13
    /// (`bootstrap_stderr`). Where that takes more than `most_draws`, the first replicates alone are taken, at least 100.
    pub fn of<T: Copy>(
        values: &[T],
        replicates: u32,
        most_draws: usize,
        estimate: impl Fn(&mut [T]) -> f64,
    ) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let affordable = (most_draws / values.len()).max(LEAST_REPLICATES);
        let replicates = affordable.min(replicates as usize);
        let chunk = replicates.min(CHUNK);
        let chunks = replicates.checked_div(chunk)?;
        let mut estimates = Moments::default();
        let mut replicate = values.to_vec();
        for seed in 0..chunks {
            let mut generator = PythonRandom::new(seed as u64);
            for _ in 0..chunk {
                for slot in &mut replicate {
                    *slot = values[generator.index(values.len())];
                }
                estimates.add(estimate(&mut replicate));
            }
        }
        Self::of_estimates(&estimates)
    }

    /// From the estimates of all replicates; none below two of them, and where one is not finite.
    pub(crate) fn of_estimates(estimates: &Moments) -> Option<Self> {
        let stderr = estimates.standard_deviation()?;
        Some(Self { stderr, replicates: u32::try_from(estimates.count()).ok()? })
    }
}

/// The places of the samples in corpora that are drawn from one of so many, for a standard error by an estimator that
/// takes a whole corpus: from Python's `random.Random(0).choices`, as lm-evaluation-harness 0.4.13 draws them for BLEU,
/// chrF and TER (`bootstrap_stderr`). Fewer than [`CORPUS_REPLICATES`] where these would have more than `most_draws`
/// samples together; none where fewer than [`LEAST_CORPORA`] are left, or below two samples.
pub(crate) fn resampled_corpora(samples: usize, most_draws: usize) -> impl Iterator<Item = Vec<usize>> {
    let affordable = most_draws.checked_div(samples).unwrap_or(0).min(CORPUS_REPLICATES as usize);
    let corpora = if samples < 2 || affordable < LEAST_CORPORA { 0 } else { affordable };
    let mut generator = PythonRandom::new(0);
    (0..corpora).map(move |_| (0..samples).map(|_| generator.index(samples)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_standard_error() {
        assert_eq!(Bootstrap::of(&[1.0], REPLICATES, MOST_DRAWS, |values| values[0]), None);
        assert_eq!(Bootstrap::of(&[1.0, 2.0], 0, MOST_DRAWS, |values| values[0]), None);
    }

    #[test]
    fn corpora_are_drawn_as_python_draws_them_and_fewer_of_a_large_one() {
        let mut corpora = resampled_corpora(5, 1_000_000);
        // [random.Random(0).choices(range(5), k=5) for the first, and again for the second]
        assert_eq!(corpora.next().unwrap(), [4, 3, 2, 1, 2]);
        assert_eq!(corpora.next().unwrap(), [2, 3, 1, 2, 2]);
        assert_eq!(corpora.count(), 98);
        let count = |samples| resampled_corpora(samples, 1_000_000).count();
        assert_eq!(
            [count(0), count(1), count(2), count(10_001), count(50_000), count(50_001)],
            [0, 0, 100, 99, 20, 0]
        );
    }

    #[test]
    fn a_large_dataset_gets_fewer_replicates_and_says_so() {
        let values = vec![0.5; 1_000];
        let replicates = |most_draws| {
            Bootstrap::of(&values, REPLICATES, most_draws, |values| values[0]).unwrap().replicates
        };
        assert_eq!([replicates(2_999_999), replicates(500_000), replicates(10)], [2_000, 500, 100]);
    }
}
