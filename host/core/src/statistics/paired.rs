//! Two runs over the same samples. Their scores are not independent, hard samples being hard for both, so that two
//! standard errors side by side say little: what counts is the spread of the differences.

use super::{Moments, interval};

/// How far the second run's figure is from the first's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Second minus first.
    pub value: f64,
    /// Paired standard error; none below two samples.
    pub stderr: Option<f64>,
    /// 95 % interval, low then high, by the normal distribution.
    pub ci95: Option<[f64; 2]>,
}

impl Difference {
    fn new(value: f64, stderr: Option<f64>) -> Self {
        let ci95 = stderr.map(|stderr| interval(value, stderr));
        Self { value, stderr, ci95 }
    }

    /// The same difference in another unit; a negative factor swaps the ends of the interval.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self::new(self.value * factor, self.stderr.map(|stderr| stderr * factor.abs()))
    }
}

/// Means of two runs over the same samples, and their difference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PairedMeans {
    first: Moments,
    second: Moments,
    differences: Moments,
}

impl PairedMeans {
    pub fn add(&mut self, first: f64, second: f64) {
        self.first.add(first);
        self.second.add(second);
        self.differences.add(second - first);
    }

    pub fn count(&self) -> u64 {
        self.differences.count()
    }

    /// None without a sample.
    pub fn means(&self) -> Option<[f64; 2]> {
        Some([self.first.mean()?, self.second.mean()?])
    }

    /// The mean of the samples' differences; its standard error is their sample standard deviation / √n, with which
    /// it makes the statistic of a paired t-test.
    pub fn difference(&self) -> Option<Difference> {
        let mean = self.differences.mean()?;
        Some(Difference::new(mean, self.differences.standard_error()))
    }
}

/// A total over so many units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    pub value: f64,
    pub weight: f64,
}

/// Σ value / Σ weight of two runs over the same samples, and their difference. Keeps 32 bytes a sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PairedRatios {
    pairs: Vec<[Total; 2]>,
}

impl PairedRatios {
    pub fn add(&mut self, first: Total, second: Total) {
        self.pairs.push([first, second]);
    }

    pub fn count(&self) -> u64 {
        self.pairs.len() as u64
    }

    /// None where a run has no weight.
    pub fn ratios(&self) -> Option<[f64; 2]> {
        Some([self.sums(0)?, self.sums(1)?].map(|sums| sums.value / sums.weight))
    }

    /// The standard error is that of the ratios linearised around their values: of the differences of
    /// (value − ratio · weight) / mean weight. With equal weights these are the differences themselves.
    pub fn difference(&self) -> Option<Difference> {
        let [first, second] = self.ratios()?;
        let [first_weight, second_weight] = [self.sums(0)?.weight, self.sums(1)?.weight];
        let count = self.pairs.len() as f64;
        let mut residuals = Moments::default();
        for [of_first, of_second] in &self.pairs {
            let residual =
                |total: &Total, ratio, weights| (total.value - ratio * total.weight) * count / weights;
            residuals
                .add(residual(of_second, second, second_weight) - residual(of_first, first, first_weight));
        }
        Some(Difference::new(second - first, residuals.standard_error()))
    }

    fn sums(&self, run: usize) -> Option<Total> {
        let sum = |part: fn(&Total) -> f64| self.pairs.iter().map(|pair| part(&pair[run])).sum::<f64>();
        let sums = Total { value: sum(|total| total.value), weight: sum(|total| total.weight) };
        (sums.weight != 0.0).then_some(sums)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_that_differ_by_a_constant_differ_without_error() {
        let mut means = PairedMeans::default();
        for first in [0.25, 0.5, 4.0] {
            means.add(first, first + 0.5);
        }
        assert_eq!(
            means.difference(),
            Some(Difference { value: 0.5, stderr: Some(0.0), ci95: Some([0.5, 0.5]) })
        );
    }

    #[test]
    fn one_sample_has_a_difference_and_no_error_of_it() {
        let mut means = PairedMeans::default();
        assert_eq!(means.difference(), None);
        means.add(1.0, 0.0);
        assert_eq!(means.difference(), Some(Difference { value: -1.0, stderr: None, ci95: None }));
    }

    #[test]
    fn a_negative_factor_swaps_the_ends_of_the_interval() {
        let difference = Difference::new(1.0, Some(0.5)).scaled(-2.0);
        assert_eq!((difference.value, difference.stderr), (-2.0, Some(1.0)));
        assert!(difference.ci95.unwrap()[0] < difference.ci95.unwrap()[1]);
    }

    proptest! {
        #[test]
        fn ratios_of_equal_weights_are_means(
            pairs in prop::collection::vec((-100f64..100.0, -100f64..100.0), 2..50),
            weight in 0.5f64..9.0,
        ) {
            let (mut means, mut ratios) = (PairedMeans::default(), PairedRatios::default());
            for (first, second) in pairs {
                means.add(first / weight, second / weight);
                ratios.add(Total { value: first, weight }, Total { value: second, weight });
            }
            let (mean, ratio) = (means.difference().unwrap(), ratios.difference().unwrap());
            prop_assert!((mean.value - ratio.value).abs() < 1e-9);
            prop_assert!((mean.stderr.unwrap() - ratio.stderr.unwrap()).abs() < 1e-9);
        }
    }
}
