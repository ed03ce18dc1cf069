//! One number a metric, from the measurements of all samples.

use std::collections::BTreeMap;

use super::{Bootstrap, MOST_DRAWS, Moments, REPLICATES, interval};
use crate::benchmark::Metric;
use crate::plugin::{Aggregation, MetricDeclaration};
use crate::sample::Measurement;

/// A metric's name and filter.
pub type MetricKey = (String, Option<String>);

/// Gathers measurements, in the order of the dataset, and turns them into metrics.
///
/// Memory is constant for means, sums and weighted metrics; metrics whose standard error is bootstrapped keep
/// eight bytes a sample.
#[derive(Debug)]
pub struct Aggregator {
    declarations: Vec<MetricDeclaration>,
    gathered: BTreeMap<MetricKey, Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    moments: Moments,
    sum: f64,
    weights: f64,
    /// Kept for bootstrapped metrics only.
    values: Vec<f64>,
}

impl Aggregator {
    pub fn new(declarations: Vec<MetricDeclaration>) -> Self {
        Self { declarations, gathered: BTreeMap::new() }
    }

    /// A measurement without a value is not counted; one that was not declared is ignored.
    pub fn add(&mut self, measurement: &Measurement) {
        let Some(value) = measurement.value else { return };
        let Some(declaration) = self.declarations.iter().find(|declaration| {
            declaration.name == measurement.metric && declaration.filter == measurement.filter
        }) else {
            return;
        };
        let key = (measurement.metric.clone(), measurement.filter.clone());
        let gathered = self.gathered.entry(key).or_default();
        gathered.moments.add(value);
        gathered.sum += value;
        gathered.weights += measurement.weight;
        if declaration.aggregation.is_bootstrapped() {
            gathered.values.push(value);
        }
    }

    /// The metrics in the order of their declarations.
    pub fn finish(mut self) -> Vec<Metric> {
        let declarations = std::mem::take(&mut self.declarations);
        let bootstrapped =
            declarations.iter().filter(|declaration| declaration.aggregation.is_bootstrapped()).count();
        let most_draws = MOST_DRAWS / bootstrapped.max(1);
        declarations
            .into_iter()
            .map(|declaration| {
                let key = (declaration.name, declaration.filter);
                let gathered = self.gathered.remove(&key).unwrap_or_default();
                let estimate = gathered.estimate(declaration.aggregation, most_draws);
                let value = estimate.value.filter(|value| value.is_finite());
                let stderr = estimate.stderr.filter(|error| error.is_finite());
                Metric {
                    name: key.0,
                    filter: key.1,
                    value,
                    stderr,
                    ci95: value.zip(stderr).map(|(value, stderr)| interval(value, stderr)),
                    bootstrap_replicates: estimate.replicates,
                    count: gathered.moments.count(),
                    higher_is_better: declaration.higher_is_better,
                    reason: None,
                }
            })
            .collect()
    }
}

/// What became of all measurements of a metric.
#[derive(Default)]
struct Estimate {
    value: Option<f64>,
    stderr: Option<f64>,
    /// Of a bootstrapped standard error.
    replicates: Option<u32>,
}

impl Gathered {
    /// The weighted metrics have no standard error in the reference, nor here.
    fn estimate(&self, aggregation: Aggregation, most_draws: usize) -> Estimate {
        let per_weight = |sum: f64| (self.weights != 0.0).then(|| sum / self.weights);
        let only = |value| Estimate { value, ..Estimate::default() };
        match aggregation {
            Aggregation::Mean => Estimate {
                value: self.moments.mean(),
                stderr: self.moments.standard_error(),
                replicates: None,
            },
            Aggregation::Sum => Estimate {
                value: (self.moments.count() > 0).then_some(self.sum),
                stderr: self.moments.standard_deviation().map(|deviation| deviation * self.root_count()),
                replicates: None,
            },
            // The plugin's aggregator computes it.
            Aggregation::Corpus => Estimate::default(),
            // As in the reference, the value of a weighted metric is a total already: Σ value / Σ weight.
            Aggregation::WeightedMean => only(per_weight(self.sum)),
            Aggregation::WeightedPerplexity => only(per_weight(self.sum).map(|mean| (-mean).exp())),
            Aggregation::BitsPerByte => only(per_weight(self.sum).map(|mean| -mean / std::f64::consts::LN_2)),
            Aggregation::Perplexity => {
                self.bootstrap(most_draws, self.moments.mean().map(|mean| (-mean).exp()), |values| {
                    perplexity(values)
                })
            }
            Aggregation::Median => {
                let value = (!self.values.is_empty()).then(|| median(&mut self.values.clone()));
                self.bootstrap(most_draws, value, median)
            }
        }
    }

    fn bootstrap(
        &self,
        most_draws: usize,
        value: Option<f64>,
        estimate: impl Fn(&mut [f64]) -> f64,
    ) -> Estimate {
        let bootstrap = Bootstrap::of(&self.values, REPLICATES, most_draws, estimate);
        Estimate {
            value,
            stderr: bootstrap.map(|bootstrap| bootstrap.stderr),
            replicates: bootstrap.map(|bootstrap| bootstrap.replicates),
        }
    }

    fn root_count(&self) -> f64 {
        (self.moments.count() as f64).sqrt()
    }
}

fn perplexity(values: &[f64]) -> f64 {
    (-values.iter().sum::<f64>() / values.len() as f64).exp()
}

/// The middle value; the upper one of an even count.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Z_95;

    fn declared(name: &str, aggregation: Aggregation) -> MetricDeclaration {
        MetricDeclaration {
            name: name.into(),
            filter: None,
            description: String::new(),
            aggregation,
            higher_is_better: true,
        }
    }

    fn measured(metric: &str, value: Option<f64>, weight: f64) -> Measurement {
        Measurement { metric: metric.into(), filter: None, value, weight, reason: None }
    }

    fn only(aggregation: Aggregation, measurements: &[(f64, f64)]) -> Metric {
        let mut aggregator = Aggregator::new(vec![declared("m", aggregation)]);
        for (value, weight) in measurements {
            aggregator.add(&measured("m", Some(*value), *weight));
        }
        aggregator.finish().remove(0)
    }

    #[test]
    fn an_accuracy_has_a_standard_error_and_an_interval() {
        let metric = only(Aggregation::Mean, &[(1.0, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 1.0)]);
        assert_eq!((metric.value, metric.count), (Some(0.75), 4));
        assert!((metric.stderr.unwrap() - 0.25).abs() < 1e-15);
        assert!((metric.ci95.unwrap()[0] - (0.75 - Z_95 * 0.25)).abs() < 1e-15);
    }

    #[test]
    fn word_perplexity_divides_all_log_likelihoods_by_all_words() {
        let metric = only(Aggregation::WeightedPerplexity, &[(-6.0, 2.0), (-3.0, 4.0)]);
        assert!((metric.value.unwrap() - 1.5f64.exp()).abs() < 1e-12);
        assert_eq!(metric.stderr, None);
        let bits = only(Aggregation::BitsPerByte, &[(-6.0, 2.0), (-3.0, 4.0)]).value.unwrap();
        assert!((bits - 1.5 / std::f64::consts::LN_2).abs() < 1e-12);
    }

    #[test]
    fn perplexity_is_of_the_mean_and_is_bootstrapped() {
        let metric = only(Aggregation::Perplexity, &[(-1.0, 1.0), (-3.0, 1.0)]);
        assert!((metric.value.unwrap() - 2f64.exp()).abs() < 1e-12);
        assert!(metric.stderr.unwrap() > 0.0);
    }

    #[test]
    fn the_median_of_an_even_count_is_the_upper_one() {
        assert_eq!(
            only(Aggregation::Median, &[(4.0, 1.0), (1.0, 1.0), (3.0, 1.0), (2.0, 1.0)]).value,
            Some(3.0)
        );
    }

    #[test]
    fn an_undefined_measurement_is_not_a_zero() {
        let mut aggregator = Aggregator::new(vec![declared("m", Aggregation::Mean)]);
        aggregator.add(&measured("m", Some(1.0), 1.0));
        aggregator.add(&measured("m", None, 1.0));
        aggregator.add(&measured("other", Some(0.0), 1.0));
        let metric = aggregator.finish().remove(0);
        assert_eq!((metric.value, metric.count), (Some(1.0), 1));
    }

    #[test]
    fn a_metric_without_measurements_has_no_value() {
        let metric = Aggregator::new(vec![declared("m", Aggregation::Sum)]).finish().remove(0);
        assert_eq!((metric.value, metric.stderr, metric.count), (None, None, 0));
    }
}
