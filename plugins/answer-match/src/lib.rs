//! Judges the answer of any solver by the gold answer: a scorer without a solver.

mod classes;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::ExactMatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use classes::Classes;

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
    /// Whether the gold answers are classes, whose macro F1 is wanted too.
    pub macro_f1: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { answer: "answer".into(), choices: None, ignoring: ExactMatch::default(), macro_f1: false }
    }
}

impl Plugin for AnswerMatch {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        description!()
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        let mut metrics = vec![Metric::mean("answer_match", "share of answers that equal a gold answer")];
        if config.macro_f1 {
            metrics.push(Metric::corpus(
                classes::MACRO_F1,
                "mean of the F1 of each class that is a gold answer or was given as one, as scikit-learn's f1_score",
            ));
        }
        Ok(metrics)
    }
}

impl Scorer for AnswerMatch {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let golds = golds(&context.config, &sample.input, target)?;
        let is_right =
            context.config.ignoring.matches(solution.text()?.trim(), golds.iter().map(|gold| gold.trim()));
        Ok(vec![Measurement::of("answer_match", f64::from(u8::from(is_right)))])
    }
}

/// The gold answers.
fn golds(config: &Config, input: &Row, target: &Row) -> Result<Vec<String>> {
    let Config { answer: column, choices, .. } = config;
    let choices = choices.as_ref().map(|choices| input.texts(choices)).transpose()?;
    let gold = target.value(column)?;
    let golds = gold.as_array().map_or(std::slice::from_ref(gold), Vec::as_slice);
    golds.iter().map(|gold| text(gold, choices.as_deref(), column)).collect()
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

export_scorer!(AnswerMatch, aggregator);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::{self, Case};
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

    fn macro_f1(pairs: &[(&str, &str)]) -> Option<f64> {
        let config = json!({"macro_f1": true, "ignoring": {"ignore_case": true}});
        let samples = pairs
            .iter()
            .map(|(gold, answer)| (case(config.clone(), &json!(gold)), Solution::answer(*answer)));
        let measured = testing::aggregate::<AnswerMatch>(&samples.collect::<Vec<_>>()).unwrap();
        assert_eq!(measured.len(), 1);
        measured[0].value
    }

    #[test]
    fn macro_f1_is_the_mean_over_the_classes_that_were_wanted_or_given() {
        // f1_score([..], [..], average="macro") of scikit-learn: 0.8, 0.5 and 0 of cat, dog and bird.
        let pairs = [
            ("cat", "Cat"),
            ("cat", "cat"),
            ("cat", "bird"),
            ("dog", "dog"),
            ("dog", " bird"),
            ("dog", "bird"),
        ];
        let expected = (0.8 + 0.5 + 0.0) / 3.0;
        assert!((macro_f1(&pairs).unwrap() - expected).abs() < 1e-12);
        assert_eq!(macro_f1(&[("cat", "cat"), ("dog", "dog")]), Some(1.0));
        assert_eq!(macro_f1(&[("cat", "dog"), ("dog", "cat")]), Some(0.0));
    }

    #[test]
    fn free_answers_are_no_classes() {
        let config = json!({"macro_f1": true});
        let samples: Vec<_> = (0..2000)
            .map(|number| {
                (case(config.clone(), &json!("Rome")), Solution::answer(format!("answer {number}")))
            })
            .collect();
        let error = testing::aggregate::<AnswerMatch>(&samples).unwrap_err();
        assert_eq!(error.message, "the answers are of more than 1000 classes: they are no labels");
        let several = [(case(config, &json!(["Rome", "Roma"])), Solution::answer("Rome"))];
        let error = testing::aggregate::<AnswerMatch>(&several).unwrap_err();
        assert_eq!(error.message, "column `answer`: has 2 gold answers; macro F1 is of one class a sample");
    }

    #[test]
    fn a_solution_without_an_answer_fails() {
        assert!(case(json!({}), &json!("Rome")).score::<AnswerMatch>(&Solution::default()).is_err());
    }
}
