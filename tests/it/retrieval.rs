//! A scorer of rankings judges what a task retrieved, long after it did.

use serde_json::{Value, json};

use crate::support::{json_of, metric, run, run_with_samples, stderr_of};

/// A row, and the ids of its documents as they have to be ranked: each holds the query's words less often, among more
/// others, or words that are more frequent.
fn rows() -> [(Value, Vec<&'static str>); 3] {
    let document = |id: &str, text: &str| json!({ "id": id, "text": text });
    [
        (
            json!({
                "query": "red apples",
                "documents": [
                    document("far", "Apples grow on trees that stand in long rows behind the house."),
                    document("best", "Red apples."),
                    document("other", "A green pear."),
                    document("near", "Apples are not pears."),
                ],
                "relevant": { "best": 1, "far": 3, "near": 0, "lost": 2 },
            }),
            vec!["best", "near", "far"],
        ),
        (
            json!({
                "query": "Where is the cellar?",
                "documents": [document("a", "the, the, the cellar"), document("b", "the attic"), document("c", "up")],
                "relevant": ["b"],
            }),
            vec!["a", "b"],
        ),
        (json!({ "query": "whales", "documents": [document("a", "an owl")], "relevant": ["a"] }), vec![]),
    ]
}

#[test]
fn a_scorer_of_rankings_judges_what_a_task_without_a_model_retrieved() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("rows.jsonl");
    std::fs::write(&file, rows().map(|(row, _)| format!("{row}\n")).concat()).unwrap();
    let file = file.to_str().unwrap();
    let task = ["run", "--model", "tiny-llama", "--task", "lexical", "--dataset", file];
    let (ranked, samples) = run_with_samples(data.path(), &task);
    assert_eq!(ranked["samples"]["completed"], 3, "{ranked:#}");
    for (sample, (_, expected)) in samples.iter().zip(rows()) {
        let passages = sample["passages"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = passages.iter().map(|passage| passage["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{sample:#}");
        assert_eq!(sample["answer"].as_str(), expected.first().copied());
        assert_eq!((&sample["calls"], &sample["host_calls"]), (&json!([]), &json!(0)), "it needs no model");
    }
    assert!((metric(&ranked, "hit_at_1") - 1.0 / 3.0).abs() < 1e-9, "{ranked:#}");

    // The scorer names the gold column itself, and finds the grades that the solver never saw.
    let config = r#"{"metrics": ["ndcg", "recall", "mrr"], "cutoffs": [1, 3]}"#;
    let id = ranked["id"].as_str().unwrap();
    let (judged, samples) =
        run_with_samples(data.path(), &["rescore", id, "--scorer", "retrieval", "--config", config]);
    assert_eq!(
        (&judged["source"]["takes"], &judged["samples"]["completed"]),
        (&json!("solutions"), &json!(3))
    );

    // Σ grade / log2(rank + 1), over the same of the best order: 3, 2, 1.
    let log2 = |rank: f64| (rank + 1.0).log2();
    let ideal = 3.0 / log2(1.0) + 2.0 / log2(2.0) + 1.0 / log2(3.0);
    let first = (1.0 / log2(1.0) + 3.0 / log2(3.0)) / ideal;
    let expected = [
        ("ndcg_at_1", [1.0 / 3.0, 0.0, 0.0]),
        ("ndcg_at_3", [first, 1.0 / log2(2.0), 0.0]),
        // Of three relevant documents one was not among those to rank.
        ("recall_at_1", [1.0 / 3.0, 0.0, 0.0]),
        ("recall_at_3", [2.0 / 3.0, 1.0, 0.0]),
        ("mrr", [1.0, 0.5, 0.0]),
    ];
    for (place, (name, values)) in expected.into_iter().enumerate() {
        for (sample, value) in samples.iter().zip(values) {
            let measured = &sample["metrics"][place];
            assert_eq!(measured["name"], name);
            let found = measured["value"].as_f64().unwrap();
            assert!((found - value).abs() < 1e-12, "{name}: {found}, not {value}: {sample:#}");
        }
        let mean = values.iter().sum::<f64>() / 3.0;
        assert!((metric(&judged, name) - mean).abs() < 1e-9, "{name}: {judged:#}");
    }

    // A benchmark whose task retrieves nothing has nothing to rank; its row has the gold column of its own task alone.
    let read =
        ["run", "--model", "tiny-llama", "--task", "generate-until", "--dataset", "reading", "--limit", "2"];
    let read = json_of(&run(data.path(), &[&read[..], &["--format", "json"]].concat()));
    let id = read["id"].as_str().unwrap();
    let refused = run(data.path(), &["rescore", id, "--scorer", "retrieval"]);
    assert_ne!(refused.status.code(), Some(0));
    let said = stderr_of(&refused);
    assert!(said.contains("has no column `relevant`"), "{said}");
}
