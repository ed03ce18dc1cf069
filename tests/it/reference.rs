//! What the presets ask and measure, held against lm-evaluation-harness: the same made-up rows went through its own
//! tasks (`golden/lm_eval/record.py`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Host, copy_folder, fixture, json_of, run};

const MODELS: [&str; 3] = ["llama", "gpt2", "qwen2"];
/// Sums of one choice or target.
const SUM: f64 = 1e-3;
/// Metrics, from equal sums.
const METRIC: f64 = 1e-6;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/lm_eval")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A host whose data folder has the fixtures as models, and the made-up rows as datasets under the presets' names.
fn host(data: &Path, models: &[&str]) -> Host {
    for model in models {
        copy_folder(&fixture(model), &data.join("models").join(model));
    }
    for entry in std::fs::read_dir(golden().join("data")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let target = data.join("datasets").join(&name);
        copy_folder(&folder, &target);
        let mut card = format!("name = \"{name}\"\n[splits]\n");
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let split = file.file_stem().unwrap().to_str().unwrap();
            card.extend([split, " = \"", split, ".jsonl\"\n"]);
        }
        std::fs::write(target.join("dataset.toml"), card).unwrap();
    }
    // Ours for the tasks of `record.py` that are not lm-eval's own.
    copy_folder(&golden().join("presets"), &data.join("presets"));
    Host::start(data)
}

fn tasks() -> Vec<String> {
    let mut tasks: Vec<String> = std::fs::read_dir(golden().join("expected/prompts"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    tasks.sort();
    assert!(tasks.len() >= 15, "{tasks:?}");
    tasks
}

/// The order of a benchmark that asks as a recorded case does.
fn order(model: &str, task: &str, case: &Value) -> Value {
    let mut order = json!({"model": model, "task": task, "few_shot": case["few_shot"], "config": {}});
    if case["sampler"] == "first_n" {
        order["few_shot_sampling"] = json!("first");
    }
    for setting in ["chat", "system"] {
        if !case[setting].is_null() {
            order[setting] = case[setting].clone();
        }
    }
    if !case["multi_turn"].is_null() {
        order["config"]["multi_turn"] = case["multi_turn"].clone();
    }
    if task == "gsm8k" {
        // The fixtures' longest sequence is 64 tokens.
        order["config"]["max_tokens"] = json!(16);
    }
    order
}

async fn evaluate(host: &Host, order: &Value) -> (Value, Vec<Value>) {
    let id = host.create(order).await;
    let benchmark = host.ended(&id).await;
    assert_eq!(benchmark["status"], "completed", "{order}: {benchmark:#}");
    (benchmark, host.samples(&id).await)
}

/// A recorded request in the shape in which the host records its own.
fn asked(request: &Value) -> Value {
    match &request["prompt"] {
        Value::String(text) => json!({ "text": text }),
        chat => json!({ "chat": chat }),
    }
}

#[tokio::test]
async fn prompts_and_targets_are_those_of_the_reference() {
    let data = tempfile::tempdir().unwrap();
    let host = host(data.path(), &MODELS[..1]);
    for task in tasks() {
        let recorded = read(&golden().join("expected/prompts").join(format!("{task}.json")));
        for (name, case) in recorded["cases"].as_object().unwrap() {
            let (_, samples) = evaluate(&host, &order(MODELS[0], &task, case)).await;
            let documents = case["documents"].as_array().unwrap();
            assert_eq!(samples.len(), documents.len(), "{task}, {name}");
            for (document, sample) in documents.iter().zip(&samples) {
                let place = format!("{task}, {name}, sample {}", sample["id"]);
                let calls = sample["calls"][0]["request"].as_array().unwrap();
                let requests = document["requests"].as_array().unwrap();
                assert_eq!(calls.len(), requests.len(), "{place}");
                check_target(&place, sample, &document["target"]);
                for (call, request) in calls.iter().zip(requests) {
                    match sample["calls"][0]["kind"].as_str().unwrap() {
                        "log-likelihood" => {
                            assert_eq!(call["context"], asked(request), "{place}");
                            assert_eq!(call["continuation"], request["continuation"], "{place}");
                        }
                        "generate" => {
                            assert_eq!(call["prompt"], asked(request), "{place}");
                            assert_eq!(call["sampling"]["stop"], request["until"], "{place}");
                        }
                        _ => assert_eq!(call, &request["prompt"], "{place}"),
                    }
                }
            }
        }
    }
}

/// The reference's target is the index of the right choice, or of several, or the text that is right.
fn check_target(place: &str, sample: &Value, target: &Value) {
    match (sample["calls"][0]["kind"].as_str().unwrap(), target) {
        ("log-likelihood", Value::Number(_) | Value::Array(_)) => {
            let right = target.as_array().map_or(std::slice::from_ref(target), Vec::as_slice);
            let is_right = right.contains(&sample["detail"]["choice"]);
            let metrics = sample["metrics"].as_array().unwrap();
            let acc = metrics.iter().find(|metric| metric["name"] == "acc").unwrap();
            assert_eq!(acc["value"], if is_right { 1.0 } else { 0.0 }, "{place}: {target}");
        }
        ("log-likelihood", text) => {
            let continuation = sample["calls"][0]["request"][0]["continuation"].as_str().unwrap();
            assert_eq!(continuation.trim(), text.as_str().unwrap().trim(), "{place}");
        }
        ("generate", text) => assert_eq!(&sample["target"]["answer"], text, "{place}"),
        // The text of a rolling log-likelihood is its own target.
        _ => assert_eq!(&sample["calls"][0]["request"][0], target, "{place}"),
    }
}

/// Whether a model chose right says little of a row where it chose wrong. As an example for others, a row shows its
/// right choice.
#[tokio::test]
async fn the_right_choice_of_every_row_is_that_of_the_reference() {
    let data = tempfile::tempdir().unwrap();
    let host = host(data.path(), &MODELS[..1]);
    let mut rows = 0;
    for task in tasks() {
        let recorded = read(&golden().join("expected/prompts").join(format!("{task}.json")));
        let case = &recorded["cases"]["zero-shot"];
        let documents = case["documents"].as_array().unwrap();
        if !documents.iter().all(|document| document["target"].is_number() || document["target"].is_array()) {
            continue;
        }
        let mut order = order(MODELS[0], &task, case);
        order["limit"] = json!(1);
        let (benchmark, _) = evaluate(&host, &order).await;
        order["few_shot"] = json!(documents.len());
        order["few_shot_split"] = benchmark["split"].clone();
        order["few_shot_sampling"] = json!("first");
        order["few_shot_exclude_evaluated"] = json!(false);
        let (benchmark, samples) = evaluate(&host, &order).await;
        let shown = samples[0]["calls"][0]["request"][0]["context"]["text"].as_str().unwrap();
        let description = benchmark["config"]["description"].as_str().unwrap_or("");
        for document in documents {
            let first = document["target"].get(0).unwrap_or(&document["target"]);
            let right = &document["requests"][usize::try_from(first.as_u64().unwrap()).unwrap()];
            let question = right["prompt"].as_str().unwrap().strip_prefix(description).unwrap();
            let continuation = right["continuation"].as_str().unwrap();
            let begins = benchmark["config"]["answer_prefix"].as_str().is_some_and(|begin| !begin.is_empty());
            // In an example a space parts the answer from its given beginning, whatever the delimiter.
            let answer =
                if begins { format!(" {}", continuation.trim_start()) } else { continuation.to_owned() };
            let example = format!("{question}{answer}");
            assert!(shown.contains(&format!("{example}\n\n")), "{task}: {example:?} is not in {shown}");
            rows += 1;
        }
    }
    assert!(rows >= 50, "{rows} rows have a right choice");
}

/// How `generate-until` reads and scores answers to it is tested with the config that was recorded.
#[test]
fn the_answers_recorded_for_gsm8k_are_judged_by_the_config_of_its_preset() {
    let data = tempfile::tempdir().unwrap();
    let shown = json_of(&run(data.path(), &["presets", "show", "gsm8k", "--format", "json"]));
    let recorded =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/generate-until/src/golden/lm_eval.json");
    let recorded = read(&recorded);
    assert_eq!(recorded["tasks"][0]["name"], "gsm8k");
    assert_eq!(recorded["tasks"][0]["config"], shown["config"]);
}

/// What the reference calls a metric of ours.
fn key(metric: &Value, suffix: &str) -> String {
    let filter = metric["filter"].as_str().unwrap_or("none");
    format!("{}{suffix},{filter}", metric["name"].as_str().unwrap())
}

fn near(ours: &Value, expected: &Value, tolerance: f64) -> bool {
    match (ours.as_f64(), expected.as_f64()) {
        (Some(ours), Some(expected)) => (ours - expected).abs() <= tolerance * expected.abs().max(1.0),
        // Where the reference has no standard error, neither have we.
        (ours, expected) => ours == expected,
    }
}

#[tokio::test]
async fn sums_and_metrics_are_those_of_the_reference() {
    let data = tempfile::tempdir().unwrap();
    let host = host(data.path(), &MODELS);
    for model in MODELS {
        let recorded = read(&golden().join("expected/scores").join(format!("{model}.json")));
        let mut greedy = 0;
        for (task, cases) in recorded["tasks"].as_object().unwrap() {
            let prompts = read(&golden().join("expected/prompts").join(format!("{task}.json")));
            for (name, expected) in cases.as_object().unwrap() {
                let (benchmark, samples) =
                    evaluate(&host, &order(model, task, &prompts["cases"][name])).await;
                let responses = expected["responses"].as_array().unwrap();
                assert_eq!(samples.len(), responses.len());
                for (sample, responses) in samples.iter().zip(responses) {
                    let place = format!("{model}, {task}, {name}, sample {}", sample["id"]);
                    let call = &sample["calls"][0];
                    for (place_in_call, response) in responses.as_array().unwrap().iter().enumerate() {
                        let ours = &call["response"][place_in_call];
                        match response {
                            Value::String(text) => assert_eq!(&ours["text"], text, "{place}"),
                            Value::Array(pair) => {
                                assert!(near(&ours["sum"], &pair[0], SUM), "{place}: {ours}, not {response}");
                                assert_eq!(ours["is_greedy"], pair[1], "{place}");
                                greedy += usize::from(pair[1] == true);
                            }
                            sum => {
                                let tolerance = SUM + 1e-5 * sum.as_f64().unwrap().abs();
                                assert!(near(&ours["sum"], sum, tolerance), "{place}: {ours}, not {sum}");
                            }
                        }
                    }
                }
                check_metrics(
                    &format!("{model}, {task}, {name}"),
                    &benchmark,
                    &samples,
                    &expected["metrics"],
                );
            }
        }
        assert!(greedy > 0, "{model} would have written none of the texts by itself");
    }
}

/// Metrics that count right answers are equal. Those of sums differ as the sums do, and are equal from ours.
fn check_metrics(place: &str, benchmark: &Value, samples: &[Value], expected: &Value) {
    let metrics = benchmark["metrics"].as_array().unwrap();
    let values = expected.as_object().unwrap().keys().filter(|key| !key.contains("_stderr")).count();
    assert_eq!(metrics.len(), values, "{place}: {metrics:?}, {expected}");
    for metric in metrics {
        let (value, stderr) = (&expected[key(metric, "")], &expected[key(metric, "_stderr")]);
        let name = metric["name"].as_str().unwrap();
        let of_sums = name.contains("perplexity") || name == "bits_per_byte";
        if !of_sums {
            assert!(near(&metric["value"], value, METRIC), "{place}: {metric}, not {value}");
            assert!(near(&metric["stderr"], stderr, METRIC), "{place}: {metric}, not {stderr}");
            continue;
        }
        assert!(near(&metric["value"], value, 1e-2), "{place}: {metric}, not {value}");
        assert!(near(&metric["stderr"], stderr, 1e-2), "{place}: {metric}, not {stderr}");
        let measured = samples.iter().flat_map(|sample| sample["metrics"].as_array().unwrap());
        let (sum, weight) =
            measured.filter(|measured| measured["name"] == name).fold((0.0, 0.0), |sums, one| {
                (sums.0 + one["value"].as_f64().unwrap(), sums.1 + one["weight"].as_f64().unwrap())
            });
        let from_ours = match name {
            "bits_per_byte" => -sum / weight / std::f64::consts::LN_2,
            _ => (-sum / weight).exp(),
        };
        assert!(near(&metric["value"], &json!(from_ours), METRIC), "{place}: {metric}, not {from_ours}");
    }
}

#[test]
fn a_group_runs_the_members_whose_data_is_there_and_puts_them_together() {
    let data = tempfile::tempdir().unwrap();
    let samples = data.path().join("samples.jsonl");
    let rows = golden().join("data");
    for model in MODELS {
        let model_folder = fixture(model);
        let arguments = [
            "run",
            "--model",
            model_folder.to_str().unwrap(),
            "--task",
            "mmlu",
            "--dataset",
            rows.to_str().unwrap(),
            "--few-shot",
            "2",
            "--format",
            "json",
            "--samples",
            samples.to_str().unwrap(),
        ];
        let group = json_of(&run(data.path(), &arguments));
        let mut members: Vec<&str> = group["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["name"].as_str().unwrap())
            .collect();
        members.sort_unstable();
        assert_eq!(members, ["mmlu_abstract_algebra", "mmlu_us_foreign_policy", "mmlu_virology"]);
        assert_eq!(group["skipped"].as_array().unwrap().len(), 54);
        let expected = read(&golden().join("expected/scores").join(format!("{model}.json")));
        let [metric] = &group["metrics"].as_array().unwrap()[..] else { panic!("{group:#}") };
        assert!(near(&metric["value"], &expected["mmlu"]["acc,none"], METRIC), "{metric}, {expected:#}");
        assert!(near(&metric["stderr"], &expected["mmlu"]["acc_stderr,none"], METRIC), "{metric}");
        assert_eq!(metric["count"], 9);
        let lines = std::fs::read_to_string(&samples).unwrap();
        assert_eq!(lines.lines().count(), 9);
        assert!(lines.lines().all(|line| line.contains("\"preset\":\"mmlu_")));
    }
}
