//! From a plugin's traits to the exports of a component.

use serde_json::to_string;

use crate::bindings::{plugin, scorer, solver, types};
use crate::error::parse_json;
use crate::schema::config_schema;
use crate::{Context, ErrorCode, Example, Plugin, Result, Sample, Scorer, Solver};

/// Makes a component of world `task` of a type that is a [`Plugin`], a [`Solver`] and a [`Scorer`].
/// Once in a crate, whose type is `cdylib`. Natively it checks the traits and exports nothing.
#[macro_export]
macro_rules! export_task {
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

/// Makes a component of world `scoring` of a type that is a [`Plugin`] and a [`Scorer`].
/// Once in a crate, whose type is `cdylib`. Natively it checks the traits and exports nothing.
#[macro_export]
macro_rules! export_scorer {
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
