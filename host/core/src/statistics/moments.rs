//! Mean and variance in one pass.

/// Count, mean and spread of a stream of numbers (Welford's method, which does not cancel).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squared_deviations: f64,
}

impl Moments {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let deviation = value - self.mean;
        self.mean += deviation / self.count as f64;
        self.squared_deviations += deviation * (value - self.mean);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// None without a value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Sample standard deviation, with n − 1 in the denominator; none below two values.
    pub fn standard_deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squared_deviations / (self.count - 1) as f64).sqrt())
    }

    /// Standard error of the mean: sample standard deviation / √n; none below two values.
    pub fn standard_error(&self) -> Option<f64> {
        self.standard_deviation().map(|deviation| deviation / (self.count as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Moments;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for value in values {
            moments.add(*value);
        }
        moments
    }

    #[test]
    fn one_value_has_a_mean_and_no_standard_error() {
        assert_eq!(of(&[]).mean(), None);
        assert_eq!(of(&[3.0]).mean(), Some(3.0));
        assert_eq!(of(&[3.0]).standard_error(), None);
    }

    #[test]
    fn the_standard_error_of_an_accuracy_is_the_textbook_one() {
        // 3 of 4 right: sd = sqrt(4/3 · 0.75 · 0.25) = 0.5, se = 0.25.
        let se = of(&[1.0, 1.0, 0.0, 1.0]).standard_error().unwrap();
        assert!((se - 0.25).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn one_pass_equals_two_passes(values in prop::collection::vec(-1e6f64..1e6, 2..200)) {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let moments = of(&values);
            prop_assert!((moments.mean().unwrap() - mean).abs() <= 1e-9 * mean.abs().max(1.0));
            prop_assert!((moments.standard_deviation().unwrap() - variance.sqrt()).abs() <= 1e-6 * variance.sqrt().max(1.0));
        }
    }
}
