//! What a call asks its host for: models, or the samples of a corpus; the host's own, or its parent's where the host is a
//! child process.

use std::sync::Arc;

use llm_bench_core::model::{ModelRequest, ModelResponse};
use llm_bench_core::plugin::ModelAccess;
use tokio_util::sync::CancellationToken;

use super::corpus::Corpus;
use super::state::NoModels;
use crate::bindings::exports::llm_bench::plugin::aggregator::Scored;
use crate::bindings::llm_bench::plugin::types::Error;
use crate::convert::lower;
use crate::process::ParentHost;

/// Gives a guest what it is told, which is the same wherever it runs.
pub(crate) enum Models {
    Here(Arc<dyn ModelAccess>),
    /// No model, but samples to aggregate.
    Corpus(Corpus),
    Parent(Arc<ParentHost>),
}

impl Models {
    pub(crate) async fn open(&self, part: &str) -> Result<(), Error> {
        match self {
            Self::Here(models) => models.open(part).map_err(|error| lower::error(&error)),
            Self::Corpus(_) => NoModels.open(part).map_err(|error| lower::error(&error)),
            Self::Parent(models) => models.open(part).await,
        }
    }

    pub(crate) async fn call(
        &self,
        part: &str,
        request: ModelRequest,
        cancel: CancellationToken,
    ) -> Result<ModelResponse, Error> {
        match self {
            Self::Here(models) => {
                models.call(part, request, cancel).await.map_err(|error| lower::error(&error))
            }
            Self::Corpus(_) => {
                NoModels.call(part, request, cancel).await.map_err(|error| lower::error(&error))
            }
            // A guest that ends takes its questions back by ending.
            Self::Parent(models) => models.call(part, request).await,
        }
    }

    /// The next samples to aggregate; none after the last, and for a call that aggregates nothing.
    pub(crate) async fn next_batch(&self) -> Result<Option<Vec<Scored>>, Error> {
        match self {
            Self::Here(_) => Ok(None),
            Self::Corpus(corpus) => Ok(corpus.next().await),
            Self::Parent(parent) => parent.next_batch().await,
        }
    }

    /// Whether there are samples to aggregate.
    pub(crate) fn is_corpus(&self) -> bool {
        matches!(self, Self::Corpus(_))
    }
}
