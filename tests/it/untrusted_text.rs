//! What plugins, models and data write can neither steer a terminal nor fill the disk.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::support::{run, stderr_of};

#[test]
fn a_terminal_shows_escapes_instead_of_obeying_them() {
    let data = tempfile::tempdir().unwrap();
    let rows = data.path().join("rows.jsonl");
    let row = json!({ "question": "?", "choices": ["a", "b"], "\u{1b}[2J\u{9b}31m": 1, "answer": 0 });
    std::fs::write(&rows, row.to_string()).unwrap();
    let dataset = rows.to_str().unwrap();
    let arguments = ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", dataset];
    let output = run(data.path(), &[&arguments[..], &["--config", r#"{"answer": "gold"}"#]].concat());
    let shown = stderr_of(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains(r"question, choices, \u001b[2J\u009b31m, answer"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
}

#[test]
fn a_benchmark_that_records_too_much_fails_and_keeps_what_is_finished() {
    const ROWS: u64 = 100;
    let data = tempfile::tempdir().unwrap();
    let rows = data.path().join("rows.jsonl");
    let mut text = String::new();
    for number in 0..ROWS {
        let question = format!("{number} ").repeat(20_000);
        writeln!(text, "{}", json!({ "question": question, "answer": "no" })).unwrap();
    }
    std::fs::write(&rows, text).unwrap();
    let dataset = rows.to_str().unwrap();
    let output = run(
        data.path(),
        &["run", "--model", "tiny-llama", "--task", "generate-until", "--dataset", dataset]
            .into_iter()
            .chain(["--config", r#"{"prompt": "{{ question }}", "max_tokens": 1}"#, "--concurrency", "2"])
            .chain(["--max-record-mib", "1", "--format", "json"])
            .collect::<Vec<_>>(),
    );
    let shown = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("take more than 1 MiB"), "{shown}");
    let benchmark: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(benchmark["status"], "failed");
    assert!(benchmark["recorded_bytes"].as_u64().unwrap() > 1 << 20, "{benchmark:#}");
    let completed = benchmark["samples"]["completed"].as_u64().unwrap();
    assert!((1..ROWS).contains(&completed), "{benchmark:#}");
}
