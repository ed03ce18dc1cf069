use llm_bench_core::model::{Model, Origin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    pub name: String,
    /// `bundled`, `local`, `uploaded` or `path`.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// SHA-256 over the files that decide the model's answers.
    pub digest: String,
    pub bytes: u64,
    pub architecture: String,
    /// The longest sequence, in tokens.
    pub max_length: u32,
    pub vocabulary_size: u32,
    pub has_chat_template: bool,
}

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        let facts = model.facts;
        Self {
            name: model.name,
            origin: model.origin,
            digest: facts.digest,
            bytes: facts.bytes,
            architecture: facts.architecture,
            max_length: facts.max_length,
            vocabulary_size: facts.vocabulary_size,
            has_chat_template: facts.has_chat_template,
        }
    }
}
