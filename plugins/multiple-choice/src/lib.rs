//! Shows the model a question, asks how likely each choice is after it, and takes the likeliest.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13 (`output_type: multiple_choice`).

mod accuracy;
mod config;
mod gold;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::{LogLikelihood, Solved};
use serde::{Deserialize, Serialize};

pub use accuracy::Accuracy;
pub use config::{AnswerKind, Choices, Labels, Settings};

/// The plugin.
pub struct MultipleChoice;

impl Plugin for MultipleChoice {
    type Config = Prompted<Settings>;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(config: &Self::Config) -> Result<Vec<Metric>> {
        config.task.check()?;
        let metrics = config.task.metrics.iter();
        Ok(metrics.map(|accuracy| Metric::mean(accuracy.name(), accuracy.description())).collect())
    }
}

impl Solver for MultipleChoice {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let Prompted { prompt, task } = &context.config;
        let choices = task.choices_of(&sample.input)?;
        let solved = solved(context)?;
        let delimiter = prompt.answer_delimiter();
        let mut requests = match &task.continuation {
            None => {
                let asked = prompt.ask(&sample.input, &solved)?;
                let request = |choice| ScoringRequest::new(asked.clone(), format!("{delimiter}{choice}"));
                choices.iter().map(request).collect::<Vec<_>>()
            }
            Some(continuation) => {
                let scored = format!("{delimiter}{}", continuation.render(&sample.input)?);
                let request = |choice: &String| {
                    let asked = prompt.ask(&config::with_choice(&sample.input, choice), &solved)?;
                    Ok(ScoringRequest::new(asked, scored.clone()))
                };
                choices.iter().map(request).collect::<Result<_>>()?
            }
        };
        if task.metrics.contains(&Accuracy::AccMutualInfo) {
            requests
                .extend(choices.iter().map(|choice| ScoringRequest::new("", format!("{delimiter}{choice}"))));
        }
        for request in &mut requests {
            request.extra = prompt.extra();
        }
        let mut likelihoods = Model::open("subject")?.log_likelihood(requests)?;
        if let Some(place) = likelihoods.iter().position(|likelihood| likelihood.sum.is_nan()) {
            let choice = place % choices.len();
            return Err(Error::model(format!("the log-likelihood of choice {choice} is not a number")));
        }
        let without_question = likelihoods.split_off(choices.len());
        let detail = Detail {
            choice: accuracy::first_maximum(likelihoods.iter().map(|likelihood| likelihood.sum)),
            log_likelihoods: finite_sums(&likelihoods),
            is_greedy: likelihoods.iter().map(|likelihood| likelihood.is_greedy).collect(),
            without_question: finite_sums(&without_question),
            choices,
        };
        Solution::answer(&detail.choices[detail.choice]).with_detail(&detail)
    }
}

impl Scorer for MultipleChoice {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let task = &context.config.task;
        let detail: Detail = solution.detail_as()?;
        let gold = gold::indices(task, &sample.input, target, &detail.choices)?;
        let measure =
            |accuracy: &Accuracy| Measurement::of(accuracy.name(), accuracy.is_right(&detail, &gold));
        Ok(task.metrics.iter().map(measure).collect())
    }
}

/// What the scorer needs of a solution, and a person who reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// Index of the likeliest choice.
    choice: usize,
    /// The choices as the model saw them, without delimiter.
    choices: Vec<String>,
    /// Summed log-likelihood of each; null is minus infinity, which JSON can't say.
    log_likelihoods: Vec<Option<f64>>,
    /// Whether the model would have written each choice by itself.
    is_greedy: Vec<bool>,
    /// Summed log-likelihood of each with no question before it, where a metric needs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    without_question: Vec<Option<f64>>,
}

impl Detail {
    fn sums(&self) -> impl Iterator<Item = f64> {
        self.log_likelihoods.iter().map(|sum| sum.unwrap_or(f64::NEG_INFINITY))
    }

    fn sums_without_question(&self) -> impl Iterator<Item = f64> {
        self.without_question.iter().map(|sum| sum.unwrap_or(f64::NEG_INFINITY))
    }
}

fn finite_sums(likelihoods: &[LogLikelihood]) -> Vec<Option<f64>> {
    likelihoods.iter().map(|likelihood| Some(likelihood.sum).filter(|sum| sum.is_finite())).collect()
}

/// The examples, each with its first right choice.
fn solved(context: &Context<MultipleChoice>) -> Result<Vec<Solved>> {
    let Prompted { prompt, task } = &context.config;
    let solve = |input: &Row, target: &Row| {
        let mut choices = task.choices_of(input)?;
        let gold = gold::indices(task, input, target, &choices)?;
        let right = choices.swap_remove(gold[0]);
        match &task.continuation {
            None => prompt.solved(input, right),
            Some(continuation) => {
                prompt.solved(&config::with_choice(input, &right), continuation.render(input)?)
            }
        }
    };
    PromptSettings::solve_all(&context.examples, solve)
}

export_task!(MultipleChoice);

#[cfg(test)]
mod tests;
