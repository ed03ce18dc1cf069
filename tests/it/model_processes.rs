//! Models in child processes of the host: what ends one ends neither the host nor another model.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::processes::{children, signal};
use crate::support::{Host, copy_folder, fixture, json_of, program, run, stderr_of};

/// Samples in flight of a slow order: so many that the model always has a call.
const CONCURRENCY: u64 = 4;

/// Slow enough to be caught in the middle.
fn slow_order(model: &str) -> Value {
    json!({
        "model": model, "task": "generate-until", "dataset": "reading", "concurrency": CONCURRENCY, "max_failed": 1.0,
        "limit": 40, "config": { "until": ["\u{1}"], "max_tokens": 48 },
    })
}

fn quick_order(model: &str) -> Value {
    json!({ "model": model, "task": "multiple-choice", "dataset": "capitals", "limit": 3, "max_failed": 1.0 })
}

fn under_way(benchmark: &Value) -> bool {
    benchmark["samples"]["completed"].as_u64() >= Some(3)
}

/// The ids of the processes that a host runs models in.
fn model_processes(host: u32) -> Vec<u32> {
    children(host, "run-model")
}

fn is_alive(process: u32) -> bool {
    // A process that has ended and is not waited for yet has no command any more.
    std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|command| !command.is_empty())
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(1), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Puts a model of the runner's tests into the data folder, some with another graph.
fn install(data: &Path, name: &str, graph: Option<&str>) {
    let folder = data.join("models").join(name);
    copy_folder(&fixture("llama"), &folder);
    if let Some(graph) = graph {
        std::fs::copy(fixture("hostile").join(format!("{graph}.onnx")), folder.join("model.onnx")).unwrap();
    }
}

/// The names of the errors that a benchmark's calls ended with.
async fn error_codes(host: &Host, id: &str) -> Vec<String> {
    let samples = host.samples(id).await;
    let failed = samples.iter().filter(|sample| sample["status"] == "failed");
    let calls = failed.flat_map(|sample| {
        assert_eq!(sample["error"]["kind"], "model-error", "{sample:#}");
        sample["calls"].as_array().unwrap().iter().filter_map(|call| call["error_code"].as_str())
    });
    calls.map(str::to_owned).collect()
}

/// The samples that were in flight failed by that name, and no other.
async fn assert_failed_in_flight(host: &Host, ended: &Value, code: &str) {
    let failed = ended["samples"]["failed"].as_u64().unwrap();
    assert!((1..=CONCURRENCY).contains(&failed), "{ended:#}");
    let codes = error_codes(host, ended["id"].as_str().unwrap()).await;
    assert!(!codes.is_empty() && codes.iter().all(|found| found == code), "{codes:?}");
}

#[tokio::test]
async fn a_killed_model_fails_the_samples_in_flight_by_name_and_the_host_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let id = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&id, under_way).await;
    let [killed] = model_processes(host.id())[..] else { panic!("one model has one process") };
    signal(killed, "KILL");

    let ended = host.ended(&id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_failed_in_flight(&host, &ended, "model-crashed").await;
    let [replacement] = model_processes(host.id())[..] else { panic!("another process took its place") };
    assert_ne!(replacement, killed);

    let next = host.create(&quick_order("tiny-llama")).await;
    assert_eq!(host.ended(&next).await["samples"]["completed"], 3);
}

#[tokio::test]
async fn a_model_that_stands_still_is_replaced_at_its_deadline() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_with(data.path(), &["--model-deadline-s", "10"]);
    let id = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&id, under_way).await;
    let [stopped] = model_processes(host.id())[..] else { panic!("one model has one process") };
    signal(stopped, "STOP");

    assert_failed_in_flight(&host, &host.ended(&id).await, "model-hung").await;
    assert!(!is_alive(stopped));
}

#[tokio::test]
async fn a_model_that_wants_more_memory_than_its_limit_fails_alone() {
    let data = tempfile::tempdir().unwrap();
    install(data.path(), "hungry", Some("memory-hungry"));
    let host = Host::start_with(data.path(), &["--model-memory-mib", "1024"]);
    let neighbour = host.create(&quick_order("tiny-llama")).await;
    let hungry = host.create(&quick_order("hungry")).await;
    let ended = host.ended(&hungry).await;
    assert_eq!(ended["samples"]["failed"], 3, "{ended:#}");
    let codes = error_codes(&host, &hungry).await;
    assert!(!codes.is_empty() && codes.iter().all(|code| code == "model-memory-limit"), "{codes:?}");
    assert_eq!(host.ended(&neighbour).await["samples"]["completed"], 3);
}

#[tokio::test]
async fn of_two_models_one_crashes_and_the_other_goes_on() {
    let data = tempfile::tempdir().unwrap();
    install(data.path(), "endless", Some("endless"));
    let host = Host::start(data.path());
    let crashing = host.create(&quick_order("endless")).await;
    wait_until("the endless model is loaded", || model_processes(host.id()).len() == 1).await;
    let [endless] = model_processes(host.id())[..] else { panic!("one model has one process") };
    let going_on = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&going_on, under_way).await;
    // Calls that come after the crash would be endless again: the file that is gone ends them.
    std::fs::remove_file(data.path().join("models/endless/model.onnx")).unwrap();
    signal(endless, "ABRT");

    let ended = host.ended(&crashing).await;
    assert_eq!(ended["samples"]["failed"], 3, "{ended:#}");
    assert!(error_codes(&host, &crashing).await.contains(&"model-crashed".to_owned()));
    let ended = host.ended(&going_on).await;
    assert_eq!(
        (&ended["status"], &ended["samples"]["failed"]),
        (&json!("completed"), &json!(0)),
        "{ended:#}"
    );
}

#[tokio::test]
async fn no_model_outlives_its_host_however_that_ends() {
    for (name, is_orderly) in [("TERM", true), ("INT", true), ("KILL", false)] {
        let data = tempfile::tempdir().unwrap();
        let host = Host::start(data.path());
        let id = host.create(&slow_order("tiny-llama")).await;
        host.wait_until(&id, under_way).await;
        let [model] = model_processes(host.id())[..] else { panic!("one model has one process") };
        if !is_orderly {
            // Not even one that cannot notice.
            signal(model, "STOP");
        }
        signal(host.id(), name);
        wait_until("the model's process ends", || !is_alive(model)).await;
    }
}

#[tokio::test]
async fn what_a_terminal_sends_to_the_hosts_group_does_not_reach_the_model() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let id = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&id, under_way).await;
    let [model] = model_processes(host.id())[..] else { panic!("one model has one process") };
    let stat = std::fs::read_to_string(format!("/proc/{model}/stat")).unwrap();
    let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap();
    assert_eq!(group, model.to_string(), "a group of its own");
}

#[test]
fn a_run_with_the_model_in_a_process_measures_what_a_run_without_it_does() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", "capitals"];
    let arguments = [&arguments[..], &["--limit", "20", "--format", "json"]].concat();
    let here = json_of(&run(data.path(), &arguments));
    let options = ["--model-process", "--model-memory-mib", "4096", "--model-threads", "1"];
    let there = json_of(&run(data.path(), &[&arguments[..], &options].concat()));
    assert_eq!(here["metrics"], there["metrics"]);
    assert_eq!(there["samples"]["completed"], 20);

    let output = run(data.path(), &[&arguments[..], &["--model-memory-mib", "4096"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("--model-process"), "{}", stderr_of(&output));
}

#[test]
fn the_hidden_command_is_no_command_for_people() {
    let process = Command::new(program()).arg("run-model").stdin(Stdio::piped()).output().unwrap();
    assert_eq!(process.status.code(), Some(0), "closed input is a parent that wants nothing");
    let mut process = Command::new(program())
        .arg("run-model")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut process.stdin.take().unwrap(), b"hello?\nis anybody there?\n").unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("the program itself starts this command"), "{}", stderr_of(&output));
}
