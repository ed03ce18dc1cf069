//! Presets: those that ship and the user's own.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, json_of, metric, program, run, stderr_of};

fn write(folder: &Path, file: &str, text: &str) -> String {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const CAPITALS: &str = r#"{"frage": "What is the capital of France?", "moeglich": ["Rome", "Paris"], "richtig": 1}
{"frage": "What is the capital of Italy?", "moeglich": ["Rome", "Paris"], "richtig": 0}
{"frage": "What is the capital of Spain?", "moeglich": ["Madrid", "Oslo"], "richtig": 0}
"#;

#[test]
fn every_preset_that_ships_is_listed_and_fits_its_plugin() {
    let data = tempfile::tempdir().unwrap();
    let listed = json_of(&run(data.path(), &["presets", "list", "--format", "json"]));
    let named = |name: &str| listed.as_array().unwrap().iter().find(|preset| preset["name"] == name).cloned();
    for name in [
        "hellaswag",
        "arc_easy",
        "arc_challenge",
        "piqa",
        "winogrande",
        "boolq",
        "openbookqa",
        "gsm8k",
        "lambada_openai",
        "wikitext",
        "mmlu_abstract_algebra",
    ] {
        let preset = named(name).unwrap_or_else(|| panic!("{name} is not listed"));
        assert!(preset["dataset"].as_str().unwrap().starts_with("hub:"), "{preset:#}");
    }
    assert_eq!(named("mmlu").unwrap()["members"].as_array().unwrap().len(), 57);
    assert_eq!(named("mmlu").unwrap()["metrics"], json!(["acc"]));
    assert!(named("mmlu_abstract_algebra").unwrap()["metrics"].is_null());
    assert_eq!(named("mmlu_stem").unwrap()["members"].as_array().unwrap().len(), 19);

    let shown = json_of(&run(data.path(), &["presets", "show", "mmlu_abstract_algebra", "--format", "json"]));
    assert_eq!(shown["dataset"], "hub:cais/mmlu/abstract_algebra");
    assert_eq!(
        shown["few_shot"],
        json!({"count": 0, "split": "dev", "sampling": "first", "exclude_evaluated": null})
    );
    assert!(shown["config"]["description"].as_str().unwrap().ends_with("about abstract algebra.\n\n"));
}

#[test]
fn a_preset_of_the_hub_says_what_to_bring() {
    let data = tempfile::tempdir().unwrap();
    let output = run(data.path(), &["run", "--model", "tiny-llama", "--task", "arc_easy"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr_of(&output);
    for named in ["allenai/ai2_arc (ARC-Easy)", "`test`", "--dataset FILE", "`arc_easy`"] {
        assert!(message.contains(named), "{message}");
    }
    let unknown = run(data.path(), &["presets", "show", "arc_eazy"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr_of(&unknown).contains("arc_easy"), "{}", stderr_of(&unknown));
}

#[test]
fn a_users_preset_binds_columns_split_and_few_shot_examples() {
    let data = tempfile::tempdir().unwrap();
    write(
        data.path(),
        "presets/hauptstaedte.toml",
        "plugin = 'multiple-choice'\nsplit = 'alles'\nsystem = 'Be right.'\n\
         few_shot = { count = 1, split = 'alles', sampling = 'random' }\n\
         [columns]\nquestion = 'frage'\nchoices = 'moeglich'\nanswer = 'richtig'\n",
    );
    // A file that names no split is the preset's.
    let file = write(data.path(), "rows.jsonl", CAPITALS);
    let samples = data.path().join("samples.jsonl");
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "hauptstaedte",
        "--dataset",
        &file,
        "--format",
        "json",
        "--samples",
        samples.to_str().unwrap(),
    ];
    let benchmark = json_of(&run(data.path(), &arguments));
    assert_eq!(benchmark["preset"], "hauptstaedte");
    assert_eq!(
        (&benchmark["few_shot_split"], &benchmark["few_shot_sampling"]),
        (&json!("alles"), &json!("random"))
    );
    assert_eq!(benchmark["samples"]["completed"], 3);
    let text = std::fs::read_to_string(&samples).unwrap();
    let samples: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for sample in &samples {
        assert!(
            sample["target"].get("answer").is_some(),
            "the gold column bears the task's name: {sample:#}"
        );
        let prompt = sample["calls"][0]["request"][0]["context"]["text"].as_str().unwrap();
        assert!(prompt.starts_with("Be right.Question: What is the capital of "), "{prompt}");
        let (example, question) = prompt.split_once("\n\n").unwrap();
        let question = question.trim_end_matches("\nAnswer:");
        assert!(!example.contains(question), "a row is no example for itself: {prompt}");
    }
    // The same draw again, and another from another seed.
    let prompts = |seed: &'static str| {
        let path = data.path().join("again.jsonl");
        let more = ["--seed", seed, "--samples", path.to_str().unwrap()];
        json_of(&run(data.path(), &[&arguments[..9], &more].concat()));
        let text = std::fs::read_to_string(&path).unwrap();
        let context = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["calls"][0]["request"][0]["context"].clone()
        };
        text.lines().map(context).collect::<Vec<_>>()
    };
    assert_eq!(prompts("1234"), prompts("1234"));
    assert!(["1", "2", "3", "4"].iter().any(|seed| prompts(seed) != prompts("1234")));
}

#[test]
fn columns_may_be_named_on_the_command_line_and_a_misspelt_one_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let file = write(data.path(), "rows.jsonl", CAPITALS);
    let arguments =
        ["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", &file, "--format", "json"];
    let columns = ["--column", "question=frage", "--column", "choices=moeglich", "--column"];
    let benchmark = json_of(&run(data.path(), &[&arguments[..], &columns, &["answer=richtig"]].concat()));
    assert_eq!(metric(&benchmark, "acc"), 1.0);
    let output = run(data.path(), &[&arguments[..], &columns, &["answer=richtich"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("`richtich` to rename"), "{}", stderr_of(&output));
}

#[test]
fn a_folder_of_files_is_a_dataset_and_few_shot_examples_come_from_the_split_that_is_named() {
    let data = tempfile::tempdir().unwrap();
    let rows = |names: [&str; 2]| {
        names
            .map(|name| {
                json!({"question": format!("{name}?"), "choices": ["a", "b"], "answer": 0}).to_string()
            })
            .join("\n")
    };
    // As some other system writes the ending.
    write(data.path(), "mine/dev.JSONL", &rows(["one", "two"]));
    write(data.path(), "mine/test.jsonl", &rows(["three", "four"]));
    let folder = data.path().join("mine");
    let samples = data.path().join("samples.jsonl");
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "multiple-choice",
        "--dataset",
        folder.to_str().unwrap(),
        "--few-shot",
        "2",
        "--format",
        "json",
        "--samples",
        samples.to_str().unwrap(),
    ];
    let output = run(data.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("dev, test"), "{}", stderr_of(&output));
    json_of(&run(data.path(), &[&arguments[..], &["--few-shot-split", "dev"]].concat()));
    let text = std::fs::read_to_string(&samples).unwrap();
    assert!(
        text.contains(r"Question: one?\nAnswer: a\n\nQuestion: two?\nAnswer: a\n\nQuestion: three?"),
        "{text}"
    );
}

#[test]
fn chat_and_system_prompt_are_refused_by_a_task_that_asks_no_questions() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["run", "--model", "tiny-llama", "--task", "perplexity", "--dataset", "stories"];
    for (more, named) in [(&["--chat"][..], "`chat`"), (&["--system", "x"][..], "`system`")] {
        let output = run(data.path(), &[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr_of(&output).contains(named), "{}", stderr_of(&output));
    }
}

#[test]
fn a_group_of_the_users_own_is_shown_as_a_table_with_what_was_left_out() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "presets/both.toml", "[group]\nmembers = ['arithmetic-3-shot', 'arc_easy']\n");
    let arguments = ["run", "--model", "tiny-llama", "--task", "both", "--limit", "3"];
    let output = run(data.path(), &arguments);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", stderr_of(&output));
    for shown in ["arithmetic-3-shot", "both", "acc_norm", "completed", "1 not run, such as arc_easy"] {
        assert!(table.contains(shown), "{table}");
    }
    let nothing = run(data.path(), &["run", "--model", "tiny-llama", "--task", "mmlu"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr_of(&nothing).contains("no member of group `mmlu` has data"), "{}", stderr_of(&nothing));
    write(data.path(), "presets/broken.toml", "[group]\nmembers = ['nothing-of-the-kind']\n");
    let broken = run(data.path(), &["run", "--model", "tiny-llama", "--task", "broken"]);
    assert!(stderr_of(&broken).contains("nothing-of-the-kind"), "{}", stderr_of(&broken));
}

#[test]
fn a_refused_member_is_named_and_what_was_finished_before_it_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let preset = |name: &str, text: &str| {
        write(data.path(), &format!("presets/{name}.toml"), &format!("{text}\n"));
    };
    preset("good", "plugin = 'multiple-choice'\ndataset = 'capitals'");
    preset("bad", "plugin = 'multiple-choice'\ndataset = 'capitals'\n[columns]\nquestion = 'query'");
    preset("three", "[group]\nmembers = ['good', 'bad', 'arithmetic-3-shot']");
    let samples = data.path().join("samples.jsonl");
    let arguments = ["run", "--model", "tiny-llama", "--task", "three", "--limit", "2", "--samples"];
    let arguments = [&arguments[..], &[samples.to_str().unwrap(), "--format"]].concat();
    let output = run(data.path(), &[&arguments[..], &["json"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("bad: split `test`"), "{}", stderr_of(&output));
    let group: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(group["metrics"], json!([]), "a part of a group has no result of the whole");
    let members = group["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0]["name"]), (1, &json!("good")));
    assert_eq!(members[0]["benchmark"]["status"], "completed");
    let skipped: Vec<_> = group["skipped"].as_array().unwrap().iter().map(|member| &member["name"]).collect();
    assert_eq!(skipped, ["bad", "arithmetic-3-shot"]);
    assert_eq!(group["skipped"][1]["reason"], "stopped before it");
    assert_eq!(std::fs::read_to_string(&samples).unwrap().lines().count(), 2);

    let output = run(data.path(), &[&arguments[..], &["table"]].concat());
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("good    completed  acc"), "{table}");
    assert!(
        table.contains("1 presets run, 0 samples failed; 2 not run, such as bad: split `test`"),
        "{table}"
    );
}

#[cfg(unix)]
#[test]
fn a_stopped_group_tells_what_was_not_run_and_puts_nothing_together() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let data = tempfile::tempdir().unwrap();
    // Long enough to be met while it runs.
    let slow =
        "plugin = 'generate-until'\ndataset = 'reading'\n[config]\nuntil = [\"\\u0001\"]\nmax_tokens = 96\n";
    write(data.path(), "presets/slow.toml", slow);
    write(data.path(), "presets/two.toml", "[group]\nmembers = ['slow', 'arithmetic-3-shot']\n");
    let mut process = Command::new(program())
        .args(["run", "--model", "tiny-llama", "--task", "two", "--concurrency", "1", "--format", "json"])
        .env("LLM_BENCH_DATA_DIR", data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    notes.find(|line| line.starts_with("benchmark ")).unwrap();
    assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
    let notes: Vec<String> = notes.collect();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("stopped before all members")), "{notes:?}");
    let group: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(group["members"][0]["benchmark"]["status"], "cancelled", "{group:#}");
    assert_eq!(group["skipped"], json!([{"name": "arithmetic-3-shot", "reason": "stopped before it"}]));
    assert_eq!(group["metrics"], json!([]));
}

#[test]
fn a_metric_that_a_group_cannot_put_together_is_refused_before_the_run() {
    let data = tempfile::tempdir().unwrap();
    let group = |name: &str, metric: &str, members: &str| {
        let text = format!("[group]\nmembers = [{members}]\nmetrics = ['{metric}']\n");
        write(data.path(), &format!("presets/{name}.toml"), &text);
    };
    write(data.path(), "presets/stories.toml", "plugin = 'perplexity'\ndataset = 'stories'\n");
    group("misspelt", "accc", "'arithmetic-3-shot'");
    group("lacking", "acc", "'arithmetic-3-shot', 'stories'");
    group("no-mean", "word_perplexity", "'stories'");
    for (name, named) in [("misspelt", "arithmetic-3-shot"), ("lacking", "stories"), ("no-mean", "stories")] {
        let output = run(data.path(), &["run", "--model", "tiny-llama", "--task", name, "--limit", "2"]);
        assert_eq!(output.status.code(), Some(2));
        let message = stderr_of(&output);
        assert!(message.contains(&format!("`{named}` has no such mean")), "{message}");
        assert!(!message.contains("benchmark "), "nothing ran: {message}");
    }
    let shown = json_of(&run(data.path(), &["presets", "show", "misspelt", "--format", "json"]));
    assert_eq!(shown["metrics"], json!(["accc"]));
    write(data.path(), "presets/apart.toml", "[group]\nmembers = ['arithmetic-3-shot', 'stories']\n");
    let apart = run(data.path(), &["run", "--model", "tiny-llama", "--task", "apart", "--limit", "2"]);
    assert!(apart.status.success(), "{}", stderr_of(&apart));
    assert!(stderr_of(&apart).contains("no mean in common"), "{}", stderr_of(&apart));
}

#[tokio::test]
async fn the_api_shows_presets_and_takes_one_benchmark_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let page = host.get("/api/v1/presets?limit=2").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["next"].is_string());
    let preset = host.get("/api/v1/presets/piqa").await;
    assert_eq!((&preset["plugin"], &preset["split"]), (&json!("multiple-choice"), &json!("validation")));
    let (status, problem) = host.refusal(host.request(Method::GET, "/api/v1/presets/nope")).await;
    assert_eq!((status, &problem["type"]), (StatusCode::NOT_FOUND, &json!("preset-not-found")));
    let order = json!({"model": "tiny-llama", "task": "mmlu"});
    let (status, problem) = host.refusal(host.request(Method::POST, "/api/v1/benchmarks").json(&order)).await;
    assert_eq!((status, &problem["type"]), (StatusCode::BAD_REQUEST, &json!("preset-is-a-group")));

    let order = json!({
        "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "limit": 3, "few_shot": 2,
        "few_shot_sampling": "random", "few_shot_split": "test", "system": "Be right.\n",
    });
    let id = host.create(&order).await;
    let benchmark = host.ended(&id).await;
    assert_eq!(benchmark["status"], "completed", "{benchmark:#}");
    assert_eq!(
        (&benchmark["few_shot_split"], &benchmark["few_shot_sampling"]),
        (&json!("test"), &json!("random"))
    );
    let samples = host.samples(&id).await;
    assert!(
        samples[0]["calls"][0]["request"][0]["context"]["text"].as_str().unwrap().starts_with("Be right.\n")
    );
}

#[test]
fn columns_that_cannot_stand_for_what_is_asked_are_refused_before_the_run() {
    let data = tempfile::tempdir().unwrap();
    let refusal = |columns: &[&str]| {
        let mut words =
            vec!["run", "--model", "tiny-llama", "--task", "multiple-choice", "--dataset", "capitals"];
        words.extend(columns.iter().flat_map(|column| ["--column", column]));
        let output = run(data.path(), &words);
        assert!(!output.status.success(), "{columns:?}");
        stderr_of(&output)
    };
    assert!(
        refusal(&["question=choices", "choices=choices"]).contains("`choices` is to stand under two names")
    );
    assert!(refusal(&["right=answer"]).contains("no column `answer` for the gold answer"));
    assert!(refusal(&["question=query"]).contains("no column `query` to rename"));
}
