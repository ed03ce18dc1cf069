//! Standard errors by resampling, drawn as the reference implementation draws them.

use rand_mt::Mt;

use super::Moments;

/// Replicates the reference takes for metrics that are cheap to compute.
const REPLICATES: usize = 100_000;
/// Replicates drawn from one seed.
const CHUNK: usize = 1_000;
/// Draws above which fewer replicates are taken, so that a large dataset does not take minutes: of all metrics of a
/// benchmark together.
pub const MOST_DRAWS: usize = 100_000_000;

/// The standard deviation of `estimate` over bootstrap replicates of `values`; none below two values.
///
/// Chunk *i* of 1,000 replicates comes from Python's `random.Random(i).choices`, as in lm-evaluation-harness
/// 0.4.13 (`bootstrap_stderr`), 100,000 replicates in all. Where that takes more than `most_draws`, whole chunks
/// are left out, at least one being kept.
pub fn bootstrap_standard_error(
    values: &[f64],
    most_draws: usize,
    estimate: impl Fn(&mut [f64]) -> f64,
) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let chunks = (most_draws / values.len() / CHUNK).clamp(1, REPLICATES / CHUNK);
    replicate(values, chunks, CHUNK, estimate)
}

fn replicate(
    values: &[f64],
    chunks: usize,
    chunk: usize,
    estimate: impl Fn(&mut [f64]) -> f64,
) -> Option<f64> {
    let mut estimates = Moments::default();
    let mut replicate = vec![0.0; values.len()];
    for seed in 0..chunks {
        let mut generator = PythonRandom::new(u32::try_from(seed).ok()?);
        for _ in 0..chunk {
            for slot in &mut replicate {
                *slot = values[generator.index(values.len())];
            }
            estimates.add(estimate(&mut replicate));
        }
    }
    estimates.standard_deviation()
}

/// `CPython`'s `random.Random(seed)` for small non-negative seeds.
struct PythonRandom(Mt);

impl PythonRandom {
    fn new(seed: u32) -> Self {
        Self(Mt::new_with_key([seed]))
    }

    /// `random()`: 53 bits in [0, 1).
    fn random(&mut self) -> f64 {
        let high = f64::from(self.0.next_u32() >> 5);
        let low = f64::from(self.0.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// What `choices` draws: the floor of a random number times the length.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "this is the reference's own arithmetic; the product is in [0, n)"
    )]
    fn index(&mut self, length: usize) -> usize {
        (self.random() * length as f64).floor() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_pythons() {
        // python3 -c 'import random; r = random.Random(0); print(r.random(), r.random())', and seed 7.
        let mut generator = PythonRandom::new(0);
        assert_eq!(generator.random(), 0.844_421_851_525_048_1);
        assert_eq!(generator.random(), 0.757_954_402_940_302_5);
        assert_eq!(PythonRandom::new(7).random(), 0.323_832_764_833_162_37);
    }

    #[test]
    fn standard_errors_equal_those_of_the_reference_draws() {
        // The loop of lm-evaluation-harness over 3 chunks of 50 replicates, in Python.
        let values = [-1.5, -0.25, -3.0, -2.0, -0.125, -4.5];
        let perplexity = |sample: &mut [f64]| (-sample.iter().sum::<f64>() / sample.len() as f64).exp();
        let error = replicate(&values, 3, 50, perplexity).unwrap();
        assert!((error - 6.397_314_911_199_103).abs() < 1e-12, "{error}");
        let median = |sample: &mut [f64]| {
            sample.sort_by(f64::total_cmp);
            sample[sample.len() / 2]
        };
        let error = replicate(&values, 3, 50, median).unwrap();
        assert!((error - 0.885_441_850_543_282_8).abs() < 1e-12, "{error}");
    }

    #[test]
    fn one_value_has_no_standard_error() {
        assert_eq!(bootstrap_standard_error(&[1.0], MOST_DRAWS, |values| values[0]), None);
    }
}
