//! What the suites share: the program, a host, a client.

mod host;
#[cfg(target_os = "linux")]
pub(crate) mod processes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) use host::Host;

/// The folder that the build fills: `target`.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it lies");
    // target/debug/deps/it-…
    test.ancestors().nth(3).expect("the test lies in the build's folder").to_owned()
}

/// The program as the development build leaves it.
pub(crate) fn program() -> PathBuf {
    let program = target_folder().join("debug").join(format!("llm-bench{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is missing: run `cargo xtask test`", program.display());
    let share = target_folder().join("share/llm-bench/plugins/multiple-choice.wasm");
    assert!(share.is_file(), "{} is missing: run `cargo xtask layout`", share.display());
    program
}

/// The stranger's plugin.
pub(crate) fn hostile_plugin() -> PathBuf {
    target_folder().join("share/llm-bench/demo/hostile.wasm")
}

/// The plugin that flatters every model.
pub(crate) fn cheating_plugin() -> PathBuf {
    target_folder().join("share/llm-bench/demo/cheater.wasm")
}

/// The example of a plugin that reads a word list.
pub(crate) fn vocabulary_plugin() -> PathBuf {
    target_folder().join("plugins/wasm32-wasip2/release/vocabulary.wasm")
}

/// The model that ships with the program.
pub(crate) fn bundled_model() -> PathBuf {
    target_folder().join("share/llm-bench/models/tiny-llama")
}

/// A model of the runner's tests.
pub(crate) fn fixture(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/runner/tests/fixtures").join(model)
}

/// Copies the files of a folder, which may be there already.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a file has a name")))
            .expect("the file can be copied");
    }
}

/// The component of a project, built by the tools that the tests were set up with.
pub(crate) fn build_project(project: &Path) -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask");
    let output = Command::new(target_folder().join("debug/xtask"))
        .args(["plugins", "--project"])
        .arg(project)
        .env("CARGO_MANIFEST_DIR", xtask)
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .expect("`cargo xtask` was built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", stderr_of(&output));
    let line = text.lines().last().unwrap();
    line.split_once(' ').expect("a name and a file").1.into()
}

/// Runs the program to its end, with a data folder of its own.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .env("LLM_BENCH_DATA_DIR", data)
        .output()
        .expect("the program starts")
}

/// The JSON that a command printed, which must have gone well.
pub(crate) fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}: {}", output.status, stderr_of(output));
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}

/// Runs a benchmark; gives it and its samples.
pub(crate) fn run_with_samples(data: &Path, arguments: &[&str]) -> (Value, Vec<Value>) {
    let file = data.join("samples.jsonl");
    let output = ["--format", "json", "--samples", file.to_str().unwrap()];
    let benchmark = json_of(&run(data, &[arguments, &output].concat()));
    let text = std::fs::read_to_string(&file).unwrap();
    (benchmark, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What a replay repeats of samples: all but times, logs, whether a model was asked, and what was compared.
pub(crate) fn content(samples: &[Value]) -> Vec<Value> {
    let content = |sample: &Value| {
        let mut sample = sample.clone();
        for field in ["duration_ms", "differs", "log"] {
            sample.as_object_mut().expect("a sample is an object").remove(field);
        }
        for call in sample["calls"].as_array_mut().expect("a sample has calls") {
            for field in ["timings", "cached"] {
                call.as_object_mut().expect("a call is an object").remove(field);
            }
        }
        sample
    };
    samples.iter().map(content).collect()
}

pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The value of a metric.
pub(crate) fn metric(benchmark: &Value, name: &str) -> f64 {
    benchmark["metrics"]
        .as_array()
        .and_then(|metrics| metrics.iter().find(|metric| metric["name"] == name))
        .and_then(|metric| metric["value"].as_f64())
        .unwrap_or_else(|| panic!("no metric {name} in {benchmark:#}"))
}
