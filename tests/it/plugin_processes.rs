//! Guests in confined processes of the host: the same results, and what ends such a process ends nothing else.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::processes::{children, signal};
use crate::support::{Host, json_of, program, run};

const HERE: [&str; 2] = ["--sandbox-process", "in-process"];
const ISOLATED: [&str; 2] = ["--sandbox-process", "isolated"];

#[tokio::test]
async fn a_killed_process_of_guests_fails_the_samples_in_flight_by_name_and_the_benchmark_goes_on() {
    const CONCURRENCY: u64 = 4;
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_with(data.path(), &ISOLATED);
    let order = json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": CONCURRENCY,
        "max_failed": 1.0, "limit": 40, "config": { "until": ["\u{1}"], "max_tokens": 48 },
    });
    let id = host.create(&order).await;
    host.wait_until(&id, |benchmark| benchmark["samples"]["completed"].as_u64() >= Some(3)).await;
    // Built-in plugins have described themselves in processes of their own, which idle now: all of them end.
    let killed = children(host.id(), "run-guests");
    assert!(!killed.is_empty());
    for process in &killed {
        signal(*process, "KILL");
    }
    let ended = host.ended(&id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let failed = ended["samples"]["failed"].as_u64().unwrap();
    assert!((1..=CONCURRENCY).contains(&failed), "{ended:#}");
    assert_eq!(ended["failures"], json!({ "process-ended": failed }));
    for sample in host.samples(&id).await.iter().filter(|sample| sample["status"] == "failed") {
        let message = sample["error"]["message"].as_str().unwrap();
        assert!(message.contains("the process of the plugin ended: it was killed by signal 9"), "{message}");
    }
    assert!(children(host.id(), "run-guests").iter().all(|process| !killed.contains(process)));
}

#[test]
fn multiple_choice_gives_the_same_bytes_in_its_own_process() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", "capitals"];
    let mut seen = Vec::new();
    for (name, options) in [("here", HERE), ("there", ISOLATED)] {
        let samples = data.path().join(format!("{name}.jsonl"));
        let file = samples.to_str().unwrap();
        // One after the other: what a model computes beside it changes the last digits of a sum.
        let further = [
            "--limit",
            "20",
            "--concurrency",
            "1",
            "--format",
            "json",
            "--no-response-cache",
            "--samples",
            file,
        ];
        let report = json_of(&run(data.path(), &[&arguments[..], &further, &options].concat()));
        let lines = std::fs::read_to_string(samples).unwrap();
        let samples: Vec<Value> = lines
            .lines()
            .map(|line| {
                let mut sample: Value = serde_json::from_str(line).unwrap();
                // What the clock decides.
                sample.as_object_mut().unwrap().remove("duration_ms");
                for call in sample["calls"].as_array_mut().unwrap() {
                    call.as_object_mut()
                        .unwrap()
                        .retain(|key, _| !key.contains("timing") && !key.ends_with("_ms"));
                }
                sample
            })
            .collect();
        assert_eq!(samples.len(), 20);
        seen.push((report["metrics"].clone(), samples));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn the_hidden_command_is_no_command_for_people() {
    let process = Command::new(program()).arg("run-guests").stdin(Stdio::piped()).output().unwrap();
    assert_eq!(process.status.code(), Some(0), "closed input is a parent that wants nothing");
}
