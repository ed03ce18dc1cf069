//! Shows the model a question, lets it write until a stop text, and compares what it wrote with the gold answers.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13 (`output_type: generate_until`) and of `SQuAD`.

mod config;
mod corpus;
mod filter;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::{contains, squad_exact_match, squad_f1, strip};
use llm_bench_plugin_sdk::{FinishReason, GenerationRequest};
use serde_json::{Value, json};

pub use config::{CutOff, Judgement, Settings};
pub use filter::Filter;

/// The plugin.
pub struct GenerateUntil;

impl Plugin for GenerateUntil {
    type Config = Prompted<Settings>;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(config: &Self::Config) -> Result<Vec<Metric>> {
        let config = &config.task;
        config.check()?;
        let metric = |filter: Option<&Filter>, judgement: &Judgement| {
            let new = if judgement.is_of_corpus() { Metric::corpus } else { Metric::mean };
            Metric {
                filter: filter.map(|filter| filter.name.clone()),
                ..new(judgement.name(), judgement.description())
            }
        };
        Ok(config
            .readings()
            .flat_map(|filter| config.metrics.iter().map(move |kind| metric(filter, kind)))
            .collect())
    }
}

impl Solver for GenerateUntil {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let Prompted { prompt, task: config } = &context.config;
        let examples = PromptSettings::solve_all(&context.examples, |input, target| {
            prompt.solved(input, targets(config, input, target)?.swap_remove(0))
        })?;
        let asked = prompt.ask(&sample.input, &examples)?;
        let sampling = Sampling {
            max_tokens: Some(config.max_tokens),
            temperature: Some(config.temperature),
            // Each repeat of a sample draws anew.
            seed: config.seed.map(|seed| seed.wrapping_add(u64::from(sample.repeat))),
            extra: prompt.extra(),
            ..Sampling::default()
        }
        .until(&config.until);
        let generations =
            Model::open("subject")?.generate([GenerationRequest { prompt: asked, sampling }])?;
        let [generation] = &generations[..] else {
            return Err(Error::model(format!("{} answers to one request", generations.len())));
        };
        if generation.finish_reason == FinishReason::Cancelled {
            return Err(Error::model("the generation was cancelled"));
        }
        let is_cut_off = generation.finish_reason == FinishReason::Length;
        if is_cut_off && config.cut_off == CutOff::Fail {
            return Err(Error::model(format!(
                "the answer did not end within {} tokens: raise `max_tokens`, or let `cut_off` be \"judge\"",
                config.max_tokens
            )));
        }
        Solution::answer(&generation.text).with_detail(&json!({
            "cut_off": is_cut_off,
            "prompt_tokens": generation.prompt_tokens,
            "completion_tokens": generation.completion_tokens,
        }))
    }
}

impl Scorer for GenerateUntil {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let config = &context.config.task;
        let targets = targets(config, &sample.input, target)?;
        let targets = || targets.iter().map(String::as_str);
        let exact_match = config.exact_match();
        let mut measurements = Vec::new();
        for filter in config.readings() {
            let answer = read(config, filter, solution)?;
            for judgement in &config.metrics {
                let name = judgement.name();
                let measurement = match judgement {
                    Judgement::ExactMatch => Measurement::of(name, exact_match.matches(answer, targets())),
                    Judgement::Em => Measurement::of(name, squad_exact_match(answer, targets())),
                    Judgement::F1 => Measurement::of(name, squad_f1(answer, targets())),
                    Judgement::Contains => Measurement::of(name, contains(answer, targets())),
                    other => match other.rouge() {
                        Some(rouge) => Measurement::of(name, rouge.score(answer, targets()).f1),
                        // Of all answers together.
                        None => continue,
                    },
                };
                measurements
                    .push(Measurement { filter: filter.map(|filter| filter.name.clone()), ..measurement });
            }
        }
        Ok(measurements)
    }
}

/// The answer as a filter reads it; as it is without one.
fn read<'s>(config: &'s Settings, filter: Option<&'s Filter>, solution: &'s Solution) -> Result<&'s str> {
    let answer = solution.text()?;
    let answer = filter.map_or(answer, |filter| filter.read(answer));
    Ok(if config.strip { strip(answer) } else { answer })
}

/// The right answers: at least one.
fn targets(config: &Settings, input: &Row, target: &Row) -> Result<Vec<String>> {
    if let Some(template) = &config.target {
        let mut row = input.clone();
        row.0.extend(target.0.clone());
        return Ok(vec![template.render(&row)?]);
    }
    let path = match &config.answer_entry {
        Some(entry) => &format!("{}.{entry}", config.answer),
        None => &config.answer,
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Error::invalid_sample(format!(
            "column `{path}`: expected text or a list of texts, found {other}"
        ))),
    };
    let value = target.value(path)?;
    let texts = match value {
        Value::Array(list) => list.iter().map(text).collect::<Result<Vec<_>>>()?,
        single => vec![text(single)?],
    };
    if texts.is_empty() {
        return Err(Error::invalid_sample(format!("column `{path}`: no right answer")));
    }
    Ok(texts)
}

export_task!(GenerateUntil, aggregator);

#[cfg(test)]
mod tests;
