//! From a plugin's traits to the exports of a component.

use std::cell::RefCell;

use serde_json::to_string;

use crate::bindings::{aggregator, plugin, scorer, solver, types};
use crate::error::parse_json;
use crate::schema::config_schema;
use crate::{Aggregator, Context, Error, ErrorCode, Example, Plugin, Result, Sample, Scored, Scorer, Solver};

/// Makes a component of world `task` of a type that is a [`Plugin`], a [`Solver`] and a [`Scorer`]; with
/// `export_task!(MyTask, aggregator)` one of world `corpus-task`, of a type that is an [`Aggregator`] as well.
/// Once in a crate, whose type is `cdylib`. Natively it checks the traits and exports nothing.
#[macro_export]
macro_rules! export_task {
    ($plugin:ty, aggregator) => {
        $crate::export_task!($plugin);
        $crate::export_aggregator!($plugin);
    };
    ($plugin:ty) => {
        $crate::export_scorer!($plugin);
        const _: () = {
            #[allow(dead_code)]
            type Exported = $crate::export::Exported<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::solving::export_solving_world!(Exported with_types_in $crate::bindings::solving);
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() = $crate::export::solves::<$plugin>;
        };
    };
}

/// What a component with corpus metrics exports besides.
#[doc(hidden)]
#[macro_export]
macro_rules! export_aggregator {
    ($plugin:ty) => {
        const _: () = {
            #[allow(dead_code)]
            type Exported = $crate::export::Exported<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::aggregating::export_aggregating_world!(
                Exported with_types_in $crate::bindings::aggregating
            );
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() = $crate::export::aggregates::<$plugin>;
        };
    };
}

/// Makes a component of world `scoring` of a type that is a [`Plugin`] and a [`Scorer`]; with
/// `export_scorer!(MyScorer, aggregator)` one of world `corpus-scoring`, of a type that is an [`Aggregator`] as well.
/// Once in a crate, whose type is `cdylib`. Natively it checks the traits and exports nothing.
#[macro_export]
macro_rules! export_scorer {
    ($plugin:ty, aggregator) => {
        $crate::export_scorer!($plugin);
        $crate::export_aggregator!($plugin);
    };
    ($plugin:ty) => {
        const _: () = {
            #[allow(dead_code)]
            type Exported = $crate::export::Exported<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::scoring::export_scoring_world!(Exported with_types_in $crate::bindings::scoring);
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() = $crate::export::scores::<$plugin>;
        };
    };
}

/// What the macros export in a plugin's name.
pub struct Exported<P>(P);

/// Compiles where a plugin solves.
pub fn solves<P: Solver>() {}

/// Compiles where a plugin scores.
pub fn scores<P: Scorer>() {}

/// Compiles where a plugin aggregates.
pub fn aggregates<P: Aggregator>() {}

impl<P: Plugin> plugin::Guest for Exported<P> {
    fn describe() -> types::Descriptor {
        let description = P::describe();
        types::Descriptor {
            name: description.name.into(),
            version: description.version.into(),
            description: description.description.into(),
            config_schema: config_schema::<P::Config>(description.gold).to_string(),
            example_config: to_string(&P::Config::default()).expect("a config is a JSON object"),
            parts: description.parts.iter().map(ToString::to_string).collect(),
            data_files: description.data_files.iter().map(ToString::to_string).collect(),
        }
    }

    fn metrics(config: String) -> Result<Vec<types::Metric>, types::Error> {
        let metrics = P::metrics(&parse_config::<P>(&config)?)?;
        Ok(metrics.into_iter().map(Into::into).collect())
    }
}

impl<P: Solver> solver::Guest for Exported<P> {
    fn solve(context: types::Context, sample: types::Sample) -> Result<types::Solution, types::Error> {
        Ok(P::solve(&parse_context(context)?, &parse_sample(sample)?)?.into())
    }
}

impl<P: Scorer> scorer::Guest for Exported<P> {
    fn score(
        context: types::Context,
        sample: types::Sample,
        solution: types::Solution,
        target: String,
    ) -> Result<Vec<types::Measurement>, types::Error> {
        let target = parse_json(ErrorCode::InvalidSample, "gold columns", &target)?;
        let measurements =
            P::score(&parse_context(context)?, &parse_sample(sample)?, &solution.try_into()?, &target)?;
        Ok(measurements.into_iter().map(Into::into).collect())
    }
}

impl<P: Aggregator> aggregator::Guest for Exported<P> {
    type Aggregation = Gathering<P>;
}

/// A corpus while it is gathered.
pub struct Gathering<P: Aggregator> {
    context: Result<Context<P>>,
    /// None once it is finished.
    corpus: RefCell<Option<P::Corpus>>,
}

impl<P: Aggregator> Gathering<P> {
    fn context(&self) -> Result<&Context<P>> {
        self.context.as_ref().map_err(Error::clone)
    }
}

impl<P: Aggregator> aggregator::GuestAggregation for Gathering<P> {
    fn new(context: types::Context) -> Self {
        Self { context: parse_context(context), corpus: RefCell::new(Some(P::Corpus::default())) }
    }

    fn add(&self, batch: Vec<aggregator::Scored>) -> Result<(), types::Error> {
        let context = self.context()?;
        let mut corpus = self.corpus.borrow_mut();
        let corpus = corpus.as_mut().ok_or_else(finished)?;
        for scored in batch {
            P::add(context, corpus, parse_scored(scored)?)?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<Vec<types::Measurement>, types::Error> {
        let context = self.context()?;
        let corpus = self.corpus.borrow_mut().take().ok_or_else(finished)?;
        Ok(P::finish(context, corpus)?.into_iter().map(Into::into).collect())
    }
}

fn finished() -> Error {
    Error::other("the aggregation is finished")
}

fn parse_scored<P: Plugin>(scored: aggregator::Scored) -> Result<Scored<P>> {
    let aggregator::Scored { sample, solution, target, measurements } = scored;
    Ok(Scored {
        sample: parse_sample(sample)?,
        solution: solution.try_into()?,
        target: parse_json(ErrorCode::InvalidSample, "gold columns", &target)?,
        measurements: measurements.into_iter().map(Into::into).collect(),
    })
}

fn parse_config<P: Plugin>(config: &str) -> Result<P::Config> {
    parse_json(ErrorCode::InvalidConfig, "config", config)
}

fn parse_context<P: Plugin>(context: types::Context) -> Result<Context<P>> {
    let examples = context.examples.iter().enumerate().map(|(index, example)| {
        Ok(Example {
            input: parse_json(
                ErrorCode::InvalidSample,
                &format!("few-shot example {index}"),
                &example.input,
            )?,
            target: parse_json(
                ErrorCode::InvalidSample,
                &format!("gold columns of few-shot example {index}"),
                &example.target,
            )?,
        })
    });
    Ok(Context {
        config: parse_config::<P>(&context.config)?,
        examples: examples.collect::<Result<_>>()?,
        seed: context.seed,
    })
}

fn parse_sample<P: Plugin>(sample: types::Sample) -> Result<Sample<P>> {
    let input = parse_json(ErrorCode::InvalidSample, "row", &sample.input)?;
    Ok(Sample { id: sample.id, input, repeat: sample.repeat })
}
