//! The aggregator: one call in which the samples of a corpus come batch by batch.

use serde::{Deserialize, Serialize};
use wasmtime::Store;
use wasmtime::component::Instance;

use super::lacks;
use crate::bindings::llm_bench::plugin::types;
use crate::convert::lift::shown;
use crate::guest::{Export, GuestState, Program, next_step};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Aggregate {
    pub(super) context: types::Context,
}

impl Export for Aggregate {
    type Output = Vec<types::Measurement>;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Self::Output, types::Error>> {
        let Some(aggregator) = &program.aggregator else { return Ok(Err(lacks("aggregator"))) };
        let aggregator = aggregator.load(&mut *store, instance)?;
        let exports = aggregator.aggregation();
        let aggregation = exports.call_constructor(&mut *store, &self.context).await?;
        loop {
            let batch = match store.data_mut().next_batch().await {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            next_step(store)?;
            let Some(batch) = batch else { break };
            if let Err(error) = exports.call_add(&mut *store, aggregation, &batch).await? {
                return Ok(Err(error));
            }
        }
        exports.call_finish(store, aggregation).await
    }
}

/// Metrics of the corpus need somebody who computes them.
pub(super) fn computable(
    metrics: Vec<types::Metric>,
    has_aggregator: bool,
) -> Result<Vec<types::Metric>, types::Error> {
    let of_corpus = metrics.iter().find(|metric| metric.aggregation == types::Aggregation::Corpus);
    match of_corpus.filter(|_| !has_aggregator) {
        None => Ok(metrics),
        Some(metric) => {
            let name = shown(&metric.name, 64);
            Err(lacks(&format!("aggregator, which its metric `{name}` of the whole corpus needs")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_of_the_corpus_without_an_aggregator_is_refused_before_anything_runs() {
        let metric = |name: &str, aggregation| types::Metric {
            name: name.into(),
            filter: None,
            description: String::new(),
            aggregation,
            higher_is_better: true,
        };
        let metrics =
            || vec![metric("acc", types::Aggregation::Mean), metric("bleu", types::Aggregation::Corpus)];
        assert_eq!(computable(metrics(), true).unwrap().len(), 2);
        let error = computable(metrics(), false).unwrap_err();
        assert_eq!(
            error.message,
            "the plugin exports no aggregator, which its metric `bleu` of the whole corpus needs"
        );
        assert_eq!(computable(metrics()[..1].to_vec(), false).unwrap().len(), 1);
    }
}
