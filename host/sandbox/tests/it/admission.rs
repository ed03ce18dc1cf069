//! What is kept of an admitted component, and what a component may say of itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use llm_bench_core::plugin::{Admission, Exports, Sandbox};
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::CompilerCommand;
use tempfile::TempDir;

use crate::support::{compiler, plugin, sandbox_with};

/// A compiler that cannot be started: whoever needs it fails.
fn no_compiler() -> CompilerCommand {
    CompilerCommand { program: "/nowhere/compiler".into(), arguments: vec![] }
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
    assert_eq!(admission.exports, Exports { solver: true, scorer: true, aggregator: false });
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
    later.load(&first.digest).await.map(drop).unwrap();
}

#[tokio::test]
async fn compiled_code_that_is_lost_or_damaged_is_made_again() {
    let folder = TempDir::new().unwrap();
    let digest = sandbox_with(folder.path(), compiler()).admit(&plugin("hostile")).await.unwrap().digest;
    let code = compiled_code(folder.path());
    fs::remove_file(&code).unwrap();
    sandbox_with(folder.path(), compiler()).load(&digest).await.map(drop).unwrap();

    let mut bytes = fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&code, &bytes).unwrap();
    let error = sandbox_with(folder.path(), no_compiler()).load(&digest).await.map(drop).unwrap_err();
    assert_eq!(&*error.code, "compiler-start", "damaged code was executed");
    sandbox_with(folder.path(), compiler()).load(&digest).await.map(drop).unwrap();
}

#[tokio::test]
async fn only_what_was_admitted_can_be_loaded() {
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), compiler());
    for digest in ["", "../components/x", &"0".repeat(64)] {
        let error = sandbox.load(digest).await.map(drop).unwrap_err();
        assert_eq!((error.kind, &*error.code), (ErrorKind::NotFound, "plugin-not-found"));
    }
}

const SCORER: &str = r#"(export "score" (func $score))"#;

/// A task made by hand; see `task.wat`.
struct Task<'a> {
    describe: &'a str,
    pages: u32,
    extra: &'a str,
    scorer: &'a str,
    imports: &'a str,
    with: &'a str,
}

impl Default for Task<'_> {
    fn default() -> Self {
        Self { describe: "unreachable", pages: 1, extra: "", scorer: SCORER, imports: "", with: "" }
    }
}

impl Task<'_> {
    async fn admit(&self, folder: &Path) -> Result<Admission, Error> {
        let wat = include_str!("task.wat")
            .replace("{describe}", self.describe)
            .replace("{pages}", &self.pages.to_string())
            .replace("{extra}", self.extra)
            .replace("{scorer}", self.scorer)
            .replace("{imports}", self.imports)
            .replace("{with}", self.with);
        let file = folder.join("upload.wasm");
        fs::write(&file, wat::parse_str(wat).unwrap()).unwrap();
        sandbox_with(folder, compiler()).admit(&file).await
    }

    /// How the task is refused.
    async fn refusal(&self) -> Error {
        let folder = TempDir::new().unwrap();
        let error = self.admit(folder.path()).await.unwrap_err();
        let kept = |name: &str| fs::read_dir(folder.path().join(name)).unwrap().count();
        assert_eq!(
            (kept("components"), kept("compiled")),
            (0, 0),
            "something of a refused component was kept"
        );
        error
    }
}

async fn refusal(describe: &str) -> Error {
    Task { describe, ..Task::default() }.refusal().await
}

/// Writes the six pairs from address 0 on; `fields` are (address, length) of name … example, the list is empty.
fn descriptor_of(fields: [(u32, u32); 5]) -> String {
    let stores = fields.iter().enumerate().map(|(index, (address, length))| {
        let at = index * 8;
        format!(
            "(i32.store (i32.const {at}) (i32.const {address})) \
             (i32.store (i32.const {}) (i32.const {length}))",
            at + 4
        )
    });
    format!("{} (i32.const 0)", stores.collect::<Vec<_>>().join(" "))
}

const NAME: (u32, u32) = (64, 4);
const VERSION: (u32, u32) = (68, 5);
const OBJECT: (u32, u32) = (73, 2);
const NO_UTF8: (u32, u32) = (75, 2);

#[tokio::test]
async fn a_descriptor_that_breaks_a_rule_is_refused() {
    let error = refusal(&descriptor_of([VERSION, NAME, NAME, OBJECT, OBJECT])).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "invalid-plugin"));
    assert!(error.message.ends_with("its version `name` is no semantic version such as `1.0.0`"), "{error}");
    let error = refusal(&descriptor_of([NAME, VERSION, NAME, NAME, OBJECT])).await;
    assert!(error.message.contains("its config schema is no JSON"), "{error}");
}

#[tokio::test]
async fn text_that_is_no_utf8_and_pointers_that_lead_nowhere_are_refused() {
    let error = refusal(&descriptor_of([NO_UTF8, VERSION, NAME, OBJECT, OBJECT])).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-failed"));
    assert!(
        error.message.contains("(invalid-output): the plugin handed over text that is no UTF-8"),
        "{error}"
    );
    let error = refusal(&descriptor_of([(60_000, 60_000), VERSION, NAME, OBJECT, OBJECT])).await;
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
    let good = descriptor_of([NAME, VERSION, NAME, OBJECT, OBJECT]);
    // More than `describe` may use, and more than any guest of this host.
    assert!(
        Task { describe: &good, pages: 3000, ..Task::default() }
            .refusal()
            .await
            .message
            .contains("(memory-limit)")
    );
    assert_eq!(
        &*Task { describe: &good, pages: 30_000, ..Task::default() }.refusal().await.code,
        "unsupported-plugin"
    );
    assert_eq!(
        &*Task { describe: &good, extra: &"(memory 1) ".repeat(40), ..Task::default() }.refusal().await.code,
        "unsupported-plugin"
    );
}

#[tokio::test]
async fn an_export_of_another_shape_is_refused_before_its_first_sample() {
    let good = descriptor_of([NAME, VERSION, NAME, OBJECT, OBJECT]);
    let error = Task { describe: &good, scorer: "", ..Task::default() }.refusal().await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "unsupported-plugin"));
    assert!(error.message.contains("`score`"), "{error}");
    let other = r#"(export "score" (func $describe))"#;
    let error = Task { describe: &good, scorer: other, ..Task::default() }.refusal().await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "unsupported-plugin"), "{error}");
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
    // A year, twice; the clock must have moved by exactly that.
    let describe = format!(
        "(call $block (call $alarm (i64.const 31536000000000000)))
         (call $block (call $alarm (i64.const 31536000000000000)))
         (i64.ne (call $now) (i64.const 63072000000000000))
         (if (then unreachable))
         {}",
        descriptor_of([NAME, VERSION, NAME, OBJECT, OBJECT])
    );
    let task = Task { describe: &describe, extra, imports, with, ..Task::default() };
    let folder = TempDir::new().unwrap();
    assert_eq!(task.admit(folder.path()).await.unwrap().descriptor.name, "name");
}
