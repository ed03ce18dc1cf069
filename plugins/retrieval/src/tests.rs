use llm_bench_plugin_sdk::Passage;
use llm_bench_plugin_sdk::testing::Case;
use serde_json::json;

use super::*;

fn passage(id: &str, score: f64) -> Passage {
    Passage { id: id.into(), text: String::new(), score }
}

fn scored(config: &Value, relevant: &Value, passages: Vec<Passage>) -> Result<BTreeMap<String, Option<f64>>> {
    let case = Case { config: config.clone(), target: json!({ "relevant": relevant }), ..Case::default() };
    let measured = case.score::<Retrieval>(&Solution { passages, ..Solution::default() })?;
    assert_eq!(measured.len(), case.metrics::<Retrieval>()?.len());
    Ok(measured.into_iter().map(|measurement| (measurement.metric, measurement.value)).collect())
}

fn all() -> Value {
    json!({"metrics": ["ndcg", "recall", "precision", "mrr", "map"], "cutoffs": [1, 3, 10]})
}

#[track_caller]
fn close(got: &BTreeMap<String, Option<f64>>, expected: &BTreeMap<String, f64>) {
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        let value = got[name].unwrap();
        assert!((value - expected).abs() < 1e-9, "{name}: {value}, not {expected}");
    }
}

#[test]
fn a_ranking_has_the_values_that_one_computes_by_hand() {
    // Ranked a (3), x (0), b (1); c (2) was not retrieved.
    let passages = vec![passage("b", 0.1), passage("a", 0.9), passage("x", 0.5)];
    let got = scored(&all(), &json!({"a": 3, "b": 1, "c": 2, "z": 0}), passages).unwrap();
    let gain = 3.0 + 1.0 / 2.0;
    let ideal = 3.0 + 2.0 / 3.0_f64.log2() + 1.0 / 2.0;
    let expected = [
        ("ndcg_at_1", 1.0),
        ("ndcg_at_3", gain / ideal),
        ("ndcg_at_10", gain / ideal),
        ("recall_at_1", 1.0 / 3.0),
        ("recall_at_3", 2.0 / 3.0),
        ("recall_at_10", 2.0 / 3.0),
        ("precision_at_1", 1.0),
        ("precision_at_3", 2.0 / 3.0),
        ("precision_at_10", 0.2),
        ("mrr", 1.0),
        ("map", (1.0 + 2.0 / 3.0) / 3.0),
    ];
    close(&got, &expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenCase {
    relevant: Value,
    passages: BTreeMap<String, f64>,
    expected: BTreeMap<String, f64>,
}

#[test]
fn rankings_with_ties_grades_and_documents_that_nobody_judged_are_trec_evals() {
    let golden: Golden = serde_json::from_str(include_str!("golden/trec_eval.json")).unwrap();
    assert_eq!(golden.cases.len(), 40);
    for case in golden.cases {
        let passages = case.passages.iter().map(|(id, score)| passage(id, *score)).collect();
        close(&scored(&all(), &case.relevant, passages).unwrap(), &case.expected);
    }
}

#[test]
fn of_documents_with_one_score_the_last_in_the_alphabet_stands_first() {
    let passages = vec![passage("a", 1.0), passage("b", 1.0)];
    assert_eq!(scored(&json!({}), &json!(["a"]), passages.clone()).unwrap()["mrr"], Some(0.5));
    assert_eq!(scored(&json!({}), &json!(["b"]), passages).unwrap()["mrr"], Some(1.0));
}

#[test]
fn several_passages_of_a_document_are_one_at_its_best_rank() {
    let passages = vec![passage("a", 3.0), passage("a", 2.0), passage("b", 1.0)];
    let got = scored(&all(), &json!(["a", "b"]), passages).unwrap();
    assert_eq!((got["precision_at_3"], got["map"]), (Some(2.0 / 3.0), Some(1.0)));
}

#[test]
fn a_question_without_passages_earns_nothing_and_one_without_judgements_is_undefined() {
    let got = scored(&all(), &json!("a"), vec![]).unwrap();
    assert!(got.values().all(|value| *value == Some(0.0)), "{got:?}");
    for nothing in [json!([]), json!({})] {
        let got = scored(&all(), &nothing, vec![passage("a", 1.0)]).unwrap();
        assert!(got.values().all(Option::is_none), "{got:?}");
    }
}

#[test]
fn ids_may_be_numbers_and_grades_must_be_whole() {
    assert_eq!(scored(&json!({}), &json!([7]), vec![passage("7", 1.0)]).unwrap()["mrr"], Some(1.0));
    let error = scored(&json!({}), &json!({"a": 0.5}), vec![]).unwrap_err();
    assert_eq!(error.message, "column `relevant`: 0.5 is no grade, which is a whole number");
    let error = scored(&json!({}), &json!([["a"]]), vec![]).unwrap_err();
    assert_eq!(error.message, "column `relevant`: [\"a\"] is no document's id");
}

#[test]
fn a_config_that_makes_no_sense_is_refused() {
    for config in [
        json!({"metrics": []}),
        json!({"metrics": ["mrr", "mrr"]}),
        json!({"cutoffs": []}),
        json!({"cutoffs": [0]}),
        json!({"cutoffs": [5, 5]}),
        json!({"metrics": ["err"]}),
    ] {
        let case = Case { config: config.clone(), ..Case::default() };
        let error = case.metrics::<Retrieval>().unwrap_err();
        assert!(error.message.starts_with("config: "), "{config}: {error}");
    }
    let uncut = Case { config: json!({"metrics": ["mrr", "map"], "cutoffs": []}), ..Case::default() };
    assert_eq!(uncut.metrics::<Retrieval>().unwrap().len(), 2);
}
