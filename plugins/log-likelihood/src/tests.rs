use std::cell::RefCell;
use std::rc::Rc;

use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
use serde_json::{Value, json};

use super::*;

/// Finds everything equally likely, would write what begins with " y", and remembers what it was asked.
#[derive(Default, Clone)]
struct Even(Rc<RefCell<Vec<ScoringRequest>>>);

impl ScriptedModel for Even {
    fn log_likelihood(&self, request: &ScoringRequest) -> Result<llm_bench_plugin_sdk::LogLikelihood> {
        self.0.borrow_mut().push(request.clone());
        let is_greedy = request.continuation.starts_with(" y");
        Ok(llm_bench_plugin_sdk::LogLikelihood { sum: -2.0, is_greedy, tokens: 1 })
    }
}

fn of(text: &str, config: Value) -> Case {
    Case { config, input: json!({"text": text}), ..Case::default() }
}

#[test]
fn the_last_word_is_scored_after_the_others() {
    let model = Even::default();
    let _subject = testing::bind("subject", model.clone());
    let case = of("no maybe yes", json!({}));
    let solution = case.solve::<LogLikelihood>().unwrap();
    assert_eq!(model.0.borrow()[0], ScoringRequest::new("no maybe", " yes"));
    assert_eq!(
        case.score::<LogLikelihood>(&solution).unwrap(),
        [Measurement::of("acc", true), Measurement::of("perplexity", -2.0)]
    );
}

#[test]
fn an_examples_target_stands_behind_the_delimiter_as_in_the_reference() {
    let model = Even::default();
    let _subject = testing::bind("subject", model.clone());
    let examples = vec![(json!({"text": "one two"}), json!({}))];
    Case { examples, ..of("three four", json!({})) }.solve::<LogLikelihood>().unwrap();
    assert_eq!(model.0.borrow()[0], ScoringRequest::new("one  two\n\nthree", " four"));
}

#[test]
fn a_row_that_does_not_fit_is_refused_with_the_reason() {
    let _subject = testing::bind("subject", Even::default());
    let refuse = |case: Case| case.solve::<LogLikelihood>().unwrap_err().message;
    assert_eq!(
        refuse(of("x", json!({"target": "{{ word }}"}))),
        "template: undefined value: `word` is undefined (line 1); the row has `text`"
    );
    assert_eq!(
        refuse(of("x", json!({"target": ""}))),
        "template `target`: gives an empty text, which has no likelihood"
    );
}

#[test]
fn the_defaults_of_the_prompt_are_the_tasks_own() {
    let (schema, example) = testing::config_of::<LogLikelihood>();
    assert_eq!(example["prompt"], "{{ text.split(' ')[:-1] | join(' ') }}");
    assert_eq!(schema["properties"]["prompt"]["default"], example["prompt"]);
    assert!(!schema.to_string().contains("x-gold"));
}
