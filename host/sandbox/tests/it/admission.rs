//! What is kept of an admitted component, and what a component may say of itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use llm_bench_core::plugin::{Exports, Sandbox};
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::CompilerCommand;
use tempfile::TempDir;

use crate::support::{compiler, plugin, sandbox_with};
use crate::task::{Task, Words};

/// A compiler that cannot be started: whoever needs it fails.
fn no_compiler() -> CompilerCommand {
    CompilerCommand { program: "/nowhere/compiler".into(), ..compiler() }
}

fn compiled_code(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "cwasm")).unwrap()
}

#[tokio::test]
async fn an_admitted_component_is_described_and_kept_in_private() {
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), compiler());
    let admission = sandbox.admit(&plugin("hostile")).await.unwrap();
    assert_eq!(admission.descriptor.name, "hostile");
    assert_eq!(admission.descriptor.parts, ["subject"]);
    assert_eq!(admission.descriptor.config_schema["properties"]["answer"]["x-gold"], true);
    assert_eq!(admission.exports, Exports { solver: true, scorer: true, aggregator: true });
    assert!(admission.imports.contains(&"llm-bench:plugin/models@0.1.0".to_owned()));
    assert_eq!(admission.bytes, fs::metadata(plugin("hostile")).unwrap().len());

    let component = folder.path().join(format!("components/{}.wasm", admission.digest));
    assert_eq!(fs::read(&component).unwrap(), fs::read(plugin("hostile")).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("compiled")), 0o700);
    assert_eq!((mode(&component), mode(&compiled_code(folder.path()))), (0o600, 0o600));
}

#[tokio::test]
async fn known_bytes_are_admitted_and_loaded_without_a_compiler() {
    let folder = TempDir::new().unwrap();
    let first = sandbox_with(folder.path(), compiler()).admit(&plugin("hostile")).await.unwrap();
    let later = sandbox_with(folder.path(), no_compiler());
    assert_eq!(later.admit(&plugin("hostile")).await.unwrap(), first);
    later.load(&first.digest, None).await.map(drop).unwrap();
}

#[tokio::test]
async fn compiled_code_that_is_lost_or_damaged_is_made_again() {
    let folder = TempDir::new().unwrap();
    let digest = sandbox_with(folder.path(), compiler()).admit(&plugin("hostile")).await.unwrap().digest;
    let code = compiled_code(folder.path());
    fs::remove_file(&code).unwrap();
    sandbox_with(folder.path(), compiler()).load(&digest, None).await.map(drop).unwrap();

    let mut bytes = fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&code, &bytes).unwrap();
    let error = sandbox_with(folder.path(), no_compiler()).load(&digest, None).await.map(drop).unwrap_err();
    assert_eq!(&*error.code, "compiler-start", "damaged code was executed");
    sandbox_with(folder.path(), compiler()).load(&digest, None).await.map(drop).unwrap();
}

#[tokio::test]
async fn only_what_was_admitted_can_be_loaded() {
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), compiler());
    for digest in ["", "../components/x", &"0".repeat(64)] {
        let error = sandbox.load(digest, None).await.map(drop).unwrap_err();
        assert_eq!((error.kind, &*error.code), (ErrorKind::NotFound, "plugin-not-found"));
    }
}

/// How a task made by hand is refused.
async fn refusal_of(task: &Task<'_>) -> Error {
    let folder = TempDir::new().unwrap();
    let error = task.admit(&sandbox_with(folder.path(), compiler())).await.unwrap_err();
    let kept = |name: &str| fs::read_dir(folder.path().join(name)).unwrap().count();
    assert_eq!((kept("components"), kept("compiled")), (0, 0), "something of a refused component was kept");
    error
}

async fn refusal(describe: &str) -> Error {
    refusal_of(&Task { describe, ..Task::default() }).await
}

/// The refusal of a task that says this of itself.
async fn refusal_of_words(words: &Words<'_>) -> (String, String) {
    let (describe, data) = words.describe();
    let error = refusal_of(&Task { describe: &describe, data: &data, ..Task::default() }).await;
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    (error.code.to_string(), error.message)
}

#[tokio::test]
async fn a_descriptor_that_breaks_a_rule_is_refused() {
    let (code, message) = refusal_of_words(&Words { version: "latest", ..Words::default() }).await;
    assert_eq!(code, "plugin-descriptor");
    assert!(message.ends_with("its version `latest` is no semantic version such as `1.0.0`"), "{message}");
}

#[tokio::test]
async fn a_broken_schema_and_a_broken_example_are_told_apart() {
    let (code, message) = refusal_of_words(&Words { schema: "name", ..Words::default() }).await;
    assert_eq!(code, "plugin-config-schema");
    assert!(message.contains("its config schema is no JSON"), "{message}");
    let (code, message) = refusal_of_words(&Words { example: "[]", ..Words::default() }).await;
    assert_eq!(code, "plugin-example-config");
    assert!(message.ends_with("its example config is no JSON object"), "{message}");
}

#[tokio::test]
async fn a_schema_is_refused_where_it_is_none_and_where_it_leads_elsewhere() {
    let refusal = async |schema| refusal_of_words(&Words { schema, ..Words::default() }).await;
    let (code, message) = refusal(r#"{"properties": {"a": {"type": "texts"}}}"#).await;
    assert_eq!(code, "plugin-config-schema");
    assert!(message.contains(r#"at `/properties/a/type`: "texts" is not valid"#), "{message}");
    let (code, message) = refusal(r#"{"$ref": "https://example.com/schema"}"#).await;
    assert_eq!(code, "plugin-config-schema");
    assert!(message.contains("`https://example.com/schema`, and nothing is fetched"), "{message}");
}

#[tokio::test]
async fn an_example_config_that_its_own_schema_refuses_is_refused() {
    let words = Words { schema: r#"{"required": ["a"]}"#, example: r#"{"b": 1}"#, ..Words::default() };
    let (code, message) = refusal_of_words(&words).await;
    assert_eq!(code, "plugin-example-config");
    assert_eq!(
        message,
        "the plugin's example config is refused by its own schema: the config does not fit the plugin's schema: at the \
         top: \"a\" is a required property"
    );
}

#[tokio::test]
async fn an_example_config_that_its_own_plugin_refuses_is_refused() {
    let (describe, data) = Words::default().describe();
    // An error at 512: `invalid-config`, "name", no detail.
    let metrics = "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (i32.const 0))
        (i32.store (i32.const 520) (i32.const 1024)) (i32.store (i32.const 524) (i32.const 4)) (i32.const 512)";
    let task = Task { describe: &describe, data: &data, metrics, ..Task::default() };
    let error = refusal_of(&task).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-example-config"));
    assert_eq!(error.message, "the plugin refuses its own example config: name");
    let metrics = "unreachable";
    let error = refusal_of(&Task { metrics, ..task }).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-failed"));
    assert!(error.message.starts_with("the plugin failed to check a config (trap)"), "{error}");
}

#[tokio::test]
async fn a_metric_that_is_declared_twice_is_refused() {
    let (describe, data) = Words::default().describe();
    // Two metrics at 600, both of name "name" and all else zero, in a list at 512.
    let metrics = "(i32.store (i32.const 516) (i32.const 600)) (i32.store (i32.const 520) (i32.const 2))
        (i32.store (i32.const 600) (i32.const 1024)) (i32.store (i32.const 604) (i32.const 4))
        (i32.store (i32.const 632) (i32.const 1024)) (i32.store (i32.const 636) (i32.const 4)) (i32.const 512)";
    let error = refusal_of(&Task { describe: &describe, data: &data, metrics, ..Task::default() }).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-metrics"));
    assert_eq!(
        error.message,
        "the metrics that the plugin declares for its example config are refused: it declares the metric `name` twice"
    );
}

#[tokio::test]
async fn text_that_is_no_utf8_and_pointers_that_lead_nowhere_are_refused() {
    let (code, message) = refusal_of_words(&Words { name: "\\ff\\fe", ..Words::default() }).await;
    assert_eq!(code, "plugin-failed");
    assert!(message.contains("(invalid-output): the plugin handed over text that is no UTF-8"), "{message}");
    let astray = "(i32.store (i32.const 0) (i32.const 60000)) (i32.store (i32.const 4) (i32.const 60000)) (i32.const 0)";
    let error = refusal(astray).await;
    assert!(error.message.contains("out of bounds"), "{error}");
}

#[tokio::test]
async fn a_component_that_does_not_say_what_it_is_is_refused_by_its_failure() {
    for (describe, failure) in [
        ("(loop (br 0)) (i32.const 0)", "fuel-exhausted"),
        ("unreachable", "trap"),
        ("(call 0)", "stack-overflow"),
        ("(memory.grow (i32.const 3000)) (drop) unreachable", "memory-limit"),
    ] {
        let error = refusal(describe).await;
        assert_eq!(&*error.code, "plugin-failed");
        assert!(error.message.contains(&format!("({failure})")), "{describe}: {error}");
    }
}

#[tokio::test]
async fn memories_that_are_too_large_or_too_many_are_refused() {
    // More than may be used at upload, and more than any guest of this host.
    let error = refusal_of(&Task { pages: 3000, ..Task::default() }).await;
    assert!(error.message.contains("(memory-limit)"), "{error}");
    let error = refusal_of(&Task { pages: 30_000, ..Task::default() }).await;
    assert_eq!(&*error.code, "unsupported-plugin", "{error}");
    let error = refusal_of(&Task { extra: &"(memory 1) ".repeat(40), ..Task::default() }).await;
    assert_eq!(&*error.code, "unsupported-plugin", "{error}");
}

#[tokio::test]
async fn a_guest_that_sleeps_takes_no_time_and_sees_it_pass() {
    let imports = r#"
        (import "wasi:io/poll@0.2.0" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
            (alias outer 1 $pollable (type $pollable'))
            (export "pollable" (type $pollable (eq $pollable')))
            (export "now" (func (result u64)))
            (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
        (core func $block (canon lower (func $poll "[method]pollable.block")))
        (core func $now (canon lower (func $clock "now")))
        (core func $alarm (canon lower (func $clock "subscribe-duration")))"#;
    let extra = r#"
        (import "host" "block" (func $block (param i32)))
        (import "host" "now" (func $now (result i64)))
        (import "host" "alarm" (func $alarm (param i64) (result i32)))"#;
    let with = r#"(with "host" (instance
        (export "block" (func $block)) (export "now" (func $now)) (export "alarm" (func $alarm))))"#;
    let (words, data) = Words::default().describe();
    // A year, twice; the clock must have moved by exactly that.
    let describe = format!(
        "(call $block (call $alarm (i64.const 31536000000000000)))
         (call $block (call $alarm (i64.const 31536000000000000)))
         (i64.ne (call $now) (i64.const 63072000000000000))
         (if (then unreachable))
         {words}"
    );
    let task = Task { describe: &describe, data: &data, extra, imports, with, ..Task::default() };
    let folder = TempDir::new().unwrap();
    let admission = task.admit(&sandbox_with(folder.path(), compiler())).await.unwrap();
    assert_eq!(admission.descriptor.name, "name");
}
