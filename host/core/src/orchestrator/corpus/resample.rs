//! Standard errors of metrics of the whole corpus: the plugin aggregates corpora that are drawn from the samples.

use futures::future::join;
use futures::stream::{StreamExt, iter};
use tokio_util::sync::CancellationToken;

use super::{Feeder, aggregate, check};
use crate::limits::Limits;
use crate::plugin::{LoadedPlugin, MetricDeclaration, ScoredSample};
use crate::sample::Measurement;
use crate::statistics::{Bootstrap, Moments, resampled_corpora};
use crate::{Json, Row};

/// Bytes of samples that are kept to draw from, about; a corpus of more has no standard errors.
const MOST_BYTES: usize = 256 << 20;
/// Samples of all corpora together.
const MOST_DRAWS: usize = 1_000_000;
/// Corpora that are aggregated side by side.
const AT_ONCE: usize = 4;

/// Samples that are kept to draw corpora from.
#[derive(Debug, Default)]
pub(super) struct Kept {
    samples: Vec<ScoredSample>,
    bytes: usize,
    is_too_large: bool,
}

impl Kept {
    pub(super) fn add(&mut self, sample: &ScoredSample) {
        if self.is_too_large {
            return;
        }
        self.bytes += bytes(sample);
        if self.bytes > MOST_BYTES {
            *self = Self { is_too_large: true, ..Self::default() };
        } else {
            self.samples.push(sample.clone());
        }
    }

    /// The standard error of each metric, in the order of their declarations; none of one that is not of the corpus, that
    /// is undefined in one of the corpora, or where there are too few or too many samples.
    pub(super) async fn standard_errors(
        &self,
        plugin: &dyn LoadedPlugin,
        config: &Json,
        limits: (u64, Limits),
        cancel: &CancellationToken,
        declared: &[MetricDeclaration],
    ) -> Vec<Option<Bootstrap>> {
        let mut estimates: Vec<Option<Moments>> =
            declared.iter().map(|metric| metric.is_of_corpus().then(Moments::default)).collect();
        let corpora = resampled_corpora(self.samples.len(), MOST_DRAWS);
        let measured = iter(corpora).map(async |places| {
            let (mut feeder, samples) = Feeder::new();
            let feeding = async move {
                for place in places {
                    if !feeder.feed(self.samples[place].clone()).await {
                        break;
                    }
                }
            };
            let ((), outcome) = join(feeding, aggregate(plugin, config, limits, cancel, samples)).await;
            outcome.result.and_then(|measured| check(measured, declared))
        });
        let mut measured = std::pin::pin!(measured.buffered(AT_ONCE));
        while let Some(measured) = measured.next().await {
            let measured = measured.unwrap_or_else(|failure| {
                tracing::warn!(
                    ?failure,
                    "an aggregator failed on a corpus that was drawn for a standard error"
                );
                Vec::new()
            });
            for (estimate, metric) in estimates.iter_mut().zip(declared) {
                let value = measured.iter().find(|found| metric.is_of(found)).and_then(|found| found.value);
                *estimate = estimate.take().zip(value).map(|(mut moments, value)| {
                    moments.add(value);
                    moments
                });
            }
        }
        estimates.into_iter().map(|moments| moments.as_ref().and_then(Bootstrap::of_estimates)).collect()
    }
}

/// About what a sample holds.
fn bytes(sample: &ScoredSample) -> usize {
    let ScoredSample { sample, solution, target, measurements } = sample;
    let row = |row: &Row| row.iter().map(|(name, value)| name.len() + json(value)).sum::<usize>();
    row(&sample.input)
        + row(target)
        + solution.answer.as_ref().map_or(0, String::len)
        + solution.detail.as_ref().map_or(0, json)
        + solution.passages.iter().map(|passage| passage.id.len() + passage.text.len()).sum::<usize>()
        + measurements.len() * size_of::<Measurement>()
}

fn json(value: &Json) -> usize {
    let below = match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(json).sum(),
        Json::Object(fields) => fields.iter().map(|(name, value)| name.len() + json(value)).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    };
    size_of::<Json>() + below
}
