use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Measurement, Metric, Result, Solution};

/// What every plugin says of itself. With [`Solver`] and [`Scorer`] it is a task, with [`Scorer`] alone a scorer; either
/// may be an [`Aggregator`] as well.
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

/// Optional: metrics of all samples together, which no sample has a value of ([`Metric::corpus`]): corpus BLEU, macro
/// F1. One instance sees the completed samples one after the other, after they were scored; it opens no model.
///
/// ```
/// use llm_bench_plugin_sdk::prelude::*;
///
/// struct Brevity;
///
/// /// What is kept of the samples: as little as the metric needs, for there may be a million.
/// #[derive(Default)]
/// struct Lengths {
///     longest: Option<usize>,
/// }
///
/// impl Plugin for Brevity {
///     type Config = NoConfig;
///     type Input = Row;
///     type Target = Row;
///
///     fn describe() -> Description {
///         description!()
///     }
///
///     fn metrics(_: &NoConfig) -> Result<Vec<Metric>> {
///         Ok(vec![Metric { higher_is_better: false, ..Metric::corpus("longest", "words of the longest answer") }])
///     }
/// }
///
/// impl Scorer for Brevity {
///     fn score(_: &Context<Self>, _: &Sample<Self>, _: &Solution, _: &Row) -> Result<Vec<Measurement>> {
///         Ok(vec![])
///     }
/// }
///
/// impl Aggregator for Brevity {
///     type Corpus = Lengths;
///
///     fn add(_: &Context<Self>, corpus: &mut Lengths, scored: Scored<Self>) -> Result<()> {
///         corpus.longest = corpus.longest.max(Some(scored.solution.text()?.split_whitespace().count()));
///         Ok(())
///     }
///
///     fn finish(_: &Context<Self>, corpus: Lengths) -> Result<Vec<Measurement>> {
///         Ok(vec![match corpus.longest {
///             Some(words) => Measurement::of("longest", words as f64),
///             None => Measurement::undefined("longest", "there is no answer"),
///         }])
///     }
/// }
///
/// export_scorer!(Brevity, aggregator);
///
/// // In a test:
/// use llm_bench_plugin_sdk::testing::{self, Case};
/// let answers = ["a b", "a b c", "a"].map(|answer| (Case::default(), Solution::answer(answer)));
/// assert_eq!(testing::aggregate::<Brevity>(&answers)?, [Measurement::of("longest", 3.0)]);
/// # Ok::<(), Error>(())
/// ```
pub trait Aggregator: Scorer {
    /// What is kept of the samples so far; it begins as its default. It has to fit into the memory of one sample, so
    /// keep sums and counts, not texts.
    type Corpus: Default + 'static;

    /// Takes one more sample, in the order of the split. Samples that failed do not come. For a standard error, corpora that
    /// are drawn from the samples are aggregated as well: in those one may come several times.
    ///
    /// # Errors
    /// Any; it ends the aggregation, and the benchmark has none of these metrics.
    fn add(context: &Context<Self>, corpus: &mut Self::Corpus, scored: Scored<Self>) -> Result<()>;

    /// The measurements of the corpus: exactly one for each [`Metric::corpus`] that the config yields. Where one is
    /// undefined, use [`Measurement::undefined`].
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    fn finish(context: &Context<Self>, corpus: Self::Corpus) -> Result<Vec<Measurement>>;
}

/// A sample with all that is known of it after scoring.
pub struct Scored<P: Plugin> {
    /// The sample as the solver saw it.
    pub sample: Sample<P>,
    /// What the solver gave.
    pub solution: Solution,
    /// The gold columns.
    pub target: P::Target,
    /// What the scorer gave.
    pub measurements: Vec<Measurement>,
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
    /// Files that it reads through [`data`](crate::data), such as `"words/en.txt"`. An administrator gives all of them.
    pub data_files: &'static [&'static str],
    /// Gold columns whose names are fixed. Columns that the config names are marked there instead.
    pub gold: &'static [&'static str],
}

/// A [`Description`] with the name, version and description of your crate, no parts, no data files and no fixed gold columns.
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
            data_files: &[],
            gold: &[],
        }
    };
}

/// What is the same for every sample of a benchmark.
pub struct Context<P: Plugin> {
    /// The benchmark's config.
    pub config: P::Config,
    /// Solved rows to show the model, in the order in which a prompt shows them; empty for zero-shot, and for an
    /// [`Aggregator`].
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
