//! Write tasks and scorers for LLM Bench Local.
//!
//! A **task** asks a language model and judges what came back; a **scorer** only judges. Both are WebAssembly
//! components that the host does not trust: they reach the models that a benchmark lends them and the [`data`] files that an
//! administrator gave them, and nothing else: no other file, no network, no clock. Asking and judging are apart: `solve` never sees the gold answer, `score` runs later
//! in an instance of its own.
//!
//! # A first task
//!
//! `Cargo.toml`:
//! ```toml
//! [package]
//! name = "arithmetic"
//! version = "0.1.0"
//! edition = "2024"
//! description = "Sums, answered in words or digits"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! llm-bench-plugin-sdk = { path = "plugin-sdk" }
//! ```
//!
//! `src/lib.rs`:
//! ```
//! use llm_bench_plugin_sdk::prelude::*;
//!
//! fn ask(model: &Model, row: &Row) -> Result<String> {
//!     let prompt = format!("Question: {}\nAnswer:", row.text("question")?);
//!     model.complete(prompt, Sampling::greedy(16).until(["\n"]))
//! }
//!
//! fn judge(answer: &str, gold: &Row) -> Result<bool> {
//!     Ok(answer.trim() == gold.text("answer")?)
//! }
//!
//! simple_task! { Arithmetic, gold: ["answer"], metric: "exact_match", solve: ask, score: judge }
//! ```
//!
//! `cargo build --target wasm32-wasip2 --release` makes the component.
//!
//! # With settings, few-shot examples and more metrics
//!
//! Implement [`Plugin`], [`Solver`] and [`Scorer`]:
//! ```
//! use llm_bench_plugin_sdk::prelude::*;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! struct Arithmetic;
//!
//! /// What a benchmark may set.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     /// The prompt.
//!     prompt: Template,
//!     /// The gold column.
//!     #[schemars(extend("x-gold" = true))]
//!     answer: String,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { prompt: Template::parse("{{ question }} =").expect("it parses"), answer: "answer".into() }
//!     }
//! }
//!
//! impl Plugin for Arithmetic {
//!     type Config = Config;
//!     type Input = Row;
//!     type Target = Row;
//!
//!     fn describe() -> Description {
//!         Description { parts: &["subject"], ..description!() }
//!     }
//!
//!     fn metrics(_: &Config) -> Result<Vec<Metric>> {
//!         Ok(vec![Metric::mean("exact_match", "share of answers that equal the gold answer")])
//!     }
//! }
//!
//! impl Solver for Arithmetic {
//!     fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
//!         let Config { prompt, answer } = &context.config;
//!         let mut few_shot = FewShot { question: prompt.render(&sample.input)?, ..FewShot::default() };
//!         for example in &context.examples {
//!             few_shot.solved.push((prompt.render(&example.input)?, example.target.text(answer)?.into()));
//!         }
//!         let model = Model::open("subject")?;
//!         Ok(Solution::answer(model.complete(few_shot.as_text(" "), Sampling::greedy(16).until(["\n"]))?))
//!     }
//! }
//!
//! impl Scorer for Arithmetic {
//!     fn score(
//!         context: &Context<Self>,
//!         _: &Sample<Self>,
//!         solution: &Solution,
//!         target: &Row,
//!     ) -> Result<Vec<Measurement>> {
//!         let right = solution.text()?.trim() == target.text(&context.config.answer)?;
//!         Ok(vec![Measurement::of("exact_match", right)])
//!     }
//! }
//!
//! export_task!(Arithmetic);
//! ```
//! These derives need `serde` (feature `derive`) and `schemars` among the dependencies.
//!
//! # A scorer alone
//!
//! It attaches to any benchmark. [`Plugin`] and [`Scorer`], then [`export_scorer!`]:
//! ```
//! use llm_bench_plugin_sdk::prelude::*;
//!
//! struct Brevity;
//!
//! impl Plugin for Brevity {
//!     type Config = NoConfig;
//!     type Input = Row;
//!     type Target = Row;
//!
//!     fn describe() -> Description {
//!         description!()
//!     }
//!
//!     fn metrics(_: &NoConfig) -> Result<Vec<Metric>> {
//!         Ok(vec![Metric { higher_is_better: false, ..Metric::mean("words", "words of the answer") }])
//!     }
//! }
//!
//! impl Scorer for Brevity {
//!     fn score(_: &Context<Self>, _: &Sample<Self>, solution: &Solution, _: &Row) -> Result<Vec<Measurement>> {
//!         Ok(vec![match &solution.answer {
//!             Some(answer) => Measurement::of("words", answer.split_whitespace().count() as f64),
//!             None => Measurement::undefined("words", "the solver gave no answer"),
//!         }])
//!     }
//! }
//!
//! export_scorer!(Brevity);
//! ```
//!
//! # Several turns, and a judge
//!
//! [`Dialogue`] keeps what was said, [`verdict`] reads what a judge says, [`Measurement::judged`] leaves a metric undefined
//! where that cannot be read:
//! ```
//! use llm_bench_plugin_sdk::prelude::*;
//! use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
//! use llm_bench_plugin_sdk::{Generation, GenerationRequest};
//! use serde_json::json;
//!
//! struct Advice;
//!
//! impl Plugin for Advice {
//!     type Config = NoConfig;
//!     type Input = Row;
//!     type Target = Row;
//!
//!     fn describe() -> Description {
//!         Description { parts: &["subject", "judge"], gold: &["answer"], ..description!() }
//!     }
//!
//!     fn metrics(_: &NoConfig) -> Result<Vec<Metric>> {
//!         Ok(vec![Metric::mean("agreed", "share of last answers that the judge takes for the gold answer")])
//!     }
//! }
//!
//! impl Solver for Advice {
//!     fn solve(_: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
//!         let model = Model::open("subject")?;
//!         let mut dialogue = Dialogue::plain(&model, Sampling::greedy(64));
//!         dialogue.ask(sample.input.text("question")?)?;
//!         dialogue.ask("Are you sure?")?;
//!         let last = dialogue.ask("Then answer in one word.")?;
//!         Solution::answer(last).with_detail(&dialogue.transcript())
//!     }
//! }
//!
//! impl Scorer for Advice {
//!     fn score(_: &Context<Self>, _: &Sample<Self>, solution: &Solution, gold: &Row) -> Result<Vec<Measurement>> {
//!         let talk: String = solution.detail_as()?;
//!         let prompt = format!("{talk}\n\nIs the last answer \"{}\"? Answer yes or no:", gold.text("answer")?);
//!         let answer = Model::open("judge")?.complete(prompt, Sampling::greedy(8))?;
//!         let verdict = verdict::one_of(&answer, &["yes", "no"]).map(|verdict| verdict == "yes");
//!         Ok(vec![Measurement::judged("agreed", verdict, &answer)])
//!     }
//! }
//!
//! export_task!(Advice);
//!
//! struct Says(&'static str);
//! impl ScriptedModel for Says {
//!     fn generate(&self, _: &GenerationRequest) -> Result<Generation> {
//!         Ok(testing::generation(self.0))
//!     }
//! }
//!
//! let case = Case { input: json!({"question": "2 + 2?"}), target: json!({"answer": "4"}), ..Case::default() };
//! let _subject = testing::bind("subject", Says("4"));
//! let solution = case.solve::<Advice>()?;
//! let judged = |says| {
//!     let _judge = testing::bind("judge", Says(says));
//!     case.score::<Advice>(&solution).map(|measurements| measurements[0].value)
//! };
//! assert_eq!(judged("Yes, it is.")?, Some(1.0));
//! assert_eq!(judged("Who knows?")?, None);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Metrics of all samples together
//!
//! Corpus BLEU is not the mean of its samples' scores. A plugin that has such metrics is an [`Aggregator`] as well, and
//! says so when it is exported: `export_task!(Translation, aggregator)`.

// The generated code and the macros name this crate as authors do.
extern crate self as llm_bench_plugin_sdk;

#[doc(hidden)]
#[allow(missing_docs, clippy::pedantic, reason = "generated")]
pub mod bindings;
mod conversion;
pub mod data;
mod dialogue;
mod error;
#[doc(hidden)]
pub mod export;
mod few_shot;
pub mod log;
mod metric;
mod model;
mod plugin;
mod prompting;
mod row;
mod schema;
mod simple;
mod solution;
#[cfg(feature = "template")]
mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;
pub mod verdict;

pub use dialogue::Dialogue;
pub use error::{Error, ErrorCode, Result};
pub use few_shot::FewShot;
pub use metric::{Aggregation, Measurement, Metric, Score};
pub use model::{
    Chat, FinishReason, Generation, GenerationRequest, LogLikelihood, Message, Model, Prompt, Role, Sampling,
    ScoringRequest,
};
pub use plugin::{
    Aggregator, Context, Description, Example, NoConfig, Plugin, Sample, Scored, Scorer, Solver,
};
#[cfg(feature = "template")]
pub use prompting::{PromptSettings, Prompted, Solved, TaskSettings};
pub use row::Row;
pub use solution::{Passage, Solution};
#[cfg(feature = "template")]
pub use template::Template;

/// What most plugins use: `use llm_bench_plugin_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{
        Aggregator, Context, Description, Dialogue, Error, FewShot, Measurement, Message, Metric, Model,
        NoConfig, Plugin, Result, Row, Sample, Sampling, Scored, Scorer, ScoringRequest, Solution, Solver,
        data, description, export_scorer, export_task, log, simple_task, text, verdict,
    };
    #[cfg(feature = "template")]
    pub use crate::{PromptSettings, Prompted, TaskSettings, Template};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
