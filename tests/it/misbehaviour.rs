//! What a user sees of each misbehaviour of a stranger's plugin, word for word.
//!
//! A changed sentence is looked at and accepted by running this with `INSTA_UPDATE=always`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::processes::children;
use crate::support::{Host, hostile_plugin};

/// What stands before a frame of a backtrace.
const FRAME: &str = "    at ";
/// Longer lines are cut.
const LINE_CHARACTERS: usize = 240;

#[tokio::test]
async fn every_misbehaviour_has_its_words_which_are_the_same_in_a_process_of_its_own() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let here = Host::start_with(here.path(), &["--sandbox-process", "in-process"]);
    let there = Host::start_with(there.path(), &["--sandbox-process", "isolated"]);
    let plugin = here.upload(&hostile_plugin()).await;
    there.upload(&hostile_plugin()).await;
    let behaviours = behaviours(&plugin);
    assert!(behaviours.len() > 50, "{behaviours:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for behaviour in &behaviours {
        let (one, other) = tokio::join!(seen(&here, behaviour), seen(&there, behaviour));
        assert_eq!(one, other, "{behaviour}");
        let (one, _) = one;
        // What these answer is another compiler's to change; both processes gave the same.
        let answer = one.lines().next().unwrap_or_default();
        let words = match behaviour.as_str() {
            "fingerprint" | "randomness" => one.replace(answer, "answer: the same in both"),
            _ => stable(&one),
        };
        insta::assert_snapshot!(behaviour.as_str(), words);
    }
    assert!(children(here.id(), "run-guests").is_empty());
    assert!(!children(there.id(), "run-guests").is_empty());
    let kept: BTreeSet<String> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("it/snapshots"))
            .unwrap()
            .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".snap").map(str::to_owned))
            .collect();
    assert_eq!(kept, behaviours, "what no plugin does needs no words");
}

/// All that the plugin's config offers.
fn behaviours(plugin: &Value) -> BTreeSet<String> {
    let offered = plugin["config_schema"]["$defs"]["Behaviour"]["oneOf"].as_array();
    let offered = offered.unwrap_or_else(|| panic!("no list of behaviours: {plugin:#}"));
    offered.iter().map(|behaviour| behaviour["const"].as_str().unwrap().to_owned()).collect()
}

/// A little more than a plugin may have, of what is counted.
fn amount(behaviour: &str) -> u64 {
    match behaviour {
        "host-calls" => 10_001,
        "tokens" => 1_000_001,
        "request-bytes" => 17 << 20,
        "handles" | "measurements" => 257,
        "log-bytes" => 1 << 20,
        "memory-bytes" => 128 << 20,
        "answer-bytes" => 5 << 20,
        _ => 0,
    }
}

/// What a user sees who runs a benchmark with that, and the fuel of its first sample.
async fn seen(host: &Host, behaviour: &str) -> (String, Value) {
    let order = json!({
        "model": "tiny-llama", "task": "hostile", "dataset": "capitals", "max_failed": 1.0, "budget": "small",
        // So many that hoarding something of each is too much.
        "limit": if behaviour == "hoard" { 70 } else { 1 },
        "config": { "behaviour": behaviour, "amount": amount(behaviour) },
    });
    let answer = host.request(Method::POST, "/api/v1/benchmarks").json(&order).send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    if !status.is_success() {
        let text = |field: &str| body[field].as_str().unwrap();
        return (format!("refused with {}: {}\n", text("type"), text("detail")), Value::Null);
    }
    let id = body["id"].as_str().unwrap();
    let ended = host.ended(id).await;
    assert_eq!(ended["status"], "completed", "{behaviour}: {ended:#}");
    let sample = &host.samples(id).await[0];
    let mut seen = String::new();
    if sample["error"].is_object() {
        tell_failure(&mut seen, &sample["error"]);
    } else {
        writeln!(seen, "answer: {}", sample["answer"]).unwrap();
        tell_log(&mut seen, &sample["log"]);
    }
    for metric in ended["metrics"].as_array().unwrap() {
        let reason = metric["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        writeln!(seen, "{} = {}{reason}", metric["name"].as_str().unwrap(), metric["value"]).unwrap();
    }
    if ended["aggregation_failure"].is_object() {
        tell_failure(&mut seen, &ended["aggregation_failure"]);
    }
    (seen, sample["fuel"].clone())
}

fn tell_failure(seen: &mut String, failure: &Value) {
    let text = |field: &str| failure[field].as_str().unwrap_or_default();
    writeln!(seen, "{} in {}: {}", text("kind"), text("phase"), text("message")).unwrap();
    for frame in text("backtrace").lines() {
        writeln!(seen, "{FRAME}{}", frame.trim_start()).unwrap();
    }
    tell_log(seen, &failure["log"]);
}

/// The log; lines that repeat once.
fn tell_log(seen: &mut String, log: &Value) {
    let lines: Vec<_> = log.as_str().unwrap_or_default().lines().collect();
    for same in lines.chunk_by(|one, other| one == other) {
        let times = if same.len() > 1 { format!(" ({} times)", same.len()) } else { String::new() };
        writeln!(seen, "log: {}{times}", same[0]).unwrap();
    }
}

/// Without what another compiler, or another line of the plugin's source, would change: of frames the names of the
/// plugin's exports are left, because which other functions have one is a matter of inlining.
fn stable(text: &str) -> String {
    let mut stable = String::new();
    for line in text.lines() {
        let line = match line.strip_prefix(FRAME) {
            None => without_places(line),
            Some(frame) if frame.contains("!llm-bench:") => {
                let (_, name) = frame.split_once("hostile.wasm!").unwrap();
                format!("{FRAME}{}", name.split("::h").next().unwrap_or(name))
            }
            Some(_) => continue,
        };
        match line.char_indices().nth(LINE_CHARACTERS) {
            Some((end, _)) => writeln!(stable, "{}… ({} characters)", &line[..end], line.chars().count()),
            None => writeln!(stable, "{line}"),
        }
        .unwrap();
    }
    stable
}

/// Leaves line and column out where a place in the source is named.
fn without_places(line: &str) -> String {
    const SOURCE: &str = ".rs:";
    let mut parts = line.split(SOURCE);
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        left.push_str(SOURCE);
        left.push_str(
            part.trim_start_matches(|character: char| character.is_ascii_digit() || character == ':'),
        );
    }
    left
}
