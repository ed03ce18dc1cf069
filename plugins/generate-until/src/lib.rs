//! Shows the model a question, lets it write until a stop text, and compares what it wrote with the gold answers.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13 (`output_type: generate_until`) and of `SQuAD`.

mod config;
mod filter;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::{squad_exact_match, squad_f1, strip};
use llm_bench_plugin_sdk::{FinishReason, GenerationRequest, Prompt};
use serde_json::{Value, json};

pub use config::{Config, Judgement};
pub use filter::Filter;

/// The plugin.
pub struct GenerateUntil;

impl Plugin for GenerateUntil {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        config.check()?;
        let metric = |filter: Option<&Filter>, judgement: &Judgement| Metric {
            filter: filter.map(|filter| filter.name.clone()),
            ..Metric::mean(judgement.name(), judgement.description())
        };
        Ok(config
            .readings()
            .flat_map(|filter| config.metrics.iter().map(move |kind| metric(filter, kind)))
            .collect())
    }
}

impl Solver for GenerateUntil {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let config = &context.config;
        let few_shot = few_shot(context, &sample.input)?;
        let prompt: Prompt = if config.chat {
            few_shot.into_chat().into()
        } else {
            few_shot.as_text(&config.delimiter).into()
        };
        let sampling = Sampling {
            max_tokens: Some(config.max_tokens),
            temperature: Some(config.temperature),
            // Each repeat of a sample draws anew.
            seed: config.seed.map(|seed| seed.wrapping_add(u64::from(sample.repeat))),
            ..Sampling::default()
        }
        .until(&config.until);
        let generations = Model::open("subject")?.generate([GenerationRequest { prompt, sampling }])?;
        let [generation] = &generations[..] else {
            return Err(Error::model(format!("{} answers to one request", generations.len())));
        };
        if generation.finish_reason == FinishReason::Cancelled {
            return Err(Error::model("the generation was cancelled"));
        }
        Solution::answer(&generation.text).with_detail(&json!({
            "cut_off": generation.finish_reason == FinishReason::Length,
            "prompt_tokens": generation.prompt_tokens,
            "completion_tokens": generation.completion_tokens,
        }))
    }
}

impl Scorer for GenerateUntil {
    fn score(
        context: &Context<Self>,
        _sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let config = &context.config;
        let targets = targets(config, target)?;
        let targets = || targets.iter().map(String::as_str);
        let exact_match = config.exact_match();
        let mut measurements = Vec::new();
        for filter in config.readings() {
            let answer =
                filter.map_or(solution.text()?, |filter| filter.read(solution.text().unwrap_or_default()));
            let answer = if config.strip { strip(answer) } else { answer };
            for judgement in &config.metrics {
                let measurement = match judgement {
                    Judgement::ExactMatch => {
                        Measurement::of("exact_match", exact_match.matches(answer, targets()))
                    }
                    Judgement::Em => Measurement::of("em", squad_exact_match(answer, targets())),
                    Judgement::F1 => Measurement::of("f1", squad_f1(answer, targets())),
                };
                measurements
                    .push(Measurement { filter: filter.map(|filter| filter.name.clone()), ..measurement });
            }
        }
        Ok(measurements)
    }
}

fn few_shot(context: &Context<GenerateUntil>, input: &Row) -> Result<FewShot> {
    let config = &context.config;
    let solved = context.examples.iter().map(|example| {
        let answer = targets(config, &example.target)?.swap_remove(0);
        Ok((config.prompt.render(&example.input)?, answer))
    });
    Ok(FewShot {
        description: config.description.render(input)?,
        solved: solved.collect::<Result<_>>()?,
        question: config.prompt.render(input)?,
    })
}

/// The right answers: at least one.
fn targets(config: &Config, target: &Row) -> Result<Vec<String>> {
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

export_task!(GenerateUntil);

#[cfg(test)]
mod tests;
