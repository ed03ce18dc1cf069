//! Shows the model a question, asks how likely each choice is after it, and takes the likeliest.
//!
//! The definitions of accuracy are those of lm-evaluation-harness 0.4.13 (`output_type: multiple_choice`).

mod config;
mod gold;
mod ranking;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::{Chat, Prompt};
use serde::{Deserialize, Serialize};

pub use config::{Accuracy, Choices, Config};

/// The plugin.
pub struct MultipleChoice;

impl Plugin for MultipleChoice {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        config.check()?;
        Ok(config
            .metrics
            .iter()
            .map(|accuracy| Metric::mean(accuracy.name(), accuracy.description()))
            .collect())
    }
}

impl Solver for MultipleChoice {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let config = &context.config;
        let choices = config.choices_of(&sample.input)?;
        let few_shot = few_shot(context, &sample.input)?;
        let (prompt, delimiter) = if config.chat {
            // The chat template itself stands between question and answer.
            (Prompt::Chat(Chat { messages: few_shot.into_chat(), continue_final: false }), "")
        } else {
            (Prompt::Text(few_shot.as_text(&config.delimiter)), config.delimiter.as_str())
        };
        let likelihoods = Model::open("subject")?.log_likelihood(
            choices.iter().map(|choice| ScoringRequest::new(prompt.clone(), format!("{delimiter}{choice}"))),
        )?;
        if let Some(choice) = likelihoods.iter().position(|likelihood| likelihood.sum.is_nan()) {
            return Err(Error::model(format!("the log-likelihood of choice {choice} is not a number")));
        }
        let choice = ranking::first_maximum(likelihoods.iter().map(|likelihood| likelihood.sum));
        let detail = Detail {
            choice,
            log_likelihoods: likelihoods.iter().map(|likelihood| finite(likelihood.sum)).collect(),
            is_greedy: likelihoods.iter().map(|likelihood| likelihood.is_greedy).collect(),
            choices,
        };
        Solution::answer(&detail.choices[choice]).with_detail(&detail)
    }
}

impl Scorer for MultipleChoice {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let config = &context.config;
        let detail: Detail = solution.detail_as()?;
        let gold = gold::indices(config, &sample.input, target, &detail.choices)?;
        let sums: Vec<f64> =
            detail.log_likelihoods.iter().map(|sum| sum.unwrap_or(f64::NEG_INFINITY)).collect();
        let measure = |accuracy: &Accuracy| {
            let chosen = ranking::choose(*accuracy, &sums, &detail.choices);
            Measurement::of(accuracy.name(), gold.contains(&chosen))
        };
        Ok(config.metrics.iter().map(measure).collect())
    }
}

/// What the scorer needs of a solution, and a person who reads it.
#[derive(Debug, Serialize, Deserialize)]
struct Detail {
    /// Index of the likeliest choice.
    choice: usize,
    /// The choices as the model saw them, without delimiter.
    choices: Vec<String>,
    /// Summed log-likelihood of each; null is minus infinity, which JSON can't say.
    log_likelihoods: Vec<Option<f64>>,
    /// Whether the model would have written each choice by itself.
    is_greedy: Vec<bool>,
}

fn finite(sum: f64) -> Option<f64> {
    sum.is_finite().then_some(sum)
}

fn few_shot(context: &Context<MultipleChoice>, input: &Row) -> Result<FewShot> {
    let config = &context.config;
    let solved = context.examples.iter().map(|example| {
        let mut choices = config.choices_of(&example.input)?;
        let gold = gold::indices(config, &example.input, &example.target, &choices)?;
        Ok((config.prompt.render(&example.input)?, choices.swap_remove(gold[0])))
    });
    Ok(FewShot {
        description: config.description.render(input)?,
        solved: solved.collect::<Result<_>>()?,
        question: config.prompt.render(input)?,
    })
}

export_task!(MultipleChoice);

#[cfg(test)]
mod tests;
