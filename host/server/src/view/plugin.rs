use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use llm_bench_core::lifecycle::{PluginChange, Unfinished};
use llm_bench_core::limits::Limits;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::{Block, DataFiles, Grants, GrantsChange, Percentiles, Plugin, PluginStatistics};
use llm_bench_core::{Error, Json, Result, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    pub name: String,
    pub version: String,
    /// Whether the bare name means this version.
    pub is_default: bool,
    /// Whether it may be used: `enabled`, `disabled`, `blocked` or `removed`.
    pub status: String,
    /// Why it is disabled or blocked.
    pub status_reason: Option<String>,
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
    /// The version of the contract that it was made for.
    pub contract: String,
    /// How long it took to compile, in milliseconds; null where that is not known.
    pub compile_ms: Option<u64>,
    /// What it may do beyond what an uploaded plugin may.
    pub grants: GrantsView,
    /// Models it opens: `subject`, `judge`, `embedder`.
    pub parts: Vec<String>,
    /// Names of the files that it reads, all of which it has to be given.
    pub data_files: Vec<String>,
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
            status: plugin.standing.as_str().to_owned(),
            status_reason: plugin.standing.reason().map(str::to_owned),
            description: plugin.descriptor.description,
            origin: plugin.origin,
            digest: plugin.digest,
            bytes: plugin.bytes,
            exports: exported.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()).collect(),
            imports: plugin.imports,
            contract: plugin.contract,
            compile_ms: plugin.compile_ms,
            grants: plugin.grants.into(),
            parts: plugin.descriptor.parts,
            data_files: plugin.descriptor.data_files,
            config_schema: plugin.descriptor.config_schema,
            example_config: plugin.descriptor.example_config,
            created_at: plugin.created_at,
        }
    }
}

/// What an administrator granted a version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct GrantsView {
    /// Parts besides `subject` that it may open a model for: `judge`, `embedder`.
    pub parts: BTreeSet<String>,
    /// Limits that differ from the host's defaults.
    pub limits: BTreeMap<String, u64>,
    /// The files that it reads; null where it was given none.
    pub data_files: Option<DataFilesView>,
}

/// Files that a plugin was given beside its component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataFilesView {
    /// SHA-256 of what `sha256sum` prints for the files in the order of their names.
    pub digest: String,
    /// The bytes of each file.
    pub files: BTreeMap<String, u64>,
}

/// One version of a plugin, with what it may use and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginDetailView {
    #[serde(flatten)]
    pub plugin: PluginView,
    /// What one sample may use unless a benchmark says less: the host's defaults, with what was granted in their place.
    #[schema(value_type = Object)]
    pub limits: Row,
    pub statistics: PluginStatisticsView,
}

/// What came of a version over all benchmarks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginStatisticsView {
    /// Benchmarks that pin it.
    pub benchmarks: u64,
    /// Finished samples, failed ones among them.
    pub samples: u64,
    /// Failed samples by kind.
    pub failures: BTreeMap<String, u64>,
    /// WebAssembly fuel of one sample; null without samples.
    pub fuel: Option<PercentilesView>,
    /// Peak memory of one sample, in bytes; null without samples.
    pub peak_memory_bytes: Option<PercentilesView>,
}

/// Nearest-rank percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PercentilesView {
    pub p50: u64,
    pub p99: u64,
}

/// A content that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// SHA-256 of the component.
    pub digest: String,
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub blocked_at: Timestamp,
}

/// What is to change about a version of a plugin. What is not named stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangePlugin {
    pub enabled: Option<bool>,
    /// Why it is disabled, for whoever meets it; goes with `"enabled": false`. At most 1000 bytes.
    pub reason: Option<String>,
    /// `true`: the bare name means this version from now on.
    pub default: Option<bool>,
    pub grants: ChangeGrants,
    /// What becomes of benchmarks that pin a version that is disabled, and have not ended; `hold` unless given.
    pub unfinished: UnfinishedChoice,
}

/// What is to change about grants.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeGrants {
    /// All parts besides `subject` that it may open a model for from now on: `judge`, `embedder`.
    pub parts: Option<BTreeSet<String>>,
    /// Limits by name; null gives one its default again.
    pub limits: BTreeMap<String, Option<u64>>,
}

/// What becomes of benchmarks that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnfinishedChoice {
    /// They wait until the plugin may be used again.
    #[default]
    Hold,
    /// They end as cancelled.
    Cancel,
}

impl PluginDetailView {
    pub(crate) fn new(plugin: Plugin, limits: &Limits, statistics: PluginStatistics) -> Self {
        Self { plugin: plugin.into(), limits: limits.fields(), statistics: statistics.into() }
    }
}

impl From<Grants> for GrantsView {
    fn from(Grants { parts, limits, data_files }: Grants) -> Self {
        let data_files = data_files.map(|DataFiles { digest, files }| DataFilesView { digest, files });
        Self { parts, limits, data_files }
    }
}

impl From<PluginStatistics> for PluginStatisticsView {
    fn from(statistics: PluginStatistics) -> Self {
        let failures = statistics.failures.into_iter().map(|(kind, n)| (kind.as_str().to_owned(), n));
        Self {
            benchmarks: statistics.benchmarks,
            samples: statistics.samples,
            failures: failures.collect(),
            fuel: statistics.fuel.map(PercentilesView::from),
            peak_memory_bytes: statistics.peak_memory_bytes.map(PercentilesView::from),
        }
    }
}

impl From<Percentiles> for PercentilesView {
    fn from(Percentiles { p50, p99 }: Percentiles) -> Self {
        Self { p50, p99 }
    }
}

impl From<Block> for BlockView {
    fn from(Block { digest, reason, blocked_at }: Block) -> Self {
        Self { digest, reason, blocked_at }
    }
}

impl From<UnfinishedChoice> for Unfinished {
    fn from(choice: UnfinishedChoice) -> Self {
        match choice {
            UnfinishedChoice::Hold => Self::Hold,
            UnfinishedChoice::Cancel => Self::Cancel,
        }
    }
}

impl TryFrom<ChangePlugin> for PluginChange {
    type Error = Error;

    /// # Errors
    /// `invalid-change` for a version that is to be the default no more: another one takes that from it.
    fn try_from(change: ChangePlugin) -> Result<Self> {
        if change.default == Some(false) {
            let message =
                "a version stops being the default when another one is made it: send `default: true` there";
            return Err(Error::invalid("invalid-change", message));
        }
        Ok(Self {
            enabled: change.enabled,
            reason: change.reason,
            make_default: change.default == Some(true),
            grants: GrantsChange { parts: change.grants.parts, limits: change.grants.limits },
            unfinished: change.unfinished.into(),
        })
    }
}
