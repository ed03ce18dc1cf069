//! What the command line says of shared prefixes and of their memory reaches the model.

use std::path::Path;

use serde_json::Value;

use crate::support::{json_of, run, run_with_samples};

const ORDER: [&str; 11] = [
    "run",
    "--model",
    "tiny-llama",
    "--task",
    "multiple-choice",
    "--dataset",
    "capitals",
    "--few-shot",
    "5",
    "--limit",
    "6",
];

/// The benchmark, and the sum of every choice.
fn run_with(data: &Path, extra: &[&str]) -> (Value, Vec<f64>) {
    let (benchmark, samples) = run_with_samples(data, &[&ORDER, extra].concat());
    let calls = samples.iter().flat_map(|sample| sample["calls"].as_array().unwrap());
    let answers = calls.flat_map(|call| call["response"].as_array().unwrap().iter());
    (benchmark, answers.map(|answer| answer["sum"].as_f64().unwrap()).collect())
}

#[test]
fn without_shared_prefixes_the_sums_are_the_same_and_no_answer_is_taken_from_a_run_with_them() {
    let data = tempfile::tempdir().unwrap();
    let (_, shared) = run_with(data.path(), &[]);
    let (again, _) = run_with(data.path(), &[]);
    assert_eq!(again["speed"]["cached_samples"], 6, "{again:#}");

    let (benchmark, apart) = run_with(data.path(), &["--no-share-prefixes"]);
    assert_eq!(benchmark["speed"]["cached_samples"], 0, "{benchmark:#}");
    assert_eq!((shared.len(), apart.len()), (24, 24));
    for (one, other) in shared.iter().zip(apart) {
        assert!((one - other).abs() < 1e-3, "{one} and {other}");
    }
}

#[test]
fn a_prompt_that_does_not_fit_in_the_memory_for_caches_fails_its_sample_by_name() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("samples.jsonl");
    let many = ["--few-shot", "30", "--max-failed", "1", "--format", "json", "--samples"];
    let order = [&ORDER[..7], &ORDER[9..], &many, &[file.to_str().unwrap()]].concat();

    let tight = run(data.path(), &[&order[..], &["--kv-cache-mib", "1"]].concat());
    let benchmark: Value = serde_json::from_slice(&tight.stdout).unwrap();
    assert_eq!(benchmark["samples"]["failed"], 6, "{benchmark:#}");
    let samples = std::fs::read_to_string(&file).unwrap();
    assert_eq!(samples.matches(r#""error_code":"memory-budget""#).count(), 6, "{samples}");

    let roomy = json_of(&run(data.path(), &order));
    assert_eq!(roomy["samples"]["failed"], 0, "{roomy:#}");
}
