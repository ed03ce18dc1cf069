//! What the author of a plugin has at hand, without a server: check, run, new.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    build_project, content, hostile_plugin, json_of, metric, run, run_with_samples, stderr_of, target_folder,
};

/// Rows about sums, and how a model answers the first two of them.
const ROWS: &str =
    "{\"question\": \"2 + 3?\", \"answer\": \"5\"}\n{\"question\": \"4 + 4?\", \"answer\": \"8\"}\n";
const ANSWERS: &str = r#"
{"kind": "generate", "part": "subject", "response": ["5"], "request": [{"prompt": "2 + 3?", "sampling": {"max_tokens": 4, "temperature": 0.0, "stop": ["\n"]}}]}
{"kind": "generate", "part": "subject", "response": ["9"], "request": [{"prompt": "4 + 4?", "sampling": {"max_tokens": 4, "temperature": 0.0, "stop": ["\n"]}}]}
"#;
const CONFIG: &str = r#"{"prompt": "{{ question }}", "until": ["\n"], "max_tokens": 4}"#;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn samples(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_check_says_what_a_server_would_and_registers_nothing() {
    let data = tempfile::tempdir().unwrap();
    let hostile = hostile_plugin();
    let file = hostile.to_str().unwrap();
    let checked = json_of(&run(data.path(), &["plugin", "check", file, "--format", "json"]));
    assert_eq!(
        (&checked["name"], &checked["exports"]),
        (&json!("hostile"), &json!(["solver", "scorer", "aggregator"]))
    );
    assert_eq!(checked["metrics"][0]["name"], "harmless");
    assert_eq!(checked["notes"], json!([]));
    let table = run(data.path(), &["plugin", "check", file]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    for expected in ["hostile@", "llm-bench:plugin/models@", "harmless", checked["digest"].as_str().unwrap()]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let listed = json_of(&run(data.path(), &["plugins", "list", "--format", "json"]));
    assert!(listed.as_array().unwrap().iter().all(|plugin| plugin["name"] != "hostile"), "{listed:#}");
}

#[test]
fn a_component_that_a_server_refuses_is_refused_with_its_sentence() {
    let data = tempfile::tempdir().unwrap();
    let core = data.path().join("core.wasm");
    std::fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
    let text = write(data.path(), "text.wasm", "(component)");
    let cases = [
        (core.to_str().unwrap(), "component"),
        (text.as_str(), "WebAssembly"),
        ("/nowhere/a.wasm", "there is no file `/nowhere/a.wasm`"),
    ];
    for (file, expected) in cases {
        let output = run(data.path(), &["plugin", "check", file]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(stderr_of(&output).contains(expected), "{file}: {}", stderr_of(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn scripted_answers_run_a_plugin_without_a_model() {
    let data = tempfile::tempdir().unwrap();
    let (rows, answers) = (write(data.path(), "rows.jsonl", ROWS), write(data.path(), "a.jsonl", ANSWERS));
    let arguments =
        ["plugin", "run", "generate-until", "--data", &rows, "--answers", &answers, "--config", CONFIG];
    let tried = json_of(&run(data.path(), &[&arguments[..], &["--format", "json"]].concat()));
    assert_eq!(metric(&tried, "exact_match"), 0.5);
    let sample = &tried["samples"][1];
    assert_eq!((&sample["answer"], &sample["target"]), (&json!("9"), &json!({"answer": "8"})));
    assert_eq!((&sample["metrics"][0]["value"], &sample["status"]), (&json!(0.0), &json!("completed")));
    // One call to open the model, and one to ask it.
    assert_eq!(sample["host_calls"], 2);
    assert!(sample["fuel"].as_u64().unwrap() > 0 && sample["peak_memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!(sample["calls"][0]["response"][0]["text"], "9");

    let table = run(data.path(), &arguments);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    for expected in
        ["sample 1 completed", "\"9\"", "{\"answer\":\"8\"}", "2 host calls", "generate of subject, solve"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.contains("2 of 2 samples completed, 0 failed"), "{text}");
    // Nothing is kept of it.
    assert_eq!(json_of(&run(data.path(), &["benchmarks", "list", "--format", "json"])), json!([]));
}

#[test]
fn a_request_that_no_answer_is_recorded_of_fails_its_sample_by_name() {
    let data = tempfile::tempdir().unwrap();
    let rows = write(
        data.path(),
        "rows.jsonl",
        &(ROWS.to_owned() + "{\"question\": \"1 + 1?\", \"answer\": \"2\"}\n"),
    );
    let answers = write(data.path(), "answers.jsonl", ANSWERS);
    let arguments =
        ["plugin", "run", "generate-until", "--data", &rows, "--answers", &answers, "--config", CONFIG];
    let output = run(data.path(), &[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let tried: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failure = &tried["samples"][2]["error"];
    assert_eq!(failure["kind"], "not-recorded");
    assert!(failure["message"].as_str().unwrap().contains("it begins with \"1 + 1?\""), "{failure:#}");
    assert_eq!(metric(&tried, "exact_match"), 0.5, "the failed sample does not count");

    let missing = run(data.path(), &["plugin", "run", "generate-until", "--data", &rows]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr_of(&missing).contains("--answers FILE"), "{}", stderr_of(&missing));
    let broken = write(data.path(), "broken.jsonl", "\n{\"kind\": \"generate\"}\n");
    let arguments = ["plugin", "run", "generate-until", "--data", &rows, "--answers", &broken];
    let refused = run(data.path(), &arguments);
    assert_eq!(refused.status.code(), Some(2));
    let message = stderr_of(&refused);
    assert!(message.contains("broken.jsonl") && message.contains("line 2"), "{message}");
}

#[test]
fn what_a_run_wrote_down_answers_the_next_one_bit_for_bit() {
    let data = tempfile::tempdir().unwrap();
    let [first, again, document] = ["first.jsonl", "again.jsonl", "document.json"]
        .map(|name| data.path().join(name).to_str().unwrap().to_owned());
    let sampled = r#"{"max_tokens": 6, "temperature": 1.0}"#;
    let task = ["plugin", "run", "generate-until", "--data", "reading", "--limit", "5", "--config", sampled];
    let asked = run(
        data.path(),
        &[
            &task[..],
            &["--model", "tiny-llama", "--samples", &first, "--format", "json", "--output", &document],
        ]
        .concat(),
    );
    assert!(asked.status.success(), "{}", stderr_of(&asked));
    for answers in [&first, &document] {
        let replayed = run(data.path(), &[&task[..], &["--answers", answers, "--samples", &again]].concat());
        assert!(replayed.status.success(), "{}", stderr_of(&replayed));
        assert_eq!(content(&samples(&again)), content(&samples(&first)));
    }

    let benchmark = ["run", "--model", "tiny-llama", "--task", "generate-until", "--dataset", "reading"];
    let benchmark = [&benchmark[..], &["--limit", "5", "--config", sampled, "--no-response-cache"]].concat();
    let (_, recorded) = run_with_samples(data.path(), &benchmark);
    assert_eq!(content(&recorded), content(&samples(&first)), "a benchmark asks the same");
    let file = data.path().join("samples.jsonl");
    let replayed =
        run(data.path(), &[&task[..], &["--answers", file.to_str().unwrap(), "--samples", &again]].concat());
    assert!(replayed.status.success(), "{}", stderr_of(&replayed));
    assert_eq!(content(&samples(&again)), content(&recorded));
}

#[test]
fn a_scorer_judges_the_solutions_among_the_answers() {
    let data = tempfile::tempdir().unwrap();
    let rows = write(data.path(), "rows.jsonl", ROWS);
    let solved = write(
        data.path(),
        "solved.jsonl",
        "{\"id\": \"0\", \"answer\": \" 5\"}\n{\"id\": 1, \"answer\": \"9\"}\n",
    );
    let arguments =
        ["plugin", "run", "answer-match", "--data", &rows, "--answers", &solved, "--format", "json"];
    let judged = json_of(&run(data.path(), &arguments));
    assert_eq!(metric(&judged, "answer_match"), 0.5);
    // Metrics of the whole corpus, too: of three classes one is always right, and two never are.
    let config = [&arguments[..], &["--config", r#"{"macro_f1": true}"#]].concat();
    let judged = json_of(&run(data.path(), &config));
    assert!((metric(&judged, "macro_f1") - 1.0 / 3.0).abs() < 1e-9, "{judged:#}");
    let without = run(data.path(), &["plugin", "run", "answer-match", "--data", &rows]);
    assert_eq!(without.status.code(), Some(2));
    assert!(stderr_of(&without).contains("judges solutions"), "{}", stderr_of(&without));
}

#[test]
fn a_panic_shows_its_functions_and_the_log_stands_beside_every_sample() {
    let data = tempfile::tempdir().unwrap();
    let (rows, answers) = (write(data.path(), "rows.jsonl", ROWS), write(data.path(), "a.jsonl", ANSWERS));
    let hostile = hostile_plugin();
    let tried = |behaviour: &str| {
        let config = format!("{{\"behaviour\": \"{behaviour}\"}}");
        let file = hostile.to_str().unwrap();
        let arguments = ["plugin", "run", file, "--data", &rows, "--answers", &answers, "--config", &config];
        let table = run(data.path(), &[&arguments[..], &["--limit", "1"]].concat());
        (table.status.code(), String::from_utf8_lossy(&table.stdout).into_owned())
    };
    let (code, table) = tried("panic");
    assert_eq!(code, Some(1));
    for expected in
        ["trap in solve: the plugin panicked: this plugin panics on purpose", "rust_panic", "panicked at"]
    {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    // A function that is inlined nowhere.
    let (code, table) = tried("recurse");
    assert_eq!(code, Some(1));
    for expected in ["stack-overflow in solve", "hostile.wasm!", "exhaust::recurse"] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    let (code, table) = tried("panic-in-aggregation");
    assert_eq!(code, Some(1));
    for expected in ["aggregator failed (trap)", "panicked at", "1 of 1 samples completed, 0 failed"] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    // Also of a sample that went well.
    let (code, table) = tried("stdout-flood");
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("bytes before]") && table.contains("host calls"), "{table}");
}

#[test]
fn a_new_rust_project_builds_at_once_and_runs_on_its_answers() {
    let data = tempfile::tempdir().unwrap();
    let project = data.path().join("my-sums");
    let folder = project.to_str().unwrap();
    let made = run(data.path(), &["plugin", "new", "my-sums", "--folder", folder]);
    assert!(made.status.success(), "{}", stderr_of(&made));
    // The versions that the plugins of this repository are built with, which are there.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/Cargo.lock");
    std::fs::copy(lock, project.join("Cargo.lock")).unwrap();

    let tests = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--target-dir"])
        .arg(target_folder().join("projects"))
        .current_dir(&project)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&tests.stdout).into_owned();
    assert!(text.contains("2 passed"), "{text}{}", stderr_of(&tests));
    let component = build_project(&project);
    let component = component.to_str().unwrap();

    let checked = json_of(&run(data.path(), &["plugin", "check", component, "--format", "json"]));
    assert_eq!((&checked["name"], &checked["notes"]), (&json!("my-sums"), &json!([])));
    let [rows, answers] = ["rows.jsonl", "answers.jsonl"].map(|name| format!("{folder}/{name}"));
    let arguments = ["plugin", "run", component, "--data", &rows, "--answers", &answers, "--format", "json"];
    let tried = json_of(&run(data.path(), &arguments));
    assert!((metric(&tried, "exact_match") - 2.0 / 3.0).abs() < 1e-9, "{tried:#}");
}

#[test]
fn a_new_python_or_javascript_project_builds_and_runs_on_its_answers() {
    let data = tempfile::tempdir().unwrap();
    let languages = [
        (
            "python",
            "app.py",
            "row = json.loads(sample.input)",
            "; row['boom'] if 'boom' in sample.input else None",
        ),
        (
            "javascript",
            "app.js",
            "const row = JSON.parse(sample.input);",
            " if (row.question === 'boom') null.boom;",
        ),
    ];
    for (lang, source, line, defect) in languages {
        let name = format!("sums-in-{lang}");
        let project = data.path().join(&name);
        let folder = project.to_str().unwrap();
        let made = run(data.path(), &["plugin", "new", &name, "--lang", lang, "--folder", folder]);
        assert!(made.status.success(), "{}", stderr_of(&made));
        // An author's mistake, which only one question meets.
        let text = std::fs::read_to_string(project.join(source)).unwrap();
        assert!(text.contains(line), "{text}");
        std::fs::write(project.join(source), text.replace(line, &format!("{line}{defect}"))).unwrap();
        let component = build_project(&project);
        let component = component.to_str().unwrap();
        let checked = json_of(&run(data.path(), &["plugin", "check", component, "--format", "json"]));
        assert_eq!((&checked["name"], &checked["notes"]), (&json!(name), &json!([])));
        let [rows, answers] = ["rows.jsonl", "answers.jsonl"].map(|name| format!("{folder}/{name}"));
        let arguments =
            ["plugin", "run", component, "--data", &rows, "--answers", &answers, "--format", "json"];
        let tried = json_of(&run(data.path(), &arguments));
        assert!((metric(&tried, "exact_match") - 2.0 / 3.0).abs() < 1e-9, "{tried:#}");

        // What is wrong is told as such: a config by the schema, a row by the plugin.
        let odd = [&arguments[..], &["--config", r#"{"x": 1}"#]].concat();
        let refused = run(data.path(), &odd);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr_of(&refused).contains("'x' was unexpected"), "{}", stderr_of(&refused));
        let bad = "{\"q\": 1, \"answer\": \"5\"}\n{\"question\": \"boom\", \"answer\": \"5\"}\n";
        let bad = write(data.path(), "bad.jsonl", bad);
        let arguments =
            ["plugin", "run", component, "--data", &bad, "--answers", &answers, "--format", "json"];
        let failed: Value = serde_json::from_slice(&run(data.path(), &arguments).stdout).unwrap();
        let failure = |sample: usize| &failed["samples"][sample]["error"];
        assert_eq!(failure(0)["kind"], "invalid-sample", "{failed:#}");
        // What the language itself throws is told with its place.
        assert_eq!(failure(1)["kind"], "plugin-error", "{failed:#}");
        let message = failure(1)["message"].as_str().unwrap();
        assert!(message.contains("Error: ") && message.contains(&format!("/{source}:")), "{message}");

        let task =
            ["run", "--model", "tiny-llama", "--task", component, "--dataset", &rows, "--format", "json"];
        assert_eq!(json_of(&run(data.path(), &task))["samples"]["completed"], 3);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_try_prints_what_is_finished() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use crate::support::processes::signal;
    use crate::support::program;

    let data = tempfile::tempdir().unwrap();
    let rows =
        write(data.path(), "rows.jsonl", &"{\"question\": \"2 + 3?\", \"answer\": \"5\"}\n".repeat(50_000));
    let answers = write(data.path(), "answers.jsonl", ANSWERS);
    let arguments =
        ["plugin", "run", "generate-until", "--data", &rows, "--answers", &answers, "--config", CONFIG];
    let mut trying = Command::new(program())
        .args(arguments)
        .args(["--format", "json", "--sandbox-process", "isolated"])
        .env("LLM_BENCH_DATA_DIR", data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(trying.stderr.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "trying 50000 rows");
    signal(trying.id(), "INT");
    let output = trying.wait_with_output().unwrap();
    let said: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(output.status.code(), Some(1));
    let tried: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tried["rows"], 50_000);
    let finished = tried["samples"].as_array().unwrap();
    assert!(finished.len() < 50_000);
    assert!(finished.iter().all(|sample| sample["status"] == "completed"), "none counts as failed");
    assert!(said.iter().any(|line| line.contains("of 50000 rows were not tried")), "{said:?}");
}

#[test]
fn a_project_goes_into_no_folder_that_holds_something_and_under_no_odd_name() {
    let data = tempfile::tempdir().unwrap();
    let full = data.path().join("full");
    std::fs::create_dir(&full).unwrap();
    write(&full, "file", "");
    let full = full.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["mine", "--folder", full], "holds something already"),
        (&["Mine"], "lower case letters"),
        (&["../mine"], "not a name"),
        (&["7up"], "a letter first"),
        (&["multiple-choice"], "built-in"),
    ];
    for (arguments, expected) in cases {
        let output = run(data.path(), &[&["plugin", "new"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr_of(&output).contains(expected), "{arguments:?}: {}", stderr_of(&output));
    }
    for (lang, source) in [("rust", "src/lib.rs"), ("python", "app.py"), ("javascript", "app.js")] {
        let folder = data.path().join(lang);
        let made = run(
            data.path(),
            &["plugin", "new", "mine", "--lang", lang, "--folder", folder.to_str().unwrap()],
        );
        assert!(made.status.success(), "{}", stderr_of(&made));
        for name in [source, "README.md", "rows.jsonl", "answers.jsonl", ".gitignore"] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(!text.contains("{{"), "{name}: {text}");
        }
        assert_eq!(folder.join("wit/plugin.wit").is_file(), lang != "rust");
    }
}
