use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Measurement, Metric, Result, Solution};

/// What every plugin says of itself. With [`Solver`] and [`Scorer`] it is a task, with [`Scorer`] alone a scorer.
pub trait Plugin: Sized + 'static {
    /// The benchmark's config. Its JSON schema is derived, its default is the example that people copy.
    /// Put `#[serde(default, deny_unknown_fields)]` on it, so that a misspelt setting is refused by name.
    ///
    /// A field that names a gold column bears `#[schemars(extend("x-gold" = true))]`: the host strips that column
    /// from what the solver sees.
    type Config: Serialize + DeserializeOwned + JsonSchema + Default;

    /// A row without its gold columns: a struct of your own, or [`Row`](crate::Row).
    type Input: DeserializeOwned;

    /// The gold columns of a row: a struct of your own, or [`Row`](crate::Row).
    type Target: DeserializeOwned;

    /// Name, version and what the plugin needs.
    fn describe() -> Description;

    /// The metrics that this config yields, in the order in which tables show them.
    ///
    /// # Errors
    /// `invalid-config` where the config has the right shape and still makes no sense.
    fn metrics(config: &Self::Config) -> Result<Vec<Metric>>;
}

/// Asks the model. Never sees the gold answer.
pub trait Solver: Plugin {
    /// Solves one sample, in an instance of its own.
    ///
    /// # Errors
    /// Any; it fails this sample alone.
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution>;
}

/// Holds a solution against the gold answer, in an instance of its own, possibly much later.
pub trait Scorer: Plugin {
    /// Judges one solution: at most one measurement for each metric that the config yields.
    ///
    /// # Errors
    /// Any; it fails this sample alone. Where one metric is undefined, use [`Measurement::undefined`] instead.
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Self::Target,
    ) -> Result<Vec<Measurement>>;
}

/// What a plugin is and needs. [`description!`](crate::description!) fills it from the crate's `Cargo.toml`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Description {
    /// Lower case letters, digits and `-`.
    pub name: &'static str,
    /// Semantic version.
    pub version: &'static str,
    /// What it measures, in a sentence or two.
    pub description: &'static str,
    /// Models that it opens: `"subject"`, `"judge"`, `"embedder"`.
    pub parts: &'static [&'static str],
    /// Gold columns whose names are fixed. Columns that the config names are marked there instead.
    pub gold: &'static [&'static str],
}

/// A [`Description`] with the name, version and description of your crate, no parts and no fixed gold columns.
///
/// ```
/// use llm_bench_plugin_sdk::{Description, description};
///
/// let description = Description { parts: &["subject"], gold: &["answer"], ..description!() };
/// assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
/// ```
#[macro_export]
macro_rules! description {
    () => {
        $crate::Description {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            parts: &[],
            gold: &[],
        }
    };
}

/// What is the same for every sample of a benchmark.
pub struct Context<P: Plugin> {
    /// The benchmark's config.
    pub config: P::Config,
    /// Solved rows to show the model, in the order in which a prompt shows them; empty for zero-shot.
    pub examples: Vec<Example<P>>,
    /// The benchmark's seed, the same for every sample.
    pub seed: u64,
}

/// A solved row, for few-shot prompts.
pub struct Example<P: Plugin> {
    /// The row without its gold columns.
    pub input: P::Input,
    /// Its gold columns.
    pub target: P::Target,
}

/// A row to solve.
pub struct Sample<P: Plugin> {
    /// The row's index in its split, in decimal.
    pub id: String,
    /// The row without its gold columns.
    pub input: P::Input,
    /// 0 for the first try, 1.. where a benchmark repeats each sample.
    pub repeat: u32,
}

/// The config of a plugin that has no settings. Anything in it is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
