//! The models of a call: the host's own, or its parent's where the host is a child process.

use std::sync::Arc;

use llm_bench_core::model::{ModelRequest, ModelResponse};
use llm_bench_core::plugin::ModelAccess;
use tokio_util::sync::CancellationToken;

use crate::bindings::llm_bench::plugin::types::Error;
use crate::convert::lower;
use crate::process::ParentModels;

/// Gives a guest what it is told, which is the same wherever it runs.
pub(crate) enum Models {
    Here(Arc<dyn ModelAccess>),
    Parent(ParentModels),
}

impl Models {
    pub(crate) async fn open(&self, part: &str) -> Result<(), Error> {
        match self {
            Self::Here(models) => models.open(part).map_err(|error| lower::error(&error)),
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
            // A guest that ends takes its questions back by ending.
            Self::Parent(models) => models.call(part, request).await,
        }
    }
}
