use jiff::Timestamp;
use llm_bench_core::model::{Model, Origin};
use llm_bench_core::orchestrator::{ModelState, Residence};
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
    /// `unloaded`, `loading`, `loaded` or `in-use`; a server tells that of its own memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub state: Option<ModelState>,
    /// When a benchmark began or ended with it last, since the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// What its KV caches and the logits of its batches may take once it is loaded, in bytes (`serve --kv-cache-mib`). A
    /// prompt whose cache does not fit is an error of its sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_cache_budget_bytes: Option<u64>,
    /// Why it is not loaded though that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_error: Option<String>,
}

impl ModelView {
    /// A model of a server that keeps models loaded.
    pub fn of_server(model: Model, residence: Residence, kv_cache_budget_bytes: u64) -> Self {
        let Residence { state, last_used_at, error } = residence;
        Self {
            state: Some(state),
            last_used_at,
            kv_cache_budget_bytes: Some(kv_cache_budget_bytes),
            load_error: error,
            ..Self::from(model)
        }
    }
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
            state: None,
            last_used_at: None,
            kv_cache_budget_bytes: None,
            load_error: None,
        }
    }
}
