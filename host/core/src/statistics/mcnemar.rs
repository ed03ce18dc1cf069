//! Whether two runs that are right or wrong on the same samples differ in how often they are right.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// Discordant samples from which the chi-square distribution is near enough.
const ENOUGH_FOR_CHI_SQUARE: u64 = 25;

/// The samples that decide `McNemar`'s test: those on which one run is right and the other wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct McNemar {
    /// Samples that the first run alone got right.
    pub only_first: u64,
    /// Samples that the second run alone got right.
    pub only_second: u64,
}

/// How probable it is that runs which are right equally often differ this much, to either side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum McNemarTest {
    Exact { p_value: f64 },
    ChiSquare { statistic: f64, p_value: f64 },
}

impl McNemar {
    pub fn add(&mut self, first: bool, second: bool) {
        self.only_first += u64::from(first && !second);
        self.only_second += u64::from(second && !first);
    }

    /// The exact test below 25 discordant samples, else the corrected chi-square test.
    pub fn test(self) -> McNemarTest {
        if self.discordant() < ENOUGH_FOR_CHI_SQUARE {
            McNemarTest::Exact { p_value: self.exact() }
        } else {
            let (statistic, p_value) = self.chi_square();
            McNemarTest::ChiSquare { statistic, p_value }
        }
    }

    /// The p value of the two-sided binomial test of equal chances over the discordant samples; 1 without any.
    pub fn exact(self) -> f64 {
        let trials = self.discordant();
        let least = self.only_first.min(self.only_second);
        // The largest term of the tail as a logarithm, since 2^−n is 0 for many samples; the others by their ratios.
        let mut logarithm = -(trials as f64) * LN_2;
        for position in 1..=least {
            logarithm += ((trials - least + position) as f64 / position as f64).ln();
        }
        let (mut term, mut tail) = (1.0, 1.0);
        for successes in (1..=least).rev() {
            term *= successes as f64 / (trials - successes + 1) as f64;
            tail += term;
        }
        (2.0 * logarithm.exp() * tail).min(1.0)
    }

    /// (|b − c| − 1)² / (b + c), with Edwards' correction for continuity, and its p value at one degree of freedom.
    /// Equal counts are no sign of a difference: 0 and 1, as in R (statsmodels corrects past zero there).
    pub fn chi_square(self) -> (f64, f64) {
        let distance = self.only_first.abs_diff(self.only_second);
        if distance == 0 {
            return (0.0, 1.0);
        }
        let statistic = (distance as f64 - 1.0).powi(2) / self.discordant() as f64;
        (statistic, complementary_error_function((statistic).sqrt() * FRAC_1_SQRT_2))
    }

    fn discordant(self) -> u64 {
        self.only_first + self.only_second
    }
}

impl McNemarTest {
    pub fn p_value(self) -> f64 {
        match self {
            Self::Exact { p_value } | Self::ChiSquare { p_value, .. } => p_value,
        }
    }
}

/// erfc of what is not negative: by the series of erf with terms of one sign, and from 2 on, where that would cancel,
/// by the continued fraction.
fn complementary_error_function(x: f64) -> f64 {
    if x < 2.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        let mut divisor = 3.0;
        while term > sum * f64::EPSILON {
            term *= 2.0 * x * x / divisor;
            sum += term;
            divisor += 2.0;
        }
        1.0 - 2.0 * x * (-x * x).exp() * sum / PI.sqrt()
    } else {
        let fraction = (1..=60).rev().fold(x, |below, half| x + 0.5 * f64::from(half) / below);
        (-x * x).exp() / (fraction * PI.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_never_differ_differ_by_chance() {
        let mut same = McNemar::default();
        same.add(true, true);
        same.add(false, false);
        assert_eq!(same.test(), McNemarTest::Exact { p_value: 1.0 });
    }

    #[test]
    fn twenty_five_discordant_samples_are_enough_for_chi_square() {
        let few = McNemar { only_first: 4, only_second: 20 };
        assert!(matches!(few.test(), McNemarTest::Exact { .. }));
        let enough = McNemar { only_first: 4, only_second: 21 };
        assert_eq!(
            enough.test(),
            McNemarTest::ChiSquare { statistic: 10.24, p_value: enough.chi_square().1 }
        );
        assert_eq!(McNemar { only_first: 20, only_second: 20 }.test().p_value(), 1.0);
    }

    #[test]
    fn both_ways_to_the_error_function_meet() {
        let (below, above) = (complementary_error_function(2.0 - 1e-12), complementary_error_function(2.0));
        assert!((below / above - 1.0).abs() < 1e-10, "{below} {above}");
    }
}
