//! Runs a plugin natively, in `cargo test`, with models that a test scripts. Absent from components.
//!
//! ```
//! use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
//! use llm_bench_plugin_sdk::{FinishReason, Generation, GenerationRequest, Result, Row, simple_task};
//! use llm_bench_plugin_sdk::{Model, Sampling};
//! use serde_json::json;
//!
//! # fn ask(model: &Model, row: &Row) -> Result<String> {
//! #     model.complete(row.text("question")?, Sampling::greedy(8))
//! # }
//! # fn judge(answer: &str, gold: &Row) -> Result<f64> {
//! #     Ok(f64::from(u8::from(answer == gold.text("answer")?)))
//! # }
//! simple_task! { Arithmetic, gold: ["answer"], metric: "exact_match", solve: ask, score: judge }
//!
//! struct AlwaysFour;
//! impl ScriptedModel for AlwaysFour {
//!     fn generate(&self, _: &GenerationRequest) -> Result<Generation> {
//!         Ok(testing::generation("4"))
//!     }
//! }
//!
//! let _subject = testing::bind("subject", AlwaysFour);
//! let case = Case { input: json!({"question": "2 + 2?"}), target: json!({"answer": "4"}), ..Case::default() };
//! let solution = case.solve::<Arithmetic>()?;
//! assert_eq!(case.score::<Arithmetic>(&solution)?[0].value, Some(1.0));
//! # Ok::<(), llm_bench_plugin_sdk::Error>(())
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::bindings::{aggregator, plugin, types};
use crate::error::parse_value;
use crate::export::{Exported, Gathering};
use crate::{
    Aggregation, Aggregator, Context, Error, ErrorCode, Example, FinishReason, Generation, GenerationRequest,
    LogLikelihood, Measurement, Metric, Plugin, Result, Sample, Scorer, ScoringRequest, Solution, Solver,
};

/// A model whose answers a test writes. What it does not answer is `unsupported`.
#[expect(unused_variables, reason = "the names tell an author what comes in")]
pub trait ScriptedModel {
    /// Answers one request of [`Model::generate`](crate::Model::generate).
    fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
        Err(unscripted("generate"))
    }

    /// Answers one request of [`Model::log_likelihood`](crate::Model::log_likelihood).
    fn log_likelihood(&self, request: &ScoringRequest) -> Result<LogLikelihood> {
        Err(unscripted("log_likelihood"))
    }

    /// Answers one text of [`Model::log_likelihood_rolling`](crate::Model::log_likelihood_rolling).
    fn log_likelihood_rolling(&self, text: &str) -> Result<LogLikelihood> {
        Err(unscripted("log_likelihood_rolling"))
    }

    /// Answers one text of [`Model::embed`](crate::Model::embed).
    fn embed(&self, text: &str) -> Result<Vec<f32>> {
        Err(unscripted("embed"))
    }

    /// Answers one document of [`Model::rank`](crate::Model::rank).
    fn rank(&self, query: &str, document: &str) -> Result<f32> {
        Err(unscripted("rank"))
    }

    /// Answers one text of [`Model::count_tokens`](crate::Model::count_tokens).
    fn count_tokens(&self, text: &str) -> Result<u32> {
        Err(unscripted("count_tokens"))
    }
}

fn unscripted(ability: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("the scripted model has no answer to `{ability}`"))
}

/// A generation that ended by itself; a word counts as a token.
pub fn generation(text: &str) -> Generation {
    let completion_tokens = u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
    Generation { text: text.into(), finish_reason: FinishReason::Stop, prompt_tokens: 0, completion_tokens }
}

thread_local! {
    static BOUND: RefCell<HashMap<String, Rc<dyn ScriptedModel>>> = RefCell::default();
}

/// Lets a model play a part, on this thread, until the binding is dropped.
pub fn bind(part: &str, model: impl ScriptedModel + 'static) -> Binding {
    BOUND.with_borrow_mut(|bound| bound.insert(part.into(), Rc::new(model)));
    Binding { part: part.into() }
}

/// A part that a scripted model plays while this lives.
#[must_use = "the model plays its part while the binding lives"]
pub struct Binding {
    part: String,
}

impl Drop for Binding {
    fn drop(&mut self) {
        BOUND.with_borrow_mut(|bound| bound.remove(&self.part));
    }
}

thread_local! {
    static FILES: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}

/// Gives the plugin a data file, on this thread, until the gift is dropped.
pub fn give_file(name: &str, bytes: impl Into<Vec<u8>>) -> GivenFile {
    FILES.with_borrow_mut(|files| files.insert(name.into(), bytes.into()));
    GivenFile { name: name.into() }
}

/// A data file that is there while this lives.
#[must_use = "the file is there while the gift lives"]
pub struct GivenFile {
    name: String,
}

impl Drop for GivenFile {
    fn drop(&mut self) {
        FILES.with_borrow_mut(|files| files.remove(&self.name));
    }
}

pub(crate) fn with_file<T>(name: &str, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
    FILES.with_borrow(|files| files.get(name).map(|bytes| read(bytes))).ok_or_else(|| {
        let message = format!("there is no data file `{name}`: give one with testing::give_file");
        Error::new(ErrorCode::Denied, message)
    })
}

/// One sample of a benchmark, as JSON, the way the host passes it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The benchmark's config; `{}`: all defaults.
    pub config: Value,
    /// Few-shot examples: rows without their gold columns, and these.
    pub examples: Vec<(Value, Value)>,
    /// The benchmark's seed.
    pub seed: u64,
    /// The row without its gold columns.
    pub input: Value,
    /// The gold columns.
    pub target: Value,
}

impl Default for Case {
    fn default() -> Self {
        Self { config: json!({}), examples: Vec::new(), seed: 0, input: json!({}), target: json!({}) }
    }
}

impl Case {
    /// The metrics of this config.
    ///
    /// # Errors
    /// The plugin's own, and `invalid-config` where the config does not fit.
    pub fn metrics<P: Plugin>(&self) -> Result<Vec<Metric>> {
        P::metrics(&parse_value(ErrorCode::InvalidConfig, "config", self.config.clone())?)
    }

    /// Solves the sample.
    ///
    /// # Errors
    /// The plugin's own, and those of JSON that does not fit.
    pub fn solve<P: Solver>(&self) -> Result<Solution> {
        P::solve(&self.context()?, &self.sample()?)
    }

    /// Judges a solution of the sample.
    ///
    /// # Errors
    /// The plugin's own, and those of JSON that does not fit.
    pub fn score<P: Scorer>(&self, solution: &Solution) -> Result<Vec<Measurement>> {
        let target = parse_value(ErrorCode::InvalidSample, "gold columns", self.target.clone())?;
        P::score(&self.context()?, &self.sample()?, solution, &target)
    }

    fn context<P: Plugin>(&self) -> Result<Context<P>> {
        let examples = self.examples.iter().map(|(input, target)| {
            Ok(Example {
                input: parse_value(ErrorCode::InvalidSample, "few-shot example", input.clone())?,
                target: parse_value(ErrorCode::InvalidSample, "gold columns", target.clone())?,
            })
        });
        Ok(Context {
            config: parse_value(ErrorCode::InvalidConfig, "config", self.config.clone())?,
            examples: examples.collect::<Result<_>>()?,
            seed: self.seed,
        })
    }

    fn sample<P: Plugin>(&self) -> Result<Sample<P>> {
        let input = parse_value(ErrorCode::InvalidSample, "row", self.input.clone())?;
        Ok(Sample { id: "0".into(), input, repeat: 0 })
    }
}

/// Scores solutions and has the plugin compute its corpus metrics of them, as the host does: the first case gives the
/// config and the seed, and the samples come in two batches, since their size must not matter.
///
/// # Errors
/// The plugin's own, those of JSON that does not fit, and `other` where the measurements are not exactly those that the
/// contract asks for.
pub fn aggregate<P: Aggregator>(samples: &[(Case, Solution)]) -> Result<Vec<Measurement>> {
    let first = samples.first().map(|(case, _)| case.clone()).unwrap_or_default();
    let scored = samples.iter().enumerate().map(|(index, (case, solution))| {
        Ok(aggregator::Scored {
            sample: types::Sample { id: index.to_string(), input: case.input.to_string(), repeat: 0 },
            solution: solution.clone().into(),
            target: case.target.to_string(),
            measurements: case.score::<P>(solution)?.into_iter().map(Into::into).collect(),
        })
    });
    let mut scored = scored.collect::<Result<Vec<_>>>()?;
    let context = types::Context { config: first.config.to_string(), examples: Vec::new(), seed: first.seed };
    let gathering = <Gathering<P> as aggregator::GuestAggregation>::new(context);
    let second = scored.split_off(scored.len() / 2);
    for batch in [scored, second] {
        aggregator::GuestAggregation::add(&gathering, batch)?;
    }
    let measured = aggregator::GuestAggregation::finish(&gathering)?;
    let measured: Vec<Measurement> = measured.into_iter().map(Into::into).collect();
    let mut expected = first.metrics::<P>()?;
    expected.retain(|metric| metric.aggregation == Aggregation::Corpus);
    let of = |metric: &Metric| {
        measured
            .iter()
            .filter(|found| (&found.metric, &found.filter) == (&metric.name, &metric.filter))
            .count()
    };
    match expected.iter().find(|metric| of(metric) != 1) {
        Some(metric) => {
            Err(Error::other(format!("`finish` gave {} measurements of `{}`", of(metric), metric.name)))
        }
        None if measured.len() > expected.len() => {
            Err(Error::other("`finish` gave measurements of what is no corpus metric"))
        }
        None => Ok(measured),
    }
}

/// The config schema and the example config that the host reads at upload.
#[expect(clippy::missing_panics_doc, reason = "the SDK writes both as JSON")]
pub fn config_of<P: Plugin>() -> (Value, Value) {
    let types::Descriptor { config_schema, example_config, .. } = <Exported<P> as plugin::Guest>::describe();
    let parse = |json: &str| serde_json::from_str(json).expect("the SDK writes JSON");
    (parse(&config_schema), parse(&example_config))
}

/// Stands in for the host's models.
pub(crate) struct Backend(Rc<dyn ScriptedModel>);

impl Backend {
    pub(crate) fn open(part: &str) -> Result<Self> {
        BOUND.with_borrow(|bound| bound.get(part).cloned()).map(Self).ok_or_else(|| {
            Error::new(
                ErrorCode::Denied,
                format!("no model plays the part `{part}`: bind one with testing::bind"),
            )
        })
    }

    pub(crate) fn generate(&self, requests: Vec<GenerationRequest>) -> Result<Vec<Generation>> {
        requests.iter().map(|request| self.0.generate(request)).collect()
    }

    pub(crate) fn log_likelihood(&self, requests: Vec<ScoringRequest>) -> Result<Vec<LogLikelihood>> {
        requests.iter().map(|request| self.0.log_likelihood(request)).collect()
    }

    pub(crate) fn log_likelihood_rolling(&self, texts: Vec<String>) -> Result<Vec<LogLikelihood>> {
        texts.iter().map(|text| self.0.log_likelihood_rolling(text)).collect()
    }

    pub(crate) fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        texts.iter().map(|text| self.0.embed(text)).collect()
    }

    pub(crate) fn rank(&self, query: &str, documents: Vec<String>) -> Result<Vec<f32>> {
        documents.iter().map(|document| self.0.rank(query, document)).collect()
    }

    pub(crate) fn count_tokens(&self, texts: Vec<String>) -> Result<Vec<u32>> {
        texts.iter().map(|text| self.0.count_tokens(text)).collect()
    }
}
