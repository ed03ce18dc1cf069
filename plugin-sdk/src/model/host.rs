//! The host's models, reached through the contract.

use super::{Generation, GenerationRequest, LogLikelihood, ScoringRequest};
use crate::Result;
use crate::bindings::models;

pub(super) struct Backend(models::Model);

impl Backend {
    pub(super) fn open(part: &str) -> Result<Self> {
        Ok(Self(models::open(part)?))
    }

    pub(super) fn generate(&self, requests: Vec<GenerationRequest>) -> Result<Vec<Generation>> {
        let requests: Vec<_> = requests.into_iter().map(Into::into).collect();
        Ok(self.0.generate(&requests)?.into_iter().map(Into::into).collect())
    }

    pub(super) fn log_likelihood(&self, requests: Vec<ScoringRequest>) -> Result<Vec<LogLikelihood>> {
        let requests: Vec<_> = requests.into_iter().map(Into::into).collect();
        Ok(self.0.log_likelihood(&requests)?.into_iter().map(Into::into).collect())
    }

    pub(super) fn log_likelihood_rolling(&self, texts: Vec<String>) -> Result<Vec<LogLikelihood>> {
        Ok(self.0.log_likelihood_rolling(&texts)?.into_iter().map(Into::into).collect())
    }

    pub(super) fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(self.0.embed(&texts)?)
    }

    pub(super) fn rank(&self, query: &str, documents: Vec<String>) -> Result<Vec<f32>> {
        Ok(self.0.rank(query, &documents)?)
    }

    pub(super) fn count_tokens(&self, texts: Vec<String>) -> Result<Vec<u32>> {
        Ok(self.0.count_tokens(&texts)?)
    }
}
