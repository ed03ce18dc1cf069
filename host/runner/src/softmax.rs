//! Log-softmax over the vocabulary: the inner loop of scoring.

#![expect(
    clippy::inline_always,
    reason = "what a loop is inlined into decides which instructions it may use"
)]

use llm_bench_core::{Error, Result};
use multiversion::multiversion;

/// Values that are summed side by side: compilers turn loops over them into vector instructions.
const LANES: usize = 16;
/// Terms that one lane sums in f32 before they go to f64.
const BLOCK: usize = 32 * LANES;

/// What every token's log-probability at one position is computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    largest: f32,
    /// ln Σ exp(logit − largest).
    log_total: f64,
    /// The first of the greatest logits.
    pub(crate) arg_max: usize,
}

impl Distribution {
    /// # Errors
    /// `logits-not-a-number` where one is NaN or none is finite.
    pub(crate) fn of(logits: &[f32]) -> Result<Self> {
        let Sums { largest, total, arg_max } = sums(logits);
        match arg_max {
            Some(arg_max) if total.is_finite() && total > 0.0 => {
                Ok(Self { largest, log_total: total.ln(), arg_max })
            }
            _ => Err(not_a_number()),
        }
    }

    /// The natural logarithm of a token's probability.
    ///
    /// # Errors
    /// `token-outside-vocabulary` for a token that has no logit.
    pub(crate) fn log_probability(&self, logits: &[f32], token: u32) -> Result<f64> {
        let logit = usize::try_from(token).ok().and_then(|token| logits.get(token)).ok_or_else(|| {
            Error::invalid(
                "token-outside-vocabulary",
                format!("the tokenizer's token {token} is not among the model's {}", logits.len()),
            )
        })?;
        Ok(f64::from(logit - self.largest) - self.log_total)
    }
}

/// The model gave NaN or infinite logits.
pub(crate) fn not_a_number() -> Error {
    Error::unsupported("logits-not-a-number", "the model answered with logits that are not numbers")
}

/// What is computed from all logits of a position.
struct Sums {
    largest: f32,
    /// Σ exp(logit − largest); NaN where a logit is.
    total: f64,
    /// The first of the greatest logits; none where all are NaN.
    arg_max: Option<usize>,
}

/// Compiled for several kinds of processors, of which the one that it runs on takes its own. All compute the same terms in
/// the same order, none of them fused, so that results do not depend on the machine.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn sums(logits: &[f32]) -> Sums {
    let largest = maximum(logits);
    Sums { largest, total: total(logits, largest), arg_max: first_of(logits, largest) }
}

#[inline(always)]
fn maximum(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &logit| if logit > most { logit } else { most })
}

#[inline(always)]
fn first_of(logits: &[f32], largest: f32) -> Option<usize> {
    // All of a block are counted: a branch for each of them would be slower.
    let has_it = |block: &[f32]| block.iter().filter(|&&logit| logit >= largest).count() > 0;
    let start = BLOCK * logits.chunks(BLOCK).position(has_it)?;
    logits[start..].iter().position(|&logit| logit >= largest).map(|place| start + place)
}

#[inline(always)]
fn total(logits: &[f32], largest: f32) -> f64 {
    let mut total = 0.0;
    for block in logits.chunks(BLOCK) {
        let mut lanes = [0.0_f32; LANES];
        let (chunks, rest) = block.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &logit) in lanes.iter_mut().zip(chunk) {
                *lane += exp(logit - largest);
            }
        }
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        total += rest.iter().map(|&logit| f64::from(exp(logit - largest))).sum::<f64>();
    }
    total
}

/// exp for arguments up to 0, within 2 units in the last place; NaN for NaN, 0 below −87.
///
/// exp(x) = 2ⁿ · exp(r) with n = round(x / ln 2), |r| ≤ ln 2 / 2, and exp(r) by its Taylor polynomial of degree 7, whose
/// remainder is below 6 · 10⁻⁹ there. Free of branches, so that it is vectorised.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// ln 2 in two parts, the first exact in few bits, so that n · `LN_2_HIGH` is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// 1.5 · 2²³: adding it rounds a small number to an integer in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LEAST: f32 = -87.0;
    let bounded = if x < LEAST { LEAST } else { x };
    let rounded = bounded * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = (bounded - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut polynomial = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        polynomial = polynomial * r + coefficient;
    }
    // The lowest bits of `rounded` are n; shifted into the exponent they make 2ⁿ.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let value = polynomial * power;
    if x < LEAST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Distribution, exp, first_of, maximum, sums, total};

    #[test]
    fn the_log_softmax_is_exact_for_large_logits_too() {
        let logits = [1000.0, 1001.0];
        let distribution = Distribution::of(&logits).unwrap();
        let log_probability = distribution.log_probability(&logits, 0).unwrap();
        assert!((log_probability + 1.313_261_687_518_223).abs() < 1e-6, "{log_probability}");
        assert_eq!(distribution.arg_max, 1);
    }

    #[test]
    fn the_first_of_equal_logits_is_the_greatest() {
        for first in [0, 40, 511, 512, 1300, 1902] {
            let mut logits = vec![0.0; 2000];
            (logits[first], logits[first + 60], logits[1999]) = (3.0, 3.0, 3.0);
            assert_eq!(Distribution::of(&logits).unwrap().arg_max, first);
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for broken in [f32::NAN, f32::INFINITY] {
            for place in [0, 17, 99] {
                let mut logits = vec![0.0; 100];
                logits[place] = broken;
                assert_eq!(Distribution::of(&logits).unwrap_err().code, "logits-not-a-number", "{place}");
            }
        }
        assert_eq!(Distribution::of(&[f32::NEG_INFINITY; 3]).unwrap_err().code, "logits-not-a-number");
        assert_eq!(Distribution::of(&[]).unwrap_err().code, "logits-not-a-number");
    }

    #[test]
    fn a_token_that_the_model_does_not_have_is_refused() {
        let distribution = Distribution::of(&[0.0]).unwrap();
        assert_eq!(distribution.log_probability(&[0.0], 1).unwrap_err().code, "token-outside-vocabulary");
    }

    #[test]
    fn an_impossible_token_has_the_log_probability_minus_infinity() {
        let logits = [0.0, f32::NEG_INFINITY];
        let distribution = Distribution::of(&logits).unwrap();
        assert_eq!(distribution.log_probability(&logits, 1).unwrap(), f64::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn exp_is_right_to_the_last_places(x in -86.9_f32..=0.0) {
            let exact = f64::from(x).exp();
            let relative = (f64::from(exp(x)) - exact).abs() / exact;
            prop_assert!(relative < 2.5e-7, "exp({x}): {relative}");
        }

        #[test]
        fn every_processor_computes_the_same(logits in prop::collection::vec(-90.0_f32..30.0, 1..2000)) {
            let here = sums(&logits);
            let largest = maximum(&logits);
            prop_assert_eq!(here.largest.to_bits(), largest.to_bits());
            prop_assert_eq!(here.total.to_bits(), total(&logits, largest).to_bits());
            prop_assert_eq!(here.arg_max, first_of(&logits, largest));
        }

        #[test]
        fn log_probabilities_agree_with_f64(logits in prop::collection::vec(-30.0_f32..30.0, 1..2000)) {
            let distribution = Distribution::of(&logits).unwrap();
            let exact = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
            let ours = distribution.log_probability(&logits, 0).unwrap();
            prop_assert!((ours - (f64::from(logits[0]) - exact)).abs() < 3e-6, "{ours}");
        }
    }
}
