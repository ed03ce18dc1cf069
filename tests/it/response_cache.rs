//! Model calls that were recorded before are answered from their record: marked, with the same
//! measurements and without rates.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Host, bundled_model, copy_folder, run, run_with_samples};

const SCORING: [&str; 9] =
    ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", "capitals", "--limit", "6"];
const SAMPLED: [&str; 11] = [
    "run",
    "--model",
    "tiny-llama",
    "--task",
    "generate-until",
    "--dataset",
    "reading",
    "--limit",
    "4",
    "--config",
    r#"{"max_tokens": 6, "temperature": 1.0}"#,
];

/// The benchmark, and its samples.
fn run_with(data: &Path, arguments: &[&str], extra: &[&str]) -> (Value, Vec<Value>) {
    run_with_samples(data, &[arguments, extra].concat())
}

fn calls(samples: &[Value]) -> impl Iterator<Item = &Value> {
    samples.iter().flat_map(|sample| sample["calls"].as_array().unwrap())
}

fn cached(samples: &[Value]) -> usize {
    calls(samples).filter(|call| call["cached"] == true).count()
}

/// What a sample is besides its times and whether the model was asked.
fn content(samples: &[Value]) -> Vec<Value> {
    let without_times = |sample: &Value| {
        let mut sample = sample.clone();
        sample.as_object_mut().unwrap().remove("duration_ms");
        for call in sample["calls"].as_array_mut().unwrap() {
            let call = call.as_object_mut().unwrap();
            call.remove("timings");
            call.remove("cached");
        }
        sample
    };
    samples.iter().map(without_times).collect()
}

#[test]
fn a_repeated_run_is_answered_from_records_with_the_same_samples_and_no_speed() {
    let data = tempfile::tempdir().unwrap();
    let (first, asked) = run_with(data.path(), &SCORING, &[]);
    assert_eq!(cached(&asked), 0);
    assert_eq!(first["speed"]["cached_calls"], 0);
    assert!(first["speed"]["prompt_tokens"].as_u64() > Some(0));

    let (second, found) = run_with(data.path(), &SCORING, &[]);
    assert_eq!(content(&found), content(&asked));
    assert_eq!(second["metrics"], first["metrics"]);
    assert_eq!(cached(&found), calls(&found).count());
    assert!(calls(&found).all(|call| call["timings"].is_null() && call["tokens"]["prompt"] != 0));
    let speed = &second["speed"];
    assert_eq!((&speed["cached_samples"], &speed["cached_calls"]), (&json!(6), &json!(6)));
    assert_eq!((&speed["prompt_tokens"], &speed["completion_tokens"]), (&json!(0), &json!(0)));
    for rate in ["samples_per_s", "prompt_tokens_per_s", "completion_tokens_per_s"] {
        assert!(speed[rate].is_null(), "{rate}: {speed:#}");
    }

    // More rows: those that are new are the model's, and alone in the counts. Nobody can tell their seconds from the
    // others', so there is no rate.
    let more = [&SCORING[..8], &["8"]].concat();
    let (third, mixed) = run_with(data.path(), &more, &[]);
    assert_eq!((cached(&mixed), calls(&mixed).count()), (6, 8));
    assert_eq!(third["speed"]["cached_samples"], 6);
    assert!(third["speed"]["samples_per_s"].is_null(), "{third:#}");
    let tokens: u64 =
        mixed[6..].iter().map(|sample| sample["calls"][0]["tokens"]["prompt"].as_u64().unwrap()).sum();
    assert_eq!(third["speed"]["prompt_tokens"], tokens);
}

#[test]
fn a_run_may_refuse_recorded_answers_and_gets_the_same_samples() {
    let data = tempfile::tempdir().unwrap();
    // One sample at a time: what is computed together decides the last digits.
    let (first, asked) = run_with(data.path(), &SCORING, &["--concurrency", "1"]);
    let (second, again) = run_with(data.path(), &SCORING, &["--no-response-cache", "--concurrency", "1"]);
    assert_eq!((&first["response_cache"], &second["response_cache"]), (&json!(true), &json!(false)));
    assert_eq!(cached(&again), 0);
    assert_eq!(content(&again), content(&asked));
    assert_eq!(second["speed"]["prompt_tokens"], first["speed"]["prompt_tokens"]);
}

#[test]
fn the_table_tells_what_was_not_measured() {
    let data = tempfile::tempdir().unwrap();
    run(data.path(), &SCORING);
    let output = run(data.path(), &SCORING);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("– samples/s, – prompt and – generated tokens/s"), "{table}");
    assert!(table.contains("6 of 6 samples have answers from the response cache (6 calls)"), "{table}");
}

#[test]
fn sampled_generations_are_found_by_their_seed() {
    let data = tempfile::tempdir().unwrap();
    let (_, asked) = run_with(data.path(), &SAMPLED, &["--seed", "1"]);
    let (_, again) = run_with(data.path(), &SAMPLED, &["--seed", "1"]);
    assert_eq!(cached(&again), calls(&asked).count());
    assert_eq!(content(&again), content(&asked));
    let (_, other) = run_with(data.path(), &SAMPLED, &["--seed", "2"]);
    assert_eq!(cached(&other), 0);
    assert_ne!(content(&other), content(&asked));
}

#[test]
fn greedy_generations_are_found_whatever_the_seed() {
    let data = tempfile::tempdir().unwrap();
    let greedy = [&SAMPLED[..10], &[r#"{"max_tokens": 6}"#]].concat();
    let (_, asked) = run_with(data.path(), &greedy, &["--seed", "1"]);
    let (_, again) = run_with(data.path(), &greedy, &["--seed", "2"]);
    assert_eq!(cached(&again), calls(&asked).count());
}

#[test]
fn another_model_is_asked_itself_whatever_its_name() {
    let data = tempfile::tempdir().unwrap();
    let copy = data.path().join("copy");
    copy_folder(&bundled_model(), &copy);
    let on = |model: &Path| {
        let model = model.to_str().unwrap();
        let arguments = [&["run", "--model", model], &SCORING[3..]].concat();
        run_with(data.path(), &arguments, &[])
    };
    run_with(data.path(), &SCORING, &[]);
    let (benchmark, samples) = on(&copy);
    assert_eq!(cached(&samples), 6, "the same files under another name are the same model");

    // A line break more, which means nothing to JSON: another digest all the same.
    let settings = copy.join("generation_config.json");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n")).unwrap();
    let (changed, samples) = on(&copy);
    assert_ne!(changed["model_digest"], benchmark["model_digest"]);
    assert_eq!(cached(&samples), 0);
}

#[tokio::test]
async fn an_order_over_the_api_may_refuse_recorded_answers() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let mut order =
        json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "limit": 3 });
    let mut counts = Vec::new();
    for response_cache in [None, None, Some(false), Some(true)] {
        if let Some(response_cache) = response_cache {
            order["response_cache"] = json!(response_cache);
        }
        let ended = host.ended(&host.create(&order).await).await;
        counts.push(ended["speed"]["cached_calls"].as_u64().unwrap());
    }
    assert_eq!(counts, [0, 3, 0, 3]);
}
