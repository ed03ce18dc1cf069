//! Models of users: folders as the usual exporter makes them, and broken ones.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{bundled_model, copy_folder, fixture, json_of, run, stderr_of};

/// A copy of the bundled model, to be broken.
fn copied(folder: &Path) -> PathBuf {
    let copy = folder.join("model");
    copy_folder(&bundled_model(), &copy);
    copy
}

fn run_on(data: &Path, model: &Path, task: &str, dataset: &str, config: &str) -> std::process::Output {
    let model = model.to_str().unwrap();
    let arguments = ["run", "--model", model, "--task", task, "--dataset", dataset, "--config", config];
    run(data, &[&arguments[..], &["--limit", "3", "--format", "json"]].concat())
}

#[test]
fn folders_of_the_usual_exporter_run_as_they_are() {
    let fixtures = fixture("");
    let mut folders: Vec<_> = std::fs::read_dir(&fixtures)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // One of them is a bare graph, without a tokenizer.
        .filter(|path| path.join("model.onnx").is_file() && path.join("config.json").is_file())
        .collect();
    folders.sort();
    assert!(folders.len() >= 3, "Llama, GPT-2 and Qwen2 are expected in {}", fixtures.display());
    let data = tempfile::tempdir().unwrap();
    for folder in folders {
        let cases = [
            ("multiple-choice", "capitals", "{}"),
            // Their longest sequence is 64 tokens, which is as much as the task generates by default.
            ("generate-until", "reading", r#"{"max_tokens": 8}"#),
            ("perplexity", "stories", "{}"),
        ];
        for (task, dataset, config) in cases {
            let benchmark: Value = json_of(&run_on(data.path(), &folder, task, dataset, config));
            assert_eq!(benchmark["samples"]["completed"], 3, "{}: {benchmark:#}", folder.display());
        }
    }
}

#[test]
fn a_broken_model_folder_is_refused_by_the_name_of_the_broken_file() {
    let breakages: [(&str, Option<&str>); 6] = [
        ("model.onnx", None),
        ("config.json", None),
        ("tokenizer.json", None),
        ("config.json", Some("{")),
        ("tokenizer.json", Some("{\"version\": \"1.0\"}")),
        ("model.onnx", Some("not a model")),
    ];
    for (file, content) in breakages {
        let data = tempfile::tempdir().unwrap();
        let model = copied(data.path());
        match content {
            None => std::fs::remove_file(model.join(file)).unwrap(),
            Some(content) => std::fs::write(model.join(file), content).unwrap(),
        }
        let output = run_on(data.path(), &model, "multiple-choice", "capitals", "{}");
        assert_eq!(output.status.code(), Some(2), "{file}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(file), "{file}: {}", stderr_of(&output));
    }
}

#[test]
fn a_truncated_model_is_refused_and_crashes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let model = copied(data.path());
    let file = model.join("model.onnx");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let output = run_on(data.path(), &model, "multiple-choice", "capitals", "{}");
    assert_eq!(output.status.code(), Some(2), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("model.onnx"), "{}", stderr_of(&output));
}
