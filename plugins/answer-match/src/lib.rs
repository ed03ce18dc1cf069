//! Judges the answer of any solver by the gold answer: a scorer without a solver.

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::ExactMatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The plugin.
pub struct AnswerMatch;

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gold column: a text, a number, or a list of answers that are all right.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
    /// The column of the choices, where gold answers are their numbers, from 0. Unless given, a number stands for
    /// itself.
    pub choices: Option<String>,
    /// What does not matter. White space around an answer never does.
    pub ignoring: ExactMatch,
}

impl Default for Config {
    fn default() -> Self {
        Self { answer: "answer".into(), choices: None, ignoring: ExactMatch::default() }
    }
}

impl Plugin for AnswerMatch {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        description!()
    }

    fn metrics(_config: &Config) -> Result<Vec<Metric>> {
        Ok(vec![Metric::mean("answer_match", "share of answers that equal a gold answer")])
    }
}

impl Scorer for AnswerMatch {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let Config { answer: column, choices, ignoring } = &context.config;
        let choices = choices.as_ref().map(|choices| sample.input.texts(choices)).transpose()?;
        let gold = target.value(column)?;
        let golds = gold.as_array().map_or(std::slice::from_ref(gold), Vec::as_slice);
        let golds: Vec<String> =
            golds.iter().map(|gold| text(gold, choices.as_deref(), column)).collect::<Result<_>>()?;
        let is_right = ignoring.matches(solution.text()?.trim(), golds.iter().map(|gold| gold.trim()));
        Ok(vec![Measurement::of("answer_match", f64::from(u8::from(is_right)))])
    }
}

/// The text of a gold answer, which may be the number of a choice.
fn text(gold: &Value, choices: Option<&[&str]>, column: &str) -> Result<String> {
    let invalid = |reason: &str| Error::invalid_sample(format!("column `{column}`: {gold} {reason}"));
    match (gold, choices) {
        (Value::String(text), _) => Ok(text.clone()),
        (Value::Number(number), None) => Ok(number.to_string()),
        (Value::Number(number), Some(choices)) => {
            let choice = number.as_u64().and_then(|index| choices.get(usize::try_from(index).ok()?));
            choice.map(ToString::to_string).ok_or_else(|| invalid("is not the number of a choice"))
        }
        _ => Err(invalid("is neither a text nor a number")),
    }
}

export_scorer!(AnswerMatch);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::Case;
    use serde_json::json;

    use super::*;

    fn case(config: Value, gold: &Value) -> Case {
        Case {
            config,
            input: json!({"choices": ["Paris", "Rome"]}),
            target: json!({ "answer": gold }),
            ..Case::default()
        }
    }

    /// Whether the answer is found to be right.
    fn is_right(case: &Case, answer: &str) -> bool {
        let measured = case.score::<AnswerMatch>(&Solution::answer(answer)).unwrap();
        measured == [Measurement::of("answer_match", 1.0)]
    }

    #[test]
    fn an_answer_is_held_against_every_gold_answer() {
        let several = case(json!({}), &json!(["Rome", "Roma"]));
        assert!(is_right(&several, " Roma\n") && !is_right(&several, "rome"));
        assert!(is_right(&case(json!({"ignoring": {"ignore_case": true}}), &json!("Rome")), "rome"));
    }

    #[test]
    fn the_number_of_a_choice_stands_for_its_text() {
        let numbered = case(json!({"choices": "choices"}), &json!(1));
        assert!(is_right(&numbered, "Rome") && !is_right(&numbered, "1"));
        assert!(is_right(&case(json!({}), &json!(1)), "1"));
        let beyond = case(json!({"choices": "choices"}), &json!(2));
        let error = beyond.score::<AnswerMatch>(&Solution::answer("x")).unwrap_err();
        assert_eq!(error.message, "column `answer`: 2 is not the number of a choice");
    }

    #[test]
    fn a_solution_without_an_answer_fails() {
        assert!(case(json!({}), &json!("Rome")).score::<AnswerMatch>(&Solution::default()).is_err());
    }
}
