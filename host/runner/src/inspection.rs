//! What can be told of a model without loading its weights.

use std::path::Path;

use llm_bench_core::model::Model;
use llm_bench_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::digest::DigestCache;
use crate::folder::ModelFolder;
use crate::settings::ModelSettings;
use crate::tokenizer::TextTokenizer;

/// Runs what reads files on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("inspection-failed", "looking at a model failed").because(error))?
}

/// What a model's folder tells without its weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) architecture: String,
    pub(crate) max_length: u32,
    pub(crate) vocabulary_size: u32,
    pub(crate) has_chat_template: bool,
}

/// Reads the configuration and the tokenizer, all of which may be a stranger's.
pub(crate) fn describe(path: &Path) -> Result<Description> {
    let settings = ModelSettings::read(&ModelFolder::open(path)?)?;
    let tokenizer = TextTokenizer::open(path, &settings)?;
    let vocabulary_size = match settings.vocabulary_size {
        Some(size) => u32::try_from(size).unwrap_or(u32::MAX),
        None => u32::try_from(tokenizer.vocabulary_size()).unwrap_or(u32::MAX),
    };
    Ok(Description {
        architecture: settings.architecture,
        max_length: u32::try_from(settings.max_length).unwrap_or(u32::MAX),
        vocabulary_size,
        has_chat_template: settings.chat_template.is_some(),
    })
}

/// The model's digest and the bytes of the files that decide it.
pub(crate) fn digest(path: &Path, digests: &DigestCache) -> Result<(String, u64)> {
    digests.digest(path, &ModelFolder::open(path)?.files)
}

/// What is loaded under a digest must be what has it.
pub(crate) fn check_digest(model: &Model, digests: &DigestCache) -> Result<()> {
    if digest(&model.path, digests)?.0 == model.facts.digest {
        return Ok(());
    }
    Err(Error::conflict(
        "model-changed",
        format!("the files of model `{}` are not those that it was registered with", model.name),
    ))
}
