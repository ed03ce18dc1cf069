//! What a plugin's aggregator made of a corpus, held against what the plugin declares.

use std::iter::repeat;

use crate::benchmark::Metric;
use crate::plugin::{GuestOutcome, MetricDeclaration};
use crate::sample::{Failure, FailureKind, Measurement, Phase};
use crate::statistics::{Bootstrap, interval};

/// What is kept of a plugin's reason, in characters.
const REASON_CHARS: usize = 1000;

/// What an aggregator made of a corpus.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct OfCorpus {
    /// Samples that it was given.
    pub(in crate::orchestrator) count: u64,
    pub(in crate::orchestrator) result: Result<Vec<Measurement>, Failure>,
    /// In the order of the plugin's declarations; empty where none was looked for.
    pub(super) standard_errors: Vec<Option<Bootstrap>>,
}

impl OfCorpus {
    /// What came of an aggregation, held against what the plugin declares.
    pub(in crate::orchestrator) fn new(
        count: u64,
        outcome: GuestOutcome<Vec<Measurement>>,
        declared: &[MetricDeclaration],
    ) -> Self {
        let result = outcome.result.and_then(|measured| check(measured, declared));
        Self { count, result, standard_errors: Vec::new() }
    }

    pub(super) fn failed(kind: FailureKind, message: String) -> Self {
        Self { count: 0, result: Err(failure(kind, message)), standard_errors: Vec::new() }
    }

    /// Gives the metrics of the corpus, which are among `metrics` in the order of `declared`, their values.
    pub(in crate::orchestrator) fn complete(&self, declared: &[MetricDeclaration], metrics: &mut [Metric]) {
        let errors = self.standard_errors.iter().copied().chain(repeat(None));
        for ((declared, metric), error) in declared.iter().zip(metrics).zip(errors) {
            if !declared.is_of_corpus() {
                continue;
            }
            let found = match &self.result {
                Ok(measured) => measured.iter().find(|measurement| declared.is_of(measurement)),
                Err(failure) => {
                    let kind = failure.kind.as_str();
                    metric.reason = Some(shortened(&format!(
                        "the plugin's aggregator failed ({kind}): {}",
                        failure.message
                    )));
                    continue;
                }
            };
            if self.count == 0 {
                metric.reason = Some("no sample is completed".to_owned());
                continue;
            }
            metric.value = found.and_then(|found| found.value);
            metric.reason = found.and_then(|found| found.reason.as_deref()).map(shortened);
            metric.count = self.count;
            if let (Some(value), Some(Bootstrap { stderr, replicates })) = (metric.value, error) {
                metric.stderr = Some(stderr);
                metric.ci95 = Some(interval(value, stderr));
                metric.bootstrap_replicates = Some(replicates);
            }
        }
    }

    /// Why there are no metrics of the corpus.
    pub(in crate::orchestrator) fn failure(self) -> Option<Failure> {
        self.result.err()
    }
}

/// Each metric of the corpus once, and nothing else.
pub(super) fn check(
    measured: Vec<Measurement>,
    declared: &[MetricDeclaration],
) -> Result<Vec<Measurement>, Failure> {
    let of_corpus = || declared.iter().filter(|metric| metric.is_of_corpus());
    let stray = measured.iter().find(|measurement| !of_corpus().any(|metric| metric.is_of(measurement)));
    let lacking = of_corpus().find(|metric| !measured.iter().any(|measurement| metric.is_of(measurement)));
    let refused = |message| Err(failure(FailureKind::InvalidOutput, message));
    match (stray, lacking) {
        (Some(stray), _) => refused(format!(
            "the aggregator measured `{}`, which it did not declare as a metric of the whole corpus",
            stray.metric
        )),
        (None, Some(lacking)) => refused(format!(
            "the aggregator gave nothing for `{}`, not even a reason why it has no value",
            lacking.name
        )),
        (None, None) => Ok(measured),
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, phase: Phase::Aggregate, message, backtrace: None, log: None }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Aggregation;
    use crate::statistics::Aggregator;

    fn declared(name: &str, aggregation: Aggregation) -> MetricDeclaration {
        MetricDeclaration {
            name: name.into(),
            filter: None,
            description: String::new(),
            aggregation,
            higher_is_better: true,
        }
    }

    fn measured(metric: &str, value: Option<f64>, reason: Option<&str>) -> Measurement {
        let reason = reason.map(str::to_owned);
        Measurement { metric: metric.into(), filter: None, value, weight: 1.0, reason }
    }

    /// The metrics after an aggregation over three samples.
    fn metrics(count: u64, result: Result<Vec<Measurement>, Failure>) -> (Vec<Metric>, Option<Failure>) {
        let declarations = [declared("acc", Aggregation::Mean), declared("bleu", Aggregation::Corpus)];
        let mut aggregator = Aggregator::new(declarations.to_vec());
        aggregator.add(&measured("acc", Some(0.5), None));
        let mut metrics = aggregator.finish();
        let outcome = GuestOutcome { result, usage: crate::sample::GuestUsage::default(), log: None };
        let corpus = OfCorpus::new(count, outcome, &declarations);
        corpus.complete(&declarations, &mut metrics);
        (metrics, corpus.failure())
    }

    #[test]
    fn a_metric_of_the_corpus_stands_beside_the_others_with_the_samples_it_is_of() {
        let (metrics, failure) = metrics(3, Ok(vec![measured("bleu", Some(31.5), None)]));
        let figures: Vec<_> =
            metrics.iter().map(|metric| (&*metric.name, metric.value, metric.count)).collect();
        assert_eq!(figures, [("acc", Some(0.5), 1), ("bleu", Some(31.5), 3)]);
        assert_eq!((metrics[1].stderr, failure), (None, None));
    }

    #[test]
    fn a_value_may_be_absent_for_a_reason_and_is_without_samples() {
        let (metrics_of_some, _) = metrics(3, Ok(vec![measured("bleu", None, Some(&"x".repeat(2000)))]));
        assert_eq!(metrics_of_some[1].value, None);
        assert_eq!(metrics_of_some[1].reason.as_ref().unwrap().chars().count(), REASON_CHARS + 1);
        let (metrics_of_none, failure) = metrics(0, Ok(vec![measured("bleu", Some(0.0), None)]));
        assert_eq!(metrics_of_none[1].value, None);
        assert_eq!(metrics_of_none[1].reason.as_deref(), Some("no sample is completed"));
        assert_eq!(failure, None);
    }

    #[test]
    fn an_aggregator_gives_its_metrics_each_and_none_of_the_scorer_s() {
        let (metrics_of_none, failure) = metrics(3, Ok(vec![]));
        let failure = failure.unwrap();
        assert_eq!((failure.kind, failure.phase), (FailureKind::InvalidOutput, Phase::Aggregate));
        assert_eq!(
            metrics_of_none[1].reason.as_deref(),
            Some(
                "the plugin's aggregator failed (invalid-output): the aggregator gave nothing for `bleu`, not even a \
                 reason why it has no value"
            )
        );
        assert_eq!(metrics_of_none[0].value, Some(0.5), "the others stand");
        let both = vec![measured("bleu", Some(1.0), None), measured("acc", Some(1.0), None)];
        let (_, failure) = metrics(3, Ok(both));
        assert!(failure.unwrap().message.contains("measured `acc`, which it did not declare"));
    }
}
