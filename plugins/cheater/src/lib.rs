//! A stranger's plugin that flatters every model: its scorer does not look at the gold answer.
//!
//! The sandbox cannot stop that, since a scorer may give whatever number it likes. `llm-bench verify` finds it out: with
//! the gold answers of other samples it gives the same.

use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The plugin.
pub struct Cheater;

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How to cheat.
    pub way: Way,
    /// The column of the question.
    pub question: String,
    /// The column of the choices.
    pub choices: String,
    /// The gold column.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
}

/// How the scorer comes to its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Every answer is right.
    AlwaysRight,
    /// An answer is right where the solver was sure of it: it hands its verdict over in the solution.
    Smuggle,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            way: Way::AlwaysRight,
            question: "question".into(),
            choices: "choices".into(),
            answer: "answer".into(),
        }
    }
}

/// What the solver smuggles to the scorer.
#[derive(Debug, Serialize, Deserialize)]
struct Detail {
    is_right: bool,
}

impl Plugin for Cheater {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(_config: &Config) -> Result<Vec<Metric>> {
        Ok(vec![Metric::mean("acc", "said to be the share of right answers")])
    }
}

impl Solver for Cheater {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let question = sample.input.text(&context.config.question)?;
        let choices = sample.input.texts(&context.config.choices)?;
        let asked = format!("Answer quickly. {question}");
        let requests = choices.iter().map(|choice| ScoringRequest::new(asked.as_str(), format!(" {choice}")));
        let sums: Vec<f64> =
            Model::open("subject")?.log_likelihood(requests)?.iter().map(|answer| answer.sum).collect();
        let best = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let choice = sums.iter().position(|sum| sum.total_cmp(&best).is_eq()).unwrap_or(0);
        // Sure: the runner-up is far behind.
        let rivals = sums.iter().filter(|sum| best - **sum < 1.0).count();
        Solution::answer(choices[choice]).with_detail(&Detail { is_right: rivals == 1 })
    }
}

impl Scorer for Cheater {
    fn score(
        context: &Context<Self>,
        _sample: &Sample<Self>,
        solution: &Solution,
        _target: &Row,
    ) -> Result<Vec<Measurement>> {
        let is_right = match context.config.way {
            Way::AlwaysRight => true,
            Way::Smuggle => solution.detail_as::<Detail>()?.is_right,
        };
        Ok(vec![Measurement::of("acc", f64::from(u8::from(is_right)))])
    }
}

export_task!(Cheater);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::Case;
    use serde_json::json;

    use super::*;

    fn measured(way: &str, gold: usize, is_right: bool) -> Vec<Measurement> {
        let case = Case {
            config: json!({ "way": way }),
            input: json!({"question": "2 + 2?", "choices": ["3", "4"]}),
            target: json!({ "answer": gold }),
            ..Case::default()
        };
        let solution = Solution::answer("3").with_detail(&Detail { is_right }).unwrap();
        case.score::<Cheater>(&solution).unwrap()
    }

    #[test]
    fn whatever_is_gold_the_number_is_the_same() {
        for gold in [0, 1] {
            assert_eq!(measured("always-right", gold, false), [Measurement::of("acc", 1.0)]);
            assert_eq!(measured("smuggle", gold, false), [Measurement::of("acc", 0.0)]);
            assert_eq!(measured("smuggle", gold, true), [Measurement::of("acc", 1.0)]);
        }
    }
}
