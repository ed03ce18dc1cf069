//! Rows of users: what is in them stays what it is, and one that does not fit is named.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{copy_folder, fixture, json_of, run, stderr_of};

/// Runs generate-until on some rows with the fixture `qwen2`, whose chat template marks turns by `<|im_end|>`.
fn ask(rows: &[u8], more: &[&str]) -> (std::process::Output, Vec<Value>) {
    ask_model(&fixture("qwen2"), rows, &json!({"max_tokens": 4, "prompt": "{{ question }}"}), more)
}

fn ask_model(model: &Path, rows: &[u8], config: &Value, more: &[&str]) -> (std::process::Output, Vec<Value>) {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    let samples = data.path().join("samples.jsonl");
    let config = config.to_string();
    let arguments = [
        "run",
        "--model",
        model.to_str().unwrap(),
        "--task",
        "generate-until",
        "--dataset",
        file.to_str().unwrap(),
        "--config",
        &config,
        "--format",
        "json",
        "--samples",
        samples.to_str().unwrap(),
    ];
    let output = run(data.path(), &[&arguments[..], more].concat());
    let text = std::fs::read_to_string(&samples).unwrap_or_default();
    (output, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn lines(questions: &[&str]) -> Vec<u8> {
    let row = |question: &&str| json!({"question": question, "answer": "x"}).to_string();
    questions.iter().map(row).collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn special_tokens_are_recognised_in_a_prompts_text_and_stay_text_in_a_chat_message() {
    let rows = lines(&["The dog.", "The dog.<|im_end|>"]);
    let tokens = |more: &[&str]| {
        let (output, samples) = ask(&rows, more);
        json_of(&output);
        let count = |sample: &Value| sample["calls"][0]["tokens"]["prompt"].as_u64().unwrap();
        (count(&samples[0]), count(&samples[1]))
    };
    let (without, with) = tokens(&[]);
    assert_eq!(with, without + 1, "as the text of a prompt it is one token");
    let (without, with) = tokens(&["--chat"]);
    assert!(with > without + 4, "in a message it is spelt out: {with} tokens, {without} without it");
}

#[test]
fn a_row_that_a_template_does_not_fit_fails_alone_with_its_number_and_the_reason() {
    let mut rows = lines(&["1?", "2?", "3?", "4?", "5?", "6?", "7?", "8?", "9?", "10?", "11?"]);
    rows.extend(b"\n{\"query\": \"12?\", \"answer\": \"x\"}\n");
    let (output, samples) = ask(&rows, &[]);
    let benchmark = json_of(&output);
    assert_eq!(
        (&benchmark["samples"]["failed"], &benchmark["failures"]["invalid-sample"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(samples[11]["id"], "11");
    let error = &samples[11]["error"];
    assert_eq!((&error["kind"], &error["phase"]), (&json!("invalid-sample"), &json!("solve")));
    assert_eq!(
        error["message"],
        "template: undefined value: `question` is undefined (line 1); the row has `query`"
    );

    // Where that is too many, the benchmark says which row and why.
    let (output, _) =
        ask(b"{\"question\": \"1?\", \"answer\": \"x\"}\n{\"query\": \"2?\", \"answer\": \"x\"}\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr_of(&output);
    assert!(message.contains("sample 1: template: undefined value: `question`"), "{message}");
}

#[test]
fn a_row_that_is_not_utf_8_fails_alone_with_its_line() {
    let mut rows = lines(&["1?", "2?", "3?", "4?", "5?", "6?", "7?", "8?", "9?", "10?"]);
    rows.extend(b"\n{\"question\": \"caf\xe9\", \"answer\": \"x\"}\n");
    let (output, samples) = ask(&rows, &[]);
    let benchmark = json_of(&output);
    assert_eq!(benchmark["failures"]["unreadable-row"], 1);
    let message = samples[10]["error"]["message"].as_str().unwrap();
    assert!(message.contains("line 11") && message.contains("UTF-8"), "{message}");
}

#[test]
fn an_answer_that_does_not_end_is_judged_or_fails_its_sample() {
    let rows = lines(&["The dog", "She"]);
    let ask = |cut_off: &str| {
        let config =
            json!({"max_tokens": 4, "prompt": "{{ question }}", "until": ["never"], "cut_off": cut_off});
        ask_model(&fixture("qwen2"), &rows, &config, &["--max-failed", "1"])
    };
    let (output, samples) = ask("judge");
    assert_eq!(json_of(&output)["samples"]["failed"], 0);
    assert!(samples.iter().all(|sample| sample["detail"]["cut_off"] == true), "{samples:#?}");
    let (output, samples) = ask("fail");
    assert_eq!(json_of(&output)["failures"]["model-error"], 2, "{}", stderr_of(&output));
    let message = samples[1]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the answer did not end within 4 tokens"), "{message}");
}

#[test]
fn every_metric_of_generate_until_is_measured() {
    let names =
        ["exact_match", "em", "f1", "contains", "bleu", "chrf", "rouge1", "rouge2", "rougel", "rougelsum"];
    let config = json!({"max_tokens": 4, "prompt": "{{ question }}", "metrics": names});
    let (output, _) = ask_model(&fixture("qwen2"), &lines(&["The dog", "She"]), &config, &[]);
    let benchmark = json_of(&output);
    let metrics = benchmark["metrics"].as_array().unwrap().iter();
    let found: Vec<_> = metrics.map(|metric| (metric["name"].clone(), metric["value"].is_number())).collect();
    assert_eq!(found, names.map(|name| (json!(name), true)), "{benchmark:#}");
}

#[test]
fn logits_that_are_no_numbers_fail_their_samples_by_name() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixture("genai-llama"), folder.path());
    let weights = folder.path().join("model.onnx.data");
    let numbers = usize::try_from(std::fs::metadata(&weights).unwrap().len()).unwrap() / 4;
    std::fs::write(&weights, f32::NAN.to_le_bytes().repeat(numbers)).unwrap();
    let config = json!({"max_tokens": 4, "prompt": "{{ question }}"});
    let (output, samples) =
        ask_model(folder.path(), &lines(&["The dog", "She"]), &config, &["--max-failed", "1"]);
    assert_eq!(json_of(&output)["samples"]["failed"], 2, "{}", stderr_of(&output));
    for (number, sample) in samples.iter().enumerate() {
        assert_eq!(sample["id"], number.to_string());
        assert_eq!(sample["calls"][0]["error_code"], "logits-not-a-number", "{sample:#}");
    }
}

#[test]
fn an_example_that_does_not_fit_is_told_from_the_question() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("train.jsonl"), "{\"query\": \"1?\", \"answer\": \"x\"}\n").unwrap();
    std::fs::write(data.path().join("test.jsonl"), lines(&["2?"])).unwrap();
    let dataset = format!("train={0}/train.jsonl,test={0}/test.jsonl", data.path().display());
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "generate-until",
        "--dataset",
        &dataset,
        "--few-shot",
        "1",
    ];
    let output = run(data.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("few-shot example 1: template: "), "{}", stderr_of(&output));
}

#[tokio::test]
async fn a_prompt_that_is_too_long_fails_its_sample_where_it_must_not_be_cut() {
    let data = tempfile::tempdir().unwrap();
    let rows = data.path().join("rows.jsonl");
    let long = "What is the capital of France? ".repeat(400);
    let row =
        |question: &str| json!({"question": question, "choices": ["Rome", "Paris"], "answer": 1}).to_string();
    std::fs::write(&rows, format!("{}\n{}\n", row("What is the capital of France?"), row(&long))).unwrap();
    let result = |truncate: bool| {
        let config = json!({ "truncate": truncate }).to_string();
        let samples = data.path().join("samples.jsonl");
        let output = std::process::Command::new(crate::support::program())
            .args(["run", "--model", "tiny-llama", "--task", "multiple-choice", "--max-failed", "1"])
            .args(["--format", "json", "--config", &config, "--data-dir"])
            .arg(data.path())
            .arg("--dataset")
            .arg(&rows)
            .arg("--samples")
            .arg(&samples)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(samples).unwrap()
    };
    let samples = |truncate: bool| -> Vec<Value> {
        result(truncate).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let cut = samples(true);
    assert_eq!(
        (&cut[0]["status"], &cut[1]["status"]),
        (&json!("completed"), &json!("completed")),
        "{}",
        cut[1]
    );
    let uncut = samples(false);
    assert_eq!((&uncut[0]["status"], &uncut[1]["status"]), (&json!("completed"), &json!("failed")));
    // A sample's error has a kind and a message; this is the message of `prompt-too-long`.
    let message = uncut[1]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("a prompt of ") && message.contains("that the model can read"), "{message}");
}
