//! How likely a model finds the text that should follow. No column is gold: the text itself is what is scored.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13 (`output_type: loglikelihood`).

use llm_bench_plugin_sdk::Aggregation;
use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The plugin.
pub struct LogLikelihood;

/// What a benchmark may set. The defaults ask for the last word of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The text that should follow the prompt, with the space before it: a template. Of few-shot examples it stands
    /// behind the delimiter.
    pub target: Template,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: template("{{ ' ' ~ text.split(' ')[-1] }}") }
    }
}

impl TaskSettings for Settings {
    fn prompt() -> PromptSettings {
        let prompt = template("{{ text.split(' ')[:-1] | join(' ') }}");
        PromptSettings { prompt, ..PromptSettings::default() }
    }
}

fn template(source: &str) -> Template {
    Template::parse(source).expect("the defaults parse")
}

/// What the scorer needs of a solution.
#[derive(Debug, Serialize, Deserialize)]
struct Detail {
    /// Natural log, summed over the target's tokens.
    log_likelihood: f64,
    /// Whether the model would have written the target by itself.
    is_greedy: bool,
    /// The target's tokens.
    tokens: u32,
}

impl Plugin for LogLikelihood {
    type Config = Prompted<Settings>;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(_config: &Self::Config) -> Result<Vec<Metric>> {
        Ok(vec![
            Metric::mean("acc", "share of texts that the model would have written by itself"),
            Metric {
                aggregation: Aggregation::Perplexity,
                higher_is_better: false,
                ..Metric::mean("perplexity", "exp(-mean log-likelihood of the whole text)")
            },
        ])
    }
}

impl Solver for LogLikelihood {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let Prompted { prompt, task } = &context.config;
        let examples = PromptSettings::solve_all(&context.examples, |input, _| {
            prompt.solved(input, task.target.render(input)?)
        })?;
        let asked = prompt.ask(&sample.input, &examples)?;
        let target = task.target.render(&sample.input)?;
        if target.is_empty() {
            return Err(Error::invalid_sample(
                "template `target`: gives an empty text, which has no likelihood",
            ));
        }
        let request = ScoringRequest { extra: prompt.extra(), ..ScoringRequest::new(asked, &target) };
        let likelihoods = Model::open("subject")?.log_likelihood([request])?;
        let [likelihood] = &likelihoods[..] else {
            return Err(Error::model(format!("{} answers to one text", likelihoods.len())));
        };
        if !likelihood.sum.is_finite() {
            return Err(Error::model(format!("the log-likelihood of the text is {}", likelihood.sum)));
        }
        Solution::default().with_detail(&Detail {
            log_likelihood: likelihood.sum,
            is_greedy: likelihood.is_greedy,
            tokens: likelihood.tokens,
        })
    }
}

impl Scorer for LogLikelihood {
    fn score(
        _context: &Context<Self>,
        _sample: &Sample<Self>,
        solution: &Solution,
        _target: &Row,
    ) -> Result<Vec<Measurement>> {
        let Detail { log_likelihood, is_greedy, .. } = solution.detail_as()?;
        Ok(vec![Measurement::of("acc", is_greedy), Measurement::of("perplexity", log_likelihood)])
    }
}

export_task!(LogLikelihood);

#[cfg(test)]
mod tests;
