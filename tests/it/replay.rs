//! Judging anew what a benchmark recorded: by the same task, by one that asks something else, and by a scorer alone.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Host, bundled_model, cheating_plugin, content, copy_folder, json_of, metric, run, run_with_samples,
    stderr_of,
};

fn id(benchmark: &Value) -> &str {
    benchmark["id"].as_str().unwrap()
}

/// A copy of the bundled model, which can be taken away.
fn own_model(data: &Path) -> String {
    let folder = data.join("own-model");
    copy_folder(&bundled_model(), &folder);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_run_is_replayed_bit_for_bit_without_its_model() {
    let data = tempfile::tempdir().unwrap();
    let model = own_model(data.path());
    let sampled = r#"{"max_tokens": 6, "temperature": 1.0}"#;
    let runs = [
        [
            "--task",
            "multiple-choice",
            "--dataset",
            "capitals",
            "--few-shot",
            "3",
            "--few-shot-sampling",
            "random",
        ],
        ["--task", "generate-until", "--dataset", "reading", "--config", sampled, "--few-shot", "0"],
    ];
    let ran = runs.map(|task| {
        run_with_samples(data.path(), &[&["run", "--model", &model, "--limit", "12"][..], &task].concat())
    });
    std::fs::remove_dir_all(&model).unwrap();

    for ((first, samples), task) in ran.iter().zip(["multiple-choice", "generate-until"]) {
        let (again, replayed) = run_with_samples(data.path(), &["rescore", id(first), "--task", task]);
        assert_eq!(content(&replayed), content(samples));
        assert!(replayed.iter().all(|sample| sample["differs"] == false));
        assert_eq!((&again["metrics"], &again["status"]), (&first["metrics"], &json!("completed")));
        let source = &again["source"];
        assert_eq!((&source["benchmark"], &source["takes"]), (&first["id"], &json!("calls")));
        let agreement = json!({ "identical": true, "compared": 12, "differing": 0, "samples": [] });
        assert_eq!(source["agreement"], agreement);
        let speed = &again["speed"];
        assert_eq!((&speed["prompt_tokens"], &speed["completion_tokens"]), (&json!(0), &json!(0)));
        for rate in ["samples_per_s", "prompt_tokens_per_s", "completion_tokens_per_s"] {
            assert!(speed[rate].is_null(), "{rate}: {speed:#}");
        }
        // The record of a replay can be replayed, too.
        let (third, _) = run_with_samples(data.path(), &["rescore", id(&again), "--task", task]);
        assert_eq!(third["source"]["agreement"]["identical"], true);
    }

    let first = &ran[0].0;
    let replay = run(data.path(), &["rescore", id(first), "--task", "multiple-choice"]);
    let table = String::from_utf8_lossy(&replay.stdout).into_owned();
    let expected = format!("replay of {}, of multiple-choice@", id(first));
    assert!(table.contains(&expected) && table.contains(": all 12 samples are identical"), "{table}");
    let listed = json_of(&run(data.path(), &["benchmarks", "list", "--format", "json"]));
    let compared = run(data.path(), &["benchmarks", "compare", id(first), id(&listed[0])]);
    let table = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert!(table.contains("12 samples paired") && table.contains("replay of"), "{table}");
}

#[test]
fn answers_of_the_response_cache_and_failed_samples_are_replayed() {
    let data = tempfile::tempdir().unwrap();
    let rows = data.path().join("rows.jsonl");
    let good =
        |n| format!("{{\"question\": \"What is {n}?\", \"choices\": [\"a\", \"b\"], \"answer\": 1}}\n");
    let text =
        good(1) + "{ broken\n" + &good(2) + "{\"question\": \"no choices?\", \"answer\": 0}\n" + &good(3);
    std::fs::write(&rows, text).unwrap();
    let rows = rows.to_str().unwrap();
    let arguments =
        ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", rows, "--max-failed", "1"];
    let (first, _) = run_with_samples(data.path(), &arguments);
    let (cached, samples) = run_with_samples(data.path(), &arguments);
    assert_eq!((&cached["speed"]["cached_calls"], &cached["samples"]["failed"]), (&json!(3), &json!(2)));

    for benchmark in [&first, &cached] {
        let (again, replayed) =
            run_with_samples(data.path(), &["rescore", id(benchmark), "--task", "multiple-choice"]);
        assert_eq!(content(&replayed), content(&samples));
        assert_eq!(again["failures"], cached["failures"]);
        assert_eq!(again["source"]["agreement"]["identical"], true);
    }

    std::fs::write(rows, good(1)).unwrap();
    let changed = run(data.path(), &["rescore", id(&first), "--task", "multiple-choice"]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(stderr_of(&changed).contains("is not the one that the benchmark was created on"));
    std::fs::remove_file(rows).unwrap();
    let gone = run(data.path(), &["rescore", id(&first), "--task", "multiple-choice"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(stderr_of(&gone).contains("there is no file"), "{}", stderr_of(&gone));
}

#[test]
fn what_a_task_asks_anew_fails_as_not_recorded_and_is_named() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "multiple-choice",
        "--dataset",
        "capitals",
        "--limit",
        "4",
    ];
    let (first, _) = run_with_samples(data.path(), &arguments);
    let file = data.path().join("samples.jsonl");
    let to_file = ["--samples", file.to_str().unwrap(), "--format", "json"];
    let cheater = cheating_plugin();
    let changed = r#"{"prompt": "Tell me: {{ question }}"}"#;
    let others: [&[&str]; 2] =
        [&["--task", cheater.to_str().unwrap()], &["--task", "multiple-choice", "--config", changed]];
    for (other, begins) in others.into_iter().zip(["Answer quickly. What", "Tell me: What"]) {
        let output = run(data.path(), &[&["rescore", id(&first)], other, &to_file].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
        let benchmark: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(benchmark["failures"], json!({ "not-recorded": 4 }));
        let error = benchmark["error"].as_str().unwrap();
        let expected = format!(
            "no answer is recorded for a `log-likelihood` call of `subject`; it begins with \"{begins}"
        );
        assert!(error.contains(&expected), "{error}");
        let text = std::fs::read_to_string(&file).unwrap();
        let sample: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(sample["error"]["phase"], "solve");
        assert_eq!(sample["calls"][0]["error_code"], "not-recorded");
    }
}

#[test]
fn a_scorer_judges_stored_solutions_without_the_model() {
    let data = tempfile::tempdir().unwrap();
    let model = own_model(data.path());
    let arguments =
        ["run", "--model", &model, "--task", "multiple-choice", "--dataset", "capitals", "--limit", "20"];
    let (first, _) = run_with_samples(data.path(), &arguments);
    std::fs::remove_dir_all(&model).unwrap();

    // A scorer that exports no solver, and knows nothing of the task but its answers.
    let config = r#"{"choices": "choices"}"#;
    let rescore =
        |scorer: &[&str]| run_with_samples(data.path(), &[&["rescore", id(&first)], scorer].concat());
    let (other, samples) = rescore(&["--scorer", "answer-match", "--config", config]);
    assert_eq!(metric(&other, "answer_match").to_bits(), metric(&first, "acc").to_bits());
    assert_eq!(other["source"]["takes"], "solutions");
    assert!(other["source"]["agreement"].is_null(), "other metrics are not compared");
    assert!(samples.iter().all(|sample| sample["calls"].as_array().unwrap().is_empty()));
    assert!(other["speed"]["samples_per_s"].is_null());

    // The scorer of the task, which takes over its settings.
    let (same, _) = rescore(&["--scorer", "multiple-choice"]);
    assert_eq!(same["metrics"], first["metrics"]);
    assert_eq!(same["source"]["agreement"]["identical"], true);

    let refused = |arguments: &[&str], expected: &str| {
        let output = run(data.path(), &[&["rescore"], arguments].concat());
        assert_ne!(output.status.code(), Some(0));
        assert!(stderr_of(&output).contains(expected), "{}", stderr_of(&output));
    };
    let scorer = |extra: [&'static str; 2]| [id(&first), "--scorer", "answer-match", extra[0], extra[1]];
    refused(&[id(&first)], "--task");
    refused(&[id(&first), "--task", "answer-match"], "as a scorer it can judge the solutions");
    refused(&scorer(["--part", "judge=tiny-llama"]), "no part `judge` to bind");
    refused(&scorer(["--config", r#"{"answer": "reply"}"#]), "has no column `reply`");
    refused(&[id(&same), "--task", "multiple-choice"], "give the task to that one");
    refused(&["0192e4a0-0000-7000-8000-000000000000", "--task", "multiple-choice"], "there is no benchmark");
}

#[tokio::test]
async fn a_record_is_judged_over_the_api_once_its_benchmark_has_ended() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let slow = json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96 },
    });
    let running = host.create(&slow).await;
    let rescore = |id: &str, body: Value| {
        host.request(Method::POST, &format!("/api/v1/benchmarks/{id}/rescore")).json(&body)
    };
    let (status, problem) = host.refusal(rescore(&running, json!({ "task": "generate-until" }))).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (409, Some("benchmark-not-finished")));
    host.wait_until(&running, |benchmark| benchmark["samples"]["completed"].as_u64() >= Some(3)).await;
    host.request(Method::POST, &format!("/api/v1/benchmarks/{running}/cancel")).send().await.unwrap();
    let cancelled = host.ended(&running).await;
    let (status, problem) = host.refusal(rescore(&running, json!({}))).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (400, Some("invalid-rescore")));

    // What was done of it is judged, no more.
    let response = rescore(&running, json!({ "task": "generate-until" })).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let queued: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/api/v1/benchmarks/{}", id(&queued)));
    let ended = host.ended(id(&queued)).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["samples"]["total"], cancelled["samples"]["completed"]);
    assert_eq!(ended["source"]["agreement"]["identical"], true);
    assert_eq!(content(&host.samples(id(&ended)).await), content(&host.samples(&running).await));
    let path = format!("/api/v1/benchmarks/{running}/comparison?with={}", id(&ended));
    let comparison = host.get(&path).await;
    assert_eq!(comparison["second"]["source"]["benchmark"], running.as_str());
    assert!(comparison["first"]["source"].is_null());
}
