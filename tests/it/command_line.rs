//! The command line as people and programs use it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Host, hostile_plugin, json_of, metric, program, run, stderr_of, target_folder};

const CAPITALS: [&str; 7] =
    ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", "capitals"];

fn with(extra: &[&'static str]) -> Vec<&'static str> {
    CAPITALS.iter().chain(extra).copied().collect()
}

#[test]
fn a_run_prints_json_and_writes_its_samples() {
    let data = tempfile::tempdir().unwrap();
    let samples = data.path().join("samples.jsonl");
    let mut arguments = with(&["--format", "json", "--samples"]);
    let path = samples.to_str().unwrap().to_owned();
    arguments.push(Box::leak(path.into_boxed_str()));
    let benchmark = json_of(&run(data.path(), &arguments));
    assert_eq!(benchmark["status"], "completed");
    assert_eq!(benchmark["model"], "tiny-llama");
    assert_eq!(benchmark["dataset"], "capitals");
    assert!(benchmark["task"].as_str().unwrap().starts_with("multiple-choice@"));
    assert!(metric(&benchmark, "acc") >= 0.9, "the bundled model knows its capitals: {benchmark:#}");

    let text = std::fs::read_to_string(&samples).unwrap();
    let samples: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(samples.len() as u64, benchmark["samples"]["total"].as_u64().unwrap());
    for (index, sample) in samples.iter().enumerate() {
        assert_eq!(sample["id"], index.to_string());
        for field in ["status", "metrics", "answer", "target", "calls", "fuel", "peak_memory_bytes", "error"]
        {
            assert!(sample.get(field).is_some(), "{field} is missing: {sample:#}");
        }
        for field in ["kind", "part", "request", "response", "tokens", "timings", "cached"] {
            assert!(sample["calls"][0].get(field).is_some(), "{field} is missing: {sample:#}");
        }
    }
}

#[test]
fn the_same_run_gives_the_same_numbers() {
    let data = tempfile::tempdir().unwrap();
    let once = json_of(&run(data.path(), &with(&["--format", "json", "--limit", "10"])));
    let again = ["--format", "json", "--limit", "10", "--concurrency", "1", "--no-response-cache"];
    let twice = json_of(&run(data.path(), &with(&again)));
    assert_eq!(once["metrics"], twice["metrics"]);
    assert_ne!(once["id"], twice["id"]);
}

#[test]
fn every_built_in_task_runs_on_its_bundled_dataset() {
    let data = tempfile::tempdir().unwrap();
    let cases = [
        ("multiple-choice", "opposites", "acc", 0.9..=1.0),
        ("multiple-choice", "arithmetic", "acc", 0.4..=1.0),
        ("generate-until", "reading", "exact_match", 0.8..=1.0),
        ("perplexity", "stories", "word_perplexity", 1.0..=50.0),
    ];
    for (task, dataset, name, expected) in cases {
        let arguments =
            ["run", "--model", "tiny-llama", "--task", task, "--dataset", dataset, "--format", "json"];
        let benchmark = json_of(&run(data.path(), &arguments));
        let value = metric(&benchmark, name);
        assert!(expected.contains(&value), "{task} on {dataset}: {name} is {value}");
    }
}

#[test]
fn a_preset_brings_its_dataset_and_the_user_overrides_it() {
    let data = tempfile::tempdir().unwrap();
    let arguments =
        ["run", "--model", "tiny-llama", "--task", "arithmetic-3-shot", "--limit", "2", "--format", "json"];
    let benchmark = json_of(&run(data.path(), &arguments));
    assert_eq!(
        (benchmark["dataset"].as_str(), benchmark["few_shot"].as_u64()),
        (Some("arithmetic"), Some(3))
    );
    let overridden = json_of(&run(data.path(), &[&arguments[..], &["--few-shot", "1"]].concat()));
    assert_eq!(overridden["few_shot"], 1);

    std::fs::create_dir(data.path().join("presets")).unwrap();
    std::fs::write(
        data.path().join("presets/mine.toml"),
        "plugin = \"perplexity\"\ndatasett = \"stories\"\n",
    )
    .unwrap();
    let output = run(data.path(), &["run", "--model", "tiny-llama", "--task", "mine"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr_of(&output);
    assert!(message.contains("mine.toml") && message.contains("datasett"), "{message}");
}

#[test]
fn a_component_from_a_file_runs_and_its_digest_can_be_pinned() {
    let data = tempfile::tempdir().unwrap();
    let component = hostile_plugin();
    let good = sha256_of(&component);
    let arguments = |task: String| -> Vec<String> {
        ["run", "--model", "tiny-llama", "--task", &task, "--dataset", "capitals", "--limit", "2"]
            .iter()
            .chain(&["--config", r#"{"behaviour": "honest"}"#, "--format", "json"])
            .map(|word| (*word).to_owned())
            .collect()
    };
    let run_task = |task: String| {
        let words = arguments(task);
        run(data.path(), &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let pinned = format!("{}@sha256:{good}", component.display());
    assert_eq!(json_of(&run_task(pinned))["samples"]["completed"], 2);
    let wrong = run_task(format!("{}@sha256:{}", component.display(), "0".repeat(64)));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr_of(&wrong).contains(&good), "{}", stderr_of(&wrong));
}

fn sha256_of(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum is there");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().expect("it prints a digest").to_owned()
}

#[test]
fn local_files_are_datasets_and_csv_too() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("mine.csv");
    std::fs::write(&file, "q,a,b,key\nWhat is the capital of France?,Rome,Paris,B\n").unwrap();
    let config =
        r#"{"prompt": "Question: {{ q }}\nAnswer:", "choices": ["{{ a }}", "{{ b }}"], "answer": "key"}"#;
    let file = file.to_str().unwrap();
    let arguments =
        ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", file, "--config", config];
    let output = run(data.path(), &[&arguments[..], &["--format", "json"]].concat());
    let benchmark = json_of(&output);
    assert_eq!(metric(&benchmark, "acc"), 1.0);

    let missing = format!("train={file},test=/nowhere/x.jsonl");
    let output =
        run(data.path(), &["run", "--model", "tiny-llama", "--task", "perplexity", "--dataset", &missing]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("/nowhere/x.jsonl"), "{}", stderr_of(&output));
}

#[test]
fn a_failed_benchmark_has_exit_code_1_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    let config = r#"{"behaviour": "panic"}"#;
    let component = hostile_plugin();
    let task = component.to_str().unwrap();
    let arguments = ["run", "--model", "tiny-llama", "--task", task, "--dataset", "capitals", "--limit", "3"];
    let output = run(data.path(), &[&arguments[..], &["--config", config, "--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let benchmark: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(benchmark["status"], "failed");
    assert_eq!(benchmark["failures"]["trap"], 3);
    assert!(stderr_of(&output).contains("3 of 3 samples failed"), "{}", stderr_of(&output));
}

#[test]
fn wrong_usage_has_exit_code_2_and_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["run", "--task", "perplexity"], "--model"),
        (&["run", "--model", "nope", "--task", "perplexity", "--dataset", "stories"], "tiny-llama"),
        (&["run", "--model", "tiny-llama", "--task", "nope", "--dataset", "stories"], "perplexity"),
        (&["run", "--model", "tiny-llama", "--task", "perplexity"], "brings no dataset"),
        (&with(&["--config", "{"]), "not JSON"),
        (&with(&["--config", r#"{"promt": 1}"#]), "promt"),
        (&with(&["--config", "@/nowhere.json"]), "/nowhere.json"),
        (&["benchmarks", "show", "x"], "not a benchmark id"),
    ];
    for (arguments, named) in cases {
        let output = run(data.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(named), "{arguments:?}: {}", stderr_of(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_port_in_use_is_named() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(data.path(), &["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr_of(&output);
    assert!(message.contains(&address) && message.contains("--listen"), "{message}");
}

#[test]
fn a_missing_library_is_named_with_the_way_out() {
    let data = tempfile::tempdir().unwrap();
    let without = |arguments: &[&str]| {
        Command::new(program())
            .args(arguments)
            .env("LLM_BENCH_DATA_DIR", data.path())
            .env("LLM_BENCH_ONNXRUNTIME", "/nowhere/libonnxruntime.so")
            .output()
            .unwrap()
    };
    let output = without(&CAPITALS);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr_of(&output);
    assert!(
        message.contains("/nowhere/libonnxruntime.so") && message.contains("LLM_BENCH_ONNXRUNTIME"),
        "{message}"
    );
    let doctor = without(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("MISSING"));
}

#[test]
fn a_provider_that_the_library_lacks_ends_a_command_before_its_work() {
    let data = tempfile::tempdir().unwrap();
    for command in [with(&["--provider", "openvino"]), vec!["serve", "--provider", "openvino"]] {
        let output = run(data.path(), &command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let message = stderr_of(&output);
        assert!(message.contains("no provider `openvino`, only `cpu`"), "{message}");
    }
    let misspelt = run(data.path(), &with(&["--provider", "gpu"]));
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(stderr_of(&misspelt).contains("tensorrt"), "{}", stderr_of(&misspelt));
    assert_eq!(
        json_of(&run(data.path(), &["benchmarks", "list", "--format", "json"])),
        serde_json::json!([])
    );
}

#[test]
fn the_doctor_finds_everything() {
    let data = tempfile::tempdir().unwrap();
    let findings = json_of(&run(data.path(), &["doctor", "--format", "json"]));
    let findings = findings.as_array().unwrap();
    for what in [
        "ONNX Runtime",
        "providers",
        "plugin contract",
        "GPU",
        "plugins",
        "models",
        "datasets",
        "data folder",
    ] {
        let finding = findings.iter().find(|finding| finding["what"] == what);
        assert_eq!(finding.unwrap_or_else(|| panic!("{what} is not told"))["ok"], true, "{what}");
    }
}

#[tokio::test]
async fn a_command_and_a_server_share_one_database() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let benchmark = json_of(&run(data.path(), &with(&["--format", "json", "--limit", "5"])));
    let id = benchmark["id"].as_str().unwrap();
    let shown = host.get(&format!("/api/v1/benchmarks/{id}")).await;
    assert_eq!(shown["metrics"], benchmark["metrics"]);
    let listed = json_of(&run(data.path(), &["benchmarks", "list", "--format", "json"]));
    assert_eq!(listed[0]["id"], id);
}

#[test]
fn a_moved_installation_works_with_an_empty_environment() {
    let root = tempfile::tempdir_in(target_folder()).unwrap();
    let target = target_folder();
    std::fs::create_dir(root.path().join("bin")).unwrap();
    std::fs::hard_link(program(), root.path().join("bin/llm-bench")).unwrap();
    for folder in ["lib", "share"] {
        copy(&target.join(folder), &root.path().join(folder));
    }
    let data = root.path().join("data");
    let output = Command::new(root.path().join("bin/llm-bench"))
        .args(with(&["--limit", "4", "--format", "json", "--data-dir"]))
        .arg(&data)
        .current_dir("/")
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(json_of(&output)["samples"]["completed"], 4);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_stands() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("## A tour of the API").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (tour, _) = block.split_once("```").unwrap();
    // Only the places differ: this host's port, and the layout of a development build.
    let address = host.base().trim_start_matches("http://");
    let share = target_folder().join("share");
    let tour = tour.replace("localhost:8420", address).replace("target/dist/share", share.to_str().unwrap());
    assert!(tour.contains(address) && tour.contains("hostile.wasm"));
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &tour]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", stderr_of(&output));
    for expected in ["202 Accepted", "\"status\":\"completed\"", "\"name\":\"hostile\"", "model-not-found"] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
}
