//! What a host's end does to the work in hand.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Host;

/// Slow enough to be caught in the middle: one sample at a time, each of many tokens.
fn slow_order() -> Value {
    json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96 },
    })
}

fn under_way(benchmark: &Value) -> bool {
    benchmark["samples"]["completed"].as_u64() >= Some(3)
}

/// What a sample that was not executed again keeps: its very duration.
fn fingerprints(samples: &[Value]) -> BTreeSet<String> {
    samples.iter().map(|sample| format!("{} {}", sample["id"], sample["duration_ms"])).collect()
}

async fn assert_complete(host: &Host, id: &str, before: &[Value]) {
    let ended = host.ended(id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let samples = host.samples(id).await;
    let total = ended["samples"]["total"].as_u64().unwrap();
    let ids: Vec<_> = samples.iter().map(|sample| sample["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..total).map(|index| index.to_string()).collect::<Vec<_>>());
    assert_eq!(ended["samples"]["completed"].as_u64(), Some(total));
    let missing: Vec<_> = fingerprints(before).difference(&fingerprints(&samples)).cloned().collect();
    assert!(missing.is_empty(), "finished samples were lost or executed again: {missing:?}");
}

#[tokio::test]
async fn a_benchmark_goes_on_after_sigkill_and_loses_no_finished_sample() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let id = host.create(&slow_order()).await;
    host.wait_until(&id, under_way).await;
    let before = host.samples(&id).await;
    host.kill();

    let host = Host::start(data.path());
    let resumed = host.get(&format!("/api/v1/benchmarks/{id}")).await;
    assert!(
        resumed["samples"]["completed"].as_u64() < resumed["samples"]["total"].as_u64(),
        "killed too late"
    );
    assert_complete(&host, &id, &before).await;
}

#[tokio::test]
async fn sigterm_puts_a_benchmark_back_and_the_next_start_takes_it_up() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let id = host.create(&slow_order()).await;
    host.wait_until(&id, under_way).await;
    let before = host.samples(&id).await;
    assert_eq!(host.terminate().code(), Some(0));

    let host = Host::start(data.path());
    assert_complete(&host, &id, &before).await;
}

#[tokio::test]
async fn a_cancelled_benchmark_keeps_what_is_finished() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let running = host.create(&slow_order()).await;
    host.wait_until(&running, under_way).await;
    let request = host.request(reqwest::Method::POST, &format!("/api/v1/benchmarks/{running}/cancel"));
    assert_eq!(request.send().await.unwrap().status(), 202);
    let ended = host.ended(&running).await;
    assert_eq!(ended["status"], "cancelled");
    let completed = ended["samples"]["completed"].as_u64().unwrap();
    assert!((3..ended["samples"]["total"].as_u64().unwrap()).contains(&completed), "{ended:#}");
    assert_eq!(host.samples(&running).await.len() as u64, completed);

    let again = host.request(reqwest::Method::POST, &format!("/api/v1/benchmarks/{running}/cancel"));
    let (status, problem) = host.refusal(again).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (409, Some("benchmark-ended")));
}

#[tokio::test]
async fn a_run_stopped_by_sigterm_prints_what_it_has() {
    let data = tempfile::tempdir().unwrap();
    let config = r#"{"until": ["\u0001"], "max_tokens": 96}"#;
    let mut process = std::process::Command::new(crate::support::program())
        .args(["run", "--model", "tiny-llama", "--task", "generate-until", "--dataset", "reading"])
        .args(["--concurrency", "1", "--config", config, "--format", "json"])
        .env("LLM_BENCH_DATA_DIR", data.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The database tells when some samples are finished.
    loop {
        let listed = crate::support::run(data.path(), &["benchmarks", "list", "--format", "json"]);
        let listed = crate::support::json_of(&listed);
        if listed.as_array().is_some_and(|all| all.first().is_some_and(under_way)) {
            break;
        }
        assert!(process.try_wait().unwrap().is_none(), "the run ended before it was stopped");
    }
    let id = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let benchmark: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(benchmark["status"], "cancelled");
    assert!(under_way(&benchmark), "{benchmark:#}");
}
