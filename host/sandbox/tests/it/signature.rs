//! Functions of another type than the contract's, each told with what is expected and what was found.

use llm_bench_core::ErrorKind;

use crate::support::sandbox;
use crate::task::{Task, admit};

async fn refusal(task: Task<'_>) -> String {
    refusal_of_text(&task.wat()).await
}

async fn refusal_of_text(wat: &str) -> String {
    let error = admit(&sandbox(), &wat::parse_str(wat).unwrap()).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "plugin-signature"), "{error}");
    error.message
}

const SCORE: &str = "func(context: context, sample: sample, solution: solution, target: json) -> \
                     result<list<measurement>, error>";

#[tokio::test]
async fn a_function_that_is_not_exported_is_named_with_its_signature() {
    assert_eq!(
        refusal(Task { scorer: "", ..Task::default() }).await,
        format!(
            "the component exports `llm-bench:plugin/scorer@0.1.0` without its function `score`; expected `{SCORE}`"
        )
    );
}

#[tokio::test]
async fn an_export_with_another_signature_is_told_with_the_expected_one() {
    let scorer = r#"(export "score" (func $metrics))"#;
    assert_eq!(
        refusal(Task { scorer, ..Task::default() }).await,
        format!(
            "the component exports `score` of `llm-bench:plugin/scorer@0.1.0` with another signature: expected \
             `{SCORE}`, found `func(config: string) -> result<list<record {{ name: string, filter: option<string>, \
             description: string, aggregation: enum {{ mean, sum, median, weighted-mean, perplexity, \
             weighted-perplexity, bits-per-byte, corpus }}, higher-is-better: bool }}>, record {{ code: enum {{ \
             invalid-config, invalid-sample, model, denied, unsupported, limit, other }}, message: string, detail: \
             option<string> }}>`"
        )
    );
}

#[tokio::test]
async fn a_difference_deep_in_a_type_is_spelt_out() {
    let changed = async |from: &str, to: &str| {
        let wat = Task::default().wat();
        assert!(wat.contains(from));
        let refusal = refusal_of_text(&wat.replace(from, to)).await;
        let (expected, found) =
            refusal.split_once(": expected `").unwrap().1.split_once("`, found `").unwrap();
        (expected.to_owned(), found.trim_end_matches('`').to_owned())
    };
    let (expected, found) =
        changed(r#"(field "answer" (option string))"#, r#"(field "answer" string)"#).await;
    assert_eq!(
        expected,
        SCORE.replace("solution: solution", "solution: record { answer: option<string>, .. }")
    );
    assert_eq!(found, SCORE.replace("solution: solution", "solution: record { answer: string, .. }"));
    let (expected, found) = changed(r#""limit" "other"))"#, r#""limit"))"#).await;
    let cases = "invalid-config, invalid-sample, model, denied, unsupported, limit";
    let metrics = |cases: &str| {
        format!("func(config: json) -> result<list<metric>, record {{ code: enum {{ {cases} }}, .. }}>")
    };
    assert_eq!((expected, found), (metrics(&format!("{cases}, other")), metrics(cases)));
}

#[tokio::test]
async fn an_import_with_another_signature_is_told_with_the_expected_one() {
    let imports = r#"(import "llm-bench:plugin/logging@0.1.0" (instance
        (export "log" (func (param "message" string)))))"#;
    assert_eq!(
        refusal(Task { imports, ..Task::default() }).await,
        "the component imports `log` of `llm-bench:plugin/logging@0.1.0` with another signature: expected `func(level: \
         level, message: string)`, found `func(message: string)`"
    );
    let imports = r#"(import "llm-bench:plugin/models@0.1.0" (instance
        (export "model" (type $model (sub resource)))
        (export "[method]model.count-tokens" (func (param "self" (borrow $model)) (result u32)))))"#;
    let message = refusal(Task { imports, ..Task::default() }).await;
    assert!(
        message.ends_with(
            "expected `func(self: borrow<model>, texts: list<string>) -> result<list<u32>, error>`, found `func(self: \
             borrow<model>) -> u32`"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn an_import_that_the_contract_does_not_have_is_told_what_there_is() {
    let imports = r#"(import "llm-bench:plugin/logging@0.1.0" (instance
        (export "shout" (func (param "message" string)))))"#;
    assert_eq!(
        refusal(Task { imports, ..Task::default() }).await,
        "the component imports `shout` of `llm-bench:plugin/logging@0.1.0`, which has no such function; it has `log`"
    );
    let imports = r#"(import "llm-bench:plugin/models@0.1.0" (func))"#;
    assert_eq!(
        refusal(Task { imports, ..Task::default() }).await,
        "the component imports `llm-bench:plugin/models@0.1.0` as something else than the interface that it is in the \
         contract"
    );
}

#[tokio::test]
async fn a_type_that_unfolds_without_end_is_shown_in_part() {
    let twice = |level: u32| format!("(type $t{} (tuple $t{level} $t{level}))", level + 1);
    let types: String = (0..15).map(twice).collect();
    let imports = format!(
        r#"(type $t0 (tuple string string)) {types}
        (import "llm-bench:plugin/logging@0.1.0" (instance
            (alias outer 1 $t15 (type $t)) (export "log" (func (param "level" $t)))))"#
    );
    let message = refusal(Task { imports: &imports, ..Task::default() }).await;
    assert!(message.contains("tuple<tuple<") && message.chars().count() < 1000, "{message}");
}

#[tokio::test]
async fn a_clock_with_another_signature_is_refused_as_well() {
    let imports =
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u32)))))"#;
    let message = refusal(Task { imports, ..Task::default() }).await;
    assert!(message.contains("`wasi:clocks/monotonic-clock@0.2.0`"), "{message}");
    assert!(message.contains("expected `u64` found `u32`"), "{message}");
}
