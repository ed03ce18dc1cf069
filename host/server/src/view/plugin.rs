use jiff::Timestamp;
use llm_bench_core::Json;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::Plugin;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    pub name: String,
    pub version: String,
    /// Whether the bare name means this version.
    pub is_default: bool,
    pub description: String,
    /// `bundled`, `uploaded` or `path`.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// SHA-256 of the component.
    pub digest: String,
    pub bytes: u64,
    /// Interfaces it exports: `solver`, `scorer`, `aggregator`.
    pub exports: Vec<String>,
    /// Interfaces it asks its host for.
    pub imports: Vec<String>,
    /// Models it opens: `subject`, `judge`, `embedder`.
    pub parts: Vec<String>,
    /// JSON Schema of its config.
    #[schema(value_type = Object)]
    pub config_schema: Json,
    #[schema(value_type = Object)]
    pub example_config: Json,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<Plugin> for PluginView {
    fn from(plugin: Plugin) -> Self {
        let exports = plugin.exports;
        let exported =
            [("solver", exports.solver), ("scorer", exports.scorer), ("aggregator", exports.aggregator)];
        Self {
            name: plugin.name.to_string(),
            version: plugin.version,
            is_default: plugin.is_default,
            description: plugin.descriptor.description,
            origin: plugin.origin,
            digest: plugin.digest,
            bytes: plugin.bytes,
            exports: exported.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()).collect(),
            imports: plugin.imports,
            parts: plugin.descriptor.parts,
            config_schema: plugin.descriptor.config_schema,
            example_config: plugin.descriptor.example_config,
            created_at: plugin.created_at,
        }
    }
}
