use std::cell::RefCell;
use std::rc::Rc;

use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
use llm_bench_plugin_sdk::{LogLikelihood, Prompt, Role};
use serde_json::json;

use super::*;

/// Finds a continuation the likelier the nearer its length is to five, and remembers what it was asked.
#[derive(Default, Clone)]
struct LikesFive(Rc<RefCell<Vec<ScoringRequest>>>);

impl ScriptedModel for LikesFive {
    fn log_likelihood(&self, request: &ScoringRequest) -> Result<LogLikelihood> {
        self.0.borrow_mut().push(request.clone());
        let distance = u32::try_from(request.continuation.trim().len().abs_diff(5)).unwrap();
        Ok(LogLikelihood { sum: -1.0 - f64::from(distance), is_greedy: false, tokens: 1 })
    }
}

fn capitals() -> Case {
    Case {
        examples: vec![(
            json!({"question": "The capital of Italy?", "choices": ["Rome", "Milan"]}),
            json!({"answer": 0}),
        )],
        input: json!({"question": "The capital of France?", "choices": ["Marseille", "Paris"]}),
        target: json!({"answer": "Paris"}),
        ..Case::default()
    }
}

#[test]
fn the_likeliest_choice_is_the_answer() {
    let model = LikesFive::default();
    let _subject = testing::bind("subject", model.clone());
    let solution = capitals().solve::<MultipleChoice>().unwrap();
    assert_eq!(solution.answer.as_deref(), Some("Paris"));
    let asked = model.0.borrow();
    let prompt = "Question: The capital of Italy?\nAnswer: Rome\n\nQuestion: The capital of France?\nAnswer:";
    assert_eq!(asked[0], ScoringRequest::new(prompt, " Marseille"));
    assert_eq!(asked[1], ScoringRequest::new(prompt, " Paris"));

    let measurements = capitals().score::<MultipleChoice>(&solution).unwrap();
    assert_eq!(measurements, [Measurement::of("acc", true), Measurement::of("acc_norm", true)]);
}

#[test]
fn as_a_chat_examples_are_turns_and_choices_stand_alone() {
    let model = LikesFive::default();
    let _subject = testing::bind("subject", model.clone());
    Case { config: json!({"chat": true, "description": "Answer."}), ..capitals() }
        .solve::<MultipleChoice>()
        .unwrap();
    let asked = model.0.borrow();
    let Prompt::Chat(chat) = &asked[1].context else { panic!("not a chat") };
    let roles: Vec<Role> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    assert_eq!(asked[1].continuation, "Paris");
}

#[test]
fn choices_may_be_templates() {
    let _subject = testing::bind("subject", LikesFive::default());
    let case = Case {
        config: json!({"prompt": "{{ goal }}", "choices": ["{{ sol1 }}", "{{ sol2 }}"], "choice": "{{ choice.strip() }}"}),
        input: json!({"goal": "Boil an egg", "sol1": " in a pan ", "sol2": "water "}),
        target: json!({"answer": 1}),
        ..Case::default()
    };
    let solution = case.solve::<MultipleChoice>().unwrap();
    assert_eq!(solution.answer.as_deref(), Some("water"));
    assert_eq!(case.score::<MultipleChoice>(&solution).unwrap()[0].value, Some(1.0));
}

#[test]
fn choices_may_stand_in_the_question_with_one_text_to_score_after_them() {
    let model = LikesFive::default();
    let _subject = testing::bind("subject", model.clone());
    let row = |sentence: &str, first: &str, second: &str| json!({"sentence": sentence, "option1": first, "option2": second});
    let case = Case {
        config: json!({
            "choices": ["{{ sentence.split('_')[0] }}{{ option1 }}", "{{ sentence.split('_')[0] }}{{ option2 }}"],
            "prompt": "{{ choice }}",
            "continuation": "{{ sentence.split('_', 1)[1].strip() }}",
            "labels": ["1", "2"],
        }),
        examples: vec![(row("An _ flies.", "eagle", "eel"), json!({"answer": "1"}))],
        input: row("A _ barks.", "cat", "dog"),
        target: json!({"answer": "2"}),
        ..Case::default()
    };
    let solution = case.solve::<MultipleChoice>().unwrap();
    let asked = model.0.borrow();
    assert_eq!(asked[0], ScoringRequest::new("An eagle flies.\n\nA cat", " barks."));
    assert_eq!(asked[1], ScoringRequest::new("An eagle flies.\n\nA dog", " barks."));
    // Both are scored alike, and of equal ones the first is taken.
    assert_eq!(case.score::<MultipleChoice>(&solution).unwrap()[0].value, Some(0.0));

    let no_blank = Case { input: row("Nothing to fill.", "cat", "dog"), ..case };
    let error = no_blank.solve::<MultipleChoice>().unwrap_err();
    assert_eq!(error.code, llm_bench_plugin_sdk::ErrorCode::InvalidSample);
    assert!(error.message.starts_with("template: "), "{error}");
}

#[test]
fn mutual_information_asks_each_choice_again_without_the_question() {
    let model = LikesFive::default();
    let _subject = testing::bind("subject", model.clone());
    let case = Case { config: json!({"metrics": ["acc_mutual_info", "exact_match"]}), ..capitals() };
    let solution = case.solve::<MultipleChoice>().unwrap();
    assert_eq!(model.0.borrow()[2], ScoringRequest::new("", " Marseille"));
    let values = case.score::<MultipleChoice>(&solution).unwrap();
    // Nothing is gained by the question, so the first is taken; nothing would be written.
    assert_eq!(values, [Measurement::of("acc_mutual_info", false), Measurement::of("exact_match", false)]);
}

#[test]
fn a_row_without_choices_is_refused_by_the_columns_name() {
    let _subject = testing::bind("subject", LikesFive::default());
    let refuse = |choices| {
        let input = json!({"question": "?", "choices": choices});
        Case { input, ..Case::default() }.solve::<MultipleChoice>().unwrap_err().message
    };
    assert_eq!(refuse(json!([])), "column `choices`: no choices");
    assert_eq!(refuse(json!("a")), "column `choices`: expected a list of texts, found text");
}

#[test]
fn a_config_that_makes_no_sense_is_refused_by_the_settings_name() {
    let refuse = |config| Case { config, ..Case::default() }.metrics::<MultipleChoice>().unwrap_err().message;
    assert!(refuse(json!({"prmpt": "x"})).contains("unknown field `prmpt`"));
    assert!(refuse(json!({"prompt": "{{ x"})).starts_with("config: `prompt`: template: syntax error"));
    assert_eq!(
        refuse(json!({"choices": 7})),
        "config: `choices`: expected a column's name or a list of texts"
    );
    assert!(refuse(json!({"choices": []})).starts_with("config: `choices`: empty"));
    assert!(refuse(json!({"metrics": ["acc", "acc"]})).contains("stands twice"));
}

#[test]
fn the_schema_marks_the_gold_column_and_the_example_is_the_default() {
    let (schema, example) = testing::config_of::<MultipleChoice>();
    assert_eq!(schema["properties"]["answer"]["x-gold"], true);
    assert_eq!(schema["properties"]["answer"]["default"], "answer");
    assert_eq!(
        example["prompt"],
        "{% if context %}{{ context }}\n{% endif %}Question: {{ question }}\nAnswer:"
    );
    assert_eq!(example["choices"], "choices");
}
