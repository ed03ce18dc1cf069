use llm_bench_plugin_sdk::testing::Case;
use serde_json::json;

use super::*;

fn case(config: &Value, query: &str, documents: &Value, relevant: &Value) -> Case {
    let input = json!({ "query": query, "documents": documents });
    Case { config: config.clone(), input, target: json!({ "relevant": relevant }), ..Case::default() }
}

fn ranked(config: &Value, query: &str, documents: &Value) -> Vec<(String, f64)> {
    let solution = case(config, query, documents, &Value::Null).solve::<Lexical>().unwrap();
    assert_eq!(solution.answer.as_ref(), solution.passages.first().map(|passage| &passage.id));
    solution.passages.into_iter().map(|passage| (passage.id, passage.score)).collect()
}

fn ids(ranked: Vec<(String, f64)>) -> Vec<String> {
    ranked.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn scores_are_those_that_one_computes_by_hand() {
    // 2, 4 and 3 words: 3 in the mean.
    let documents = json!(["Red apple", "red, red wine; cheap", "a green pear"]);
    let found = ranked(&json!({}), "Red apple?", &documents);
    // "apple" stands in one of three documents, "red" in two.
    let (apple, red) = ((1.0 + 2.5 / 1.5_f64).ln(), (1.0 + 1.5 / 2.5_f64).ln());
    let length = |words: f64| 1.2 * (0.25 + 0.75 * words / 3.0);
    let expected = [
        ("0", apple / (1.0 + length(2.0)) + red / (1.0 + length(2.0))),
        ("1", red * 2.0 / (2.0 + length(4.0))),
    ];
    assert_eq!(found.len(), expected.len(), "the third has none of the words: {found:?}");
    for ((id, score), (expected_id, expected)) in found.iter().zip(expected) {
        assert_eq!(id, expected_id);
        assert!((score - expected).abs() < 1e-12, "{id}: {score}, not {expected}");
    }
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenCase {
    query: String,
    documents: Vec<String>,
    k1: f64,
    b: f64,
    scores: Vec<f64>,
}

#[test]
fn scores_are_those_of_bm25s() {
    let golden: Golden = serde_json::from_str(include_str!("golden/bm25s.json")).unwrap();
    assert_eq!(golden.cases.len(), 20);
    for GoldenCase { query, documents, k1, b, scores } in golden.cases {
        let documents: Vec<_> = documents.iter().map(|document| words(document)).collect();
        let found = Bm25 { k1, b }.scores(&words(&query), &documents);
        assert_eq!(found.len(), scores.len());
        for (found, expected) in found.iter().zip(scores) {
            // It keeps single precision.
            assert!((found - expected).abs() < 1e-6 * expected.max(1.0), "{query}: {found}, not {expected}");
        }
    }
}

#[test]
fn words_are_letters_and_digits_in_any_case() {
    assert_eq!(words("Don't—ÜBER 3.5 km/h!"), ["don", "t", "über", "3", "5", "km", "h"]);
    assert!(words(" …! ").is_empty());
}

#[test]
fn documents_bear_their_ids_and_of_equal_ones_the_last_id_stands_first() {
    let documents = json!([
        {"id": "a", "text": "a cat", "title": "ignored"},
        {"id": 7, "text": "a cat and a dog"},
        {"id": "b", "text": "a cat"},
        {"id": "c", "text": "a fox"},
    ]);
    assert_eq!(ids(ranked(&json!({}), "cat", &documents)), ["b", "a", "7"]);
    assert_eq!(ids(ranked(&json!({"most": 2}), "cat", &documents)), ["b", "a"]);
    // The length of a document does not count.
    assert_eq!(ids(ranked(&json!({"b": 0.0}), "cat", &documents)), ["b", "a", "7"]);
    // A word that stands there again does not count.
    let again = json!(["cat", "cat cat"]);
    assert_eq!(ids(ranked(&json!({"b": 0.0}), "cat", &again)), ["1", "0"]);
    let once = ranked(&json!({"b": 0.0, "k1": 0.0}), "cat", &again);
    assert_eq!(once[0].1.to_bits(), once[1].1.to_bits());
    assert!(ranked(&json!({}), "?", &documents).is_empty());
    assert!(ranked(&json!({}), "cat", &json!([])).is_empty());
}

#[test]
fn the_first_document_is_held_against_the_relevant_ones() {
    let hit = |query: &str, relevant: &Value| {
        let case = case(&json!({}), query, &json!(["a cat", "a dog"]), relevant);
        let measured = case.score::<Lexical>(&case.solve::<Lexical>().unwrap())?;
        Ok::<_, Error>(measured[0].value)
    };
    assert_eq!(hit("dog", &json!(["1"])).unwrap(), Some(1.0));
    assert_eq!(hit("dog", &json!(1)).unwrap(), Some(1.0));
    assert_eq!(hit("cat", &json!({"0": 0, "1": 2})).unwrap(), Some(0.0));
    assert_eq!(hit("owl", &json!(["1"])).unwrap(), Some(0.0), "nothing was found");
    for none in [json!([]), json!({"0": 0})] {
        assert_eq!(hit("cat", &none).unwrap(), None);
    }
    let error = hit("cat", &json!({"0": 0.5})).unwrap_err();
    assert_eq!(error.message, "column `relevant`: 0.5 is no grade, which is a whole number");
    assert_eq!(hit("cat", &json!(null)).unwrap_err().message, "column `relevant`: null is no document's id");
}

#[test]
fn documents_that_are_none_and_configs_that_make_no_sense_are_refused() {
    for (documents, expected) in [
        (json!("a cat"), "no list of documents"),
        (json!(["a cat", 7]), "document 1 is neither a text nor an object with `id` and `text`"),
        (json!([{"text": "a cat"}]), "document 0 is neither a text nor an object with `id` and `text`"),
        (
            json!([{"id": "a", "text": ""}, {"id": "a", "text": ""}]),
            "document 1 has the id `a`, as one before it",
        ),
    ] {
        let error = case(&json!({}), "cat", &documents, &Value::Null).solve::<Lexical>().err().unwrap();
        assert_eq!(error.message, format!("column `documents`: {expected}"));
    }
    for config in [json!({"k1": -1.0}), json!({"b": 1.5}), json!({"most": 0}), json!({"k2": 1.0})] {
        let case = Case { config: config.clone(), ..Case::default() };
        let error = case.metrics::<Lexical>().unwrap_err();
        assert!(error.message.starts_with("config: "), "{config}: {error}");
    }
}
