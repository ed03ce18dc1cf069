//! Plugins: uploaded components, what they declare, and the ports that admit and execute them.

pub mod config_schema;
mod corpus;
mod data_files;
pub(crate) mod gold;
mod standing;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::audit::AuditEntry;
use crate::limits::Limits;
use crate::model::{ModelRequest, ModelResponse, Origin};
use crate::name::Name;
use crate::sample::{Context, Failure, FailureCounts, GuestUsage, Measurement, Sample, Solution};
use crate::{Error, Json, Result, Row};

pub use corpus::{ScoredSample, ScoredSamples};
pub use data_files::{DataFiles, check_data_file_names};
pub use gold::gold_columns;
pub(crate) use standing::blocked;
pub use standing::{Block, Decisions, Grants, GrantsChange, Standing};

/// An admitted component: one version of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    pub name: Name,
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    pub bytes: u64,
    pub origin: Origin,
    pub descriptor: Descriptor,
    pub exports: Exports,
    /// What the component asks its host for, such as `llm-bench:plugin/models@0.1.0`.
    pub imports: Vec<String>,
    /// The version of the contract that it was made for.
    pub contract: String,
    pub created_at: Timestamp,
    /// How long it took to compile, in milliseconds; none where that is not known.
    #[serde(default)]
    pub compile_ms: Option<u64>,
    /// The version that a bare name means.
    pub is_default: bool,
    #[serde(default)]
    pub standing: Standing,
    #[serde(default)]
    pub grants: Grants,
}

impl Plugin {
    /// The one reference to it.
    pub fn reference(&self) -> PluginReference {
        PluginReference { name: self.name.clone(), version: Some(self.version.clone()) }
    }

    /// Whether a benchmark may bind a model to that part. An uploaded plugin has the subject alone, and what it was
    /// granted; one that ships with the program, or that the person in front brings along, has what it asks for.
    pub fn may_open(&self, part: &str) -> bool {
        self.origin != Origin::Uploaded || part == SUBJECT || self.grants.parts.contains(part)
    }

    /// What of it can be changed.
    pub fn decisions(&self) -> Decisions {
        let (enabled, reason) = match &self.standing {
            Standing::Disabled { reason } => (false, reason.clone()),
            _ => (true, None),
        };
        Decisions { enabled, reason, is_default: self.is_default, grants: self.grants.clone() }
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub description: String,
    /// JSON Schema of a config; a property that names a gold column bears `"x-gold": true`.
    pub config_schema: Json,
    pub example_config: Json,
    /// Roles of the models that the plugin opens: `subject`, `judge`, `embedder`.
    pub parts: Vec<String>,
    /// Names of the files that it reads.
    #[serde(default)]
    pub data_files: Vec<String>,
}

/// Which interfaces a component exports besides `plugin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    pub solver: bool,
    pub scorer: bool,
    pub aggregator: bool,
}

/// How the measurements of a metric become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    Mean,
    Sum,
    Median,
    WeightedMean,
    Perplexity,
    WeightedPerplexity,
    BitsPerByte,
    /// What the plugin's aggregator makes of all samples together.
    Corpus,
}

impl Aggregation {
    /// Whether its standard error comes from resampling, which needs every value.
    pub(crate) fn is_bootstrapped(self) -> bool {
        matches!(self, Self::Median | Self::Perplexity)
    }
}

/// A metric that a plugin announces for a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDeclaration {
    pub name: String,
    /// How the answer was read before it was judged (`strict-match`); none: as it is.
    pub filter: Option<String>,
    pub description: String,
    pub aggregation: Aggregation,
    pub higher_is_better: bool,
}

/// `name`, or `name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginReference {
    pub name: Name,
    pub version: Option<String>,
}

/// What the sandbox found in a component that it accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    pub digest: String,
    pub bytes: u64,
    pub descriptor: Descriptor,
    pub exports: Exports,
    pub imports: Vec<String>,
    /// The version of the contract that it was made for.
    pub contract: String,
    /// How long it took to compile, in milliseconds; none where that is not known.
    pub compile_ms: Option<u64>,
}

/// What came of a version of a plugin over all benchmarks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginStatistics {
    /// Benchmarks that pin it.
    pub benchmarks: u64,
    /// Samples that are finished, failed ones among them.
    pub samples: u64,
    pub failures: FailureCounts,
    /// Fuel of one sample; none where there is no sample.
    pub fuel: Option<Percentiles>,
    /// Peak memory of one sample, in bytes.
    pub peak_memory_bytes: Option<Percentiles>,
}

/// Nearest-rank percentiles: the smallest value that so many hundredths of all do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    pub p50: u64,
    pub p99: u64,
}

/// The part that the benchmark's own model plays.
pub const SUBJECT: &str = "subject";
/// Parts that a plugin may be granted.
pub const GRANTABLE_PARTS: [&str; 2] = ["judge", "embedder"];

/// Executes untrusted components, each call in an instance of its own.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Inspects a component, compiles it in a child process, asks it to describe itself under limits, and keeps
    /// it by digest. Admitting the same bytes again is cheap.
    ///
    /// # Errors
    /// `invalid` or `unsupported` with what was found and what is supported.
    async fn admit(&self, component: &Path) -> Result<Admission>;

    /// Readies an admitted component to be called, with the data files of that digest where one is given.
    ///
    /// # Errors
    /// `not-found` when no component of that digest was admitted, or no such data files were kept for it.
    async fn load(&self, digest: &str, data_files: Option<&str>) -> Result<Arc<dyn LoadedPlugin>>;

    /// Unpacks a tar archive with exactly the files of these names, and keeps them for an admitted component by their
    /// digest, beside others that were kept before.
    ///
    /// # Errors
    /// `invalid-data-files` with the entry and the reason; `data-files-too-large`.
    async fn keep_data_files(&self, digest: &str, archive: &Path, names: &[String]) -> Result<DataFiles>;

    /// Removes all data files of a component but those of the digest that stays.
    async fn forget_data_files(&self, digest: &str, stays: Option<&str>) -> Result<()>;

    /// The bytes of an admitted component.
    ///
    /// # Errors
    /// `not-found` when no component of that digest was admitted.
    async fn component(&self, digest: &str) -> Result<Vec<u8>>;

    /// Removes a component with its compiled code and its data files. One that is not there is no error.
    async fn forget(&self, digest: &str) -> Result<()>;
}

/// A compiled component. Every call gets a fresh instance, which is thrown away after it.
#[async_trait]
pub trait LoadedPlugin: Send + Sync {
    /// Checks a config and says which metrics it yields.
    ///
    /// # Errors
    /// `invalid-config` with the plugin's own sentence; a guest that misbehaves is `plugin-failed`.
    async fn metrics(&self, config: &Json, limits: &Limits) -> Result<Vec<MetricDeclaration>>;

    async fn solve(&self, call: GuestCall, sample: &Sample) -> GuestOutcome<Solution>;

    async fn score(
        &self,
        call: GuestCall,
        sample: &Sample,
        solution: Solution,
        target: &Row,
    ) -> GuestOutcome<Vec<Measurement>>;

    /// Has the plugin's aggregator compute the metrics of the whole corpus from the samples that come, until no more
    /// do. All of it is one call in one instance, the only one that outlives a sample; it opens no model. The limits
    /// are those of a sample: fuel, time and host calls are granted anew for every batch that it takes, up to
    /// [`Limits::AGGREGATION_STEPS`] times as much fuel and time for all.
    async fn aggregate(&self, call: GuestCall, samples: ScoredSamples) -> GuestOutcome<Vec<Measurement>>;
}

/// What every guest call needs besides its own arguments.
#[derive(Clone)]
pub struct GuestCall {
    pub context: Arc<Context>,
    pub limits: Limits,
    /// Seeds the guest's randomness.
    pub seed: u64,
    pub models: Arc<dyn ModelAccess>,
    pub cancel: CancellationToken,
}

/// The end of a guest call.
#[derive(Debug, Clone)]
pub struct GuestOutcome<T> {
    pub result: Result<T, Failure>,
    pub usage: GuestUsage,
    /// The end of what the guest wrote to its log, standard output and standard error; a failure has it, too.
    pub log: Option<String>,
}

/// The models that a guest may open in one call. Implemented by the orchestrator, which records every call.
#[async_trait]
pub trait ModelAccess: Send + Sync {
    /// # Errors
    /// `denied` when the part is not lent to this call.
    fn open(&self, part: &str) -> Result<()>;

    /// # Errors
    /// What the guest is told; it may go on.
    async fn call(
        &self,
        part: &str,
        request: ModelRequest,
        cancel: CancellationToken,
    ) -> Result<ModelResponse>;
}

/// The plugins that are admitted.
#[async_trait]
pub trait PluginRepository: Send + Sync {
    /// Inserts a version; the first of its name becomes the default. The same name, version and digest again
    /// changes nothing, but that one that was removed is enabled. A bundled plugin replaces the bundled one of its
    /// version, which an older program left, and becomes the default unless an administrator chose another one. The
    /// audit gets the entry if anything changes.
    ///
    /// # Errors
    /// `plugin-version-exists` when the version is there with another digest; `plugin-blocked`.
    async fn insert(&self, plugin: &Plugin, entry: Option<&AuditEntry>) -> Result<()>;

    /// The version asked for, else the default one.
    async fn find(&self, reference: &PluginReference) -> Result<Option<Plugin>>;

    async fn find_by_digest(&self, digest: &str) -> Result<Option<Plugin>>;

    /// All versions, ordered by name, then newest first.
    async fn list(&self) -> Result<Vec<Plugin>>;

    /// Stores other decisions about a version, with an entry for each. Making it the default takes that from the
    /// others of its name.
    ///
    /// # Errors
    /// `plugin-changed` when somebody else changed it since it was read.
    async fn decide(&self, plugin: &Plugin, decisions: &Decisions, entries: &[AuditEntry]) -> Result<()>;

    /// Removes a version that no benchmark pins; with `force`, one that benchmarks pin stays as removed, so that they
    /// can say what they used. If it was the default, the newest one left that is enabled becomes it, else the newest
    /// one left.
    ///
    /// # Errors
    /// `plugin-referenced` says how many benchmarks pin it.
    async fn remove(&self, plugin: &Plugin, force: bool, entry: &AuditEntry) -> Result<()>;

    /// Blocks a content; one that is blocked already gets the new reason.
    async fn block(&self, block: &Block, entry: &AuditEntry) -> Result<()>;

    /// # Errors
    /// `block-not-found`.
    async fn unblock(&self, digest: &str, entry: &AuditEntry) -> Result<()>;

    /// Contents that are blocked, the latest first.
    async fn blocks(&self) -> Result<Vec<Block>>;

    async fn find_block(&self, digest: &str) -> Result<Option<Block>>;

    /// What came of a content over all benchmarks.
    async fn statistics(&self, digest: &str) -> Result<PluginStatistics>;
}

impl FromStr for PluginReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (text, None),
        };
        Ok(Self { name: Name::new(name)?, version })
    }
}

impl fmt::Display for PluginReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(formatter, "{}@{version}", self.name),
            None => self.name.fmt(formatter),
        }
    }
}
