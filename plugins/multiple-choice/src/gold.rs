//! Which choice is right.

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::is_space;
use serde_json::Value;

use crate::{AnswerKind, Labels, Settings};

/// The indices of the right choices: at least one, each smaller than the number of choices.
pub(crate) fn indices(task: &Settings, input: &Row, target: &Row, choices: &[String]) -> Result<Vec<usize>> {
    let column = &task.answer;
    let labels = match &task.labels {
        None => None,
        Some(Labels::Names(names)) => Some(names.iter().map(|name| Value::from(name.as_str())).collect()),
        Some(Labels::Column(labels)) => Some(input.value(labels)?.as_array().cloned().ok_or_else(|| {
            Error::invalid_sample(format!("column `{labels}`: expected a list of the choices' names"))
        })?),
    };
    let index = |gold: &Value| match &labels {
        Some(labels) => among_labels(gold, labels, choices.len()),
        None => index(gold, task.answer_kind, choices),
    };
    let gold = target.value(column)?;
    let single = std::slice::from_ref(gold);
    let golds = gold.as_array().map_or(single, Vec::as_slice);
    if golds.is_empty() {
        return Err(Error::invalid_sample(format!("column `{column}`: no right choice")));
    }
    golds
        .iter()
        .map(|gold| {
            index(gold).map_err(|reason| Error::invalid_sample(format!("column `{column}`: {reason}")))
        })
        .collect()
}

/// White space before the gold answer is no part of a name.
fn among_labels(gold: &Value, labels: &Vec<Value>, choices: usize) -> Result<usize, String> {
    let wanted = plain(gold);
    let position = |wanted: &str| labels.iter().position(|label| plain(label) == wanted);
    let index = position(&wanted).or_else(|| position(wanted.trim_start_matches(is_space)));
    index.filter(|index| *index < choices).ok_or_else(|| {
        format!("{gold} is not the name of a choice; there are {}", Value::from(labels.as_slice()))
    })
}

/// Text is looked for among the choices first: "1" is the choice "1" where there is one, and else the second choice.
fn index(gold: &Value, kind: AnswerKind, choices: &[String]) -> Result<usize, String> {
    let (as_text, as_number, as_letter) = match kind {
        AnswerKind::Any => (true, true, true),
        AnswerKind::Text => (true, false, false),
        AnswerKind::Index => (false, true, false),
        AnswerKind::Letter => (false, false, true),
    };
    let index = match gold {
        Value::String(text) => choices
            .iter()
            .position(|choice| choice == text)
            .filter(|_| as_text)
            .or_else(|| text.trim().parse().ok().filter(|_| as_number))
            .or_else(|| letter(text.trim()).filter(|_| as_letter)),
        Value::Number(number) if as_number => {
            number.as_u64().or_else(|| whole(number.as_f64()?)).and_then(|n| n.try_into().ok())
        }
        // Python's False and True, as yes-no datasets have them.
        Value::Bool(second) if as_number => Some(usize::from(*second)),
        _ => None,
    };
    index.filter(|index| *index < choices.len()).ok_or_else(|| {
        format!("{gold} is not a choice; there are {}: {}", choices.len(), Value::from(choices))
    })
}

fn letter(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(usize::from(letter.to_ascii_uppercase() - b'A')),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small and whole")]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..1e9).contains(&number)).then_some(number as u64)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(gold: &Value, choices: &[&str]) -> Result<usize, String> {
        of_kind(gold, AnswerKind::Any, choices)
    }

    fn of_kind(gold: &Value, kind: AnswerKind, choices: &[&str]) -> Result<usize, String> {
        index(gold, kind, &choices.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_gold_answer_is_a_text_a_number_or_a_letter() {
        let choices = ["cat", "dog", "cow"];
        assert_eq!(of(&json!("dog"), &choices), Ok(1));
        assert_eq!(of(&json!(2), &choices), Ok(2));
        assert_eq!(of(&json!(2.0), &choices), Ok(2));
        assert_eq!(of(&json!("2"), &choices), Ok(2));
        assert_eq!(of(&json!("B"), &choices), Ok(1));
        assert_eq!(of(&json!("c"), &choices), Ok(2));
        assert_eq!(of(&json!(true), &["no", "yes"]), Ok(1));
    }

    #[test]
    fn the_text_of_a_choice_comes_before_its_number_and_its_letter() {
        assert_eq!(of(&json!("0"), &["2", "1", "0"]), Ok(2));
        assert_eq!(of(&json!("A"), &["C", "B", "A"]), Ok(2));
    }

    #[test]
    fn what_the_gold_column_gives_can_be_settled() {
        assert_eq!(of_kind(&json!("0"), AnswerKind::Index, &["2", "1", "0"]), Ok(0));
        assert_eq!(of_kind(&json!("A"), AnswerKind::Letter, &["C", "B", "A"]), Ok(0));
        assert_eq!(of_kind(&json!("1"), AnswerKind::Text, &["2", "1"]), Ok(1));
        for (gold, kind) in [
            (json!("0"), AnswerKind::Text),
            (json!(0), AnswerKind::Letter),
            (json!("A"), AnswerKind::Index),
            (json!("x"), AnswerKind::Index),
        ] {
            assert!(of_kind(&gold, kind, &["x", "y"]).is_err(), "{gold}");
        }
    }

    #[test]
    fn an_answer_out_of_range_is_refused_by_name() {
        let row = Row::default();
        let target = serde_json::from_value(json!({"answer": 4})).unwrap();
        let error = indices(&Settings::default(), &row, &target, &["a".into(), "b".into()]).unwrap_err();
        assert_eq!(error.message, r#"column `answer`: 4 is not a choice; there are 2: ["a","b"]"#);
        for gold in [json!(-1), json!(1.5), json!("Z"), json!(null), json!({})] {
            assert!(of(&gold, &["a", "b"]).is_err());
        }
    }

    #[test]
    fn labels_name_the_choices() {
        let config = Settings { labels: Some(Labels::Column("choices.label".into())), ..Settings::default() };
        let input: Row = serde_json::from_value(json!({"choices": {"label": ["1", "2", "3"]}})).unwrap();
        let target = |answer: &str| serde_json::from_value(json!({"answer": answer})).unwrap();
        let choices = ["a".to_owned(), "b".into(), "c".into()];
        assert_eq!(indices(&config, &input, &target("1"), &choices).unwrap(), [0]);
        assert!(indices(&config, &input, &target("4"), &choices).is_err());
        let named =
            Settings { labels: Some(Labels::Names(vec!["A".into(), "B".into()])), ..Settings::default() };
        assert_eq!(indices(&named, &Row::default(), &target(" B"), &choices).unwrap(), [1]);
    }

    #[test]
    fn several_answers_may_be_right() {
        let target = serde_json::from_value(json!({"answer": [0, "B"]})).unwrap();
        let choices = ["x".to_owned(), "y".into()];
        assert_eq!(indices(&Settings::default(), &Row::default(), &target, &choices).unwrap(), [0, 1]);
    }
}
