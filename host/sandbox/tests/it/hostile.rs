//! What a plugin may try, and by what name it fails.

use std::sync::Arc;

use llm_bench_core::ErrorKind;
use llm_bench_core::limits::{Budget, Limits};
use llm_bench_core::plugin::{GuestCall, GuestOutcome, LoadedPlugin, ModelAccess, Sandbox};
use llm_bench_core::sample::{Failure, FailureKind, Measurement, Phase, Solution};
use serde_json::json;

use crate::support::{Scripted, call, load, plugin, row, sample, sandbox};

fn trying(behaviour: &str) -> GuestCall {
    call(json!({"behaviour": behaviour}), Scripted::subject())
}

async fn solve(plugin: &dyn LoadedPlugin, call: GuestCall) -> GuestOutcome<Solution> {
    plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await
}

async fn score(plugin: &dyn LoadedPlugin, behaviour: &str) -> GuestOutcome<Vec<Measurement>> {
    let models: Arc<dyn ModelAccess> = Arc::new(Scripted::default());
    let call = call(json!({"behaviour": behaviour}), models);
    let solution = Solution { answer: Some("4".into()), ..Solution::default() };
    plugin.score(call, &sample(json!({"question": "2 + 2?"})), solution, &row(json!({"answer": "4"}))).await
}

/// Solves as `behaviour`, expects the failure, and that an honest sample is then solved as ever.
async fn solving_fails(behaviour: &str, kind: FailureKind) -> Failure {
    let plugin = load("hostile").await;
    let failure = solve(&*plugin, trying(behaviour)).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (kind, Phase::Solve), "{failure:?}");
    let honest = solve(&*plugin, trying("honest")).await.result.unwrap();
    assert_eq!(honest.answer.as_deref(), Some("harmless"));
    failure
}

async fn scoring_fails(behaviour: &str, kind: FailureKind) -> Failure {
    let plugin = load("hostile").await;
    let failure = score(&*plugin, behaviour).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (kind, Phase::Score), "{failure:?}");
    assert_eq!(score(&*plugin, "honest").await.result.unwrap()[0].value, Some(1.0));
    failure
}

#[tokio::test]
async fn randomness_follows_from_the_seed() {
    let plugin = load("hostile").await;
    let draw = async |seed| {
        solve(&*plugin, GuestCall { seed, ..trying("randomness") }).await.result.unwrap().answer.unwrap()
    };
    assert!(draw(1).await.starts_with("RANDOM: "));
    assert_eq!(draw(1).await, draw(1).await);
    assert_ne!(draw(1).await, draw(2).await);
}

#[tokio::test]
async fn a_withheld_column_is_not_there() {
    let failure = solving_fails("peek-gold", FailureKind::InvalidSample).await;
    assert!(failure.message.contains("column `answer`: missing"), "{}", failure.message);
}

#[tokio::test]
async fn a_part_that_is_not_granted_is_denied() {
    solving_fails("open-judge", FailureKind::Denied).await;
    let failure = scoring_fails("open-subject-in-score", FailureKind::Denied).await;
    assert!(failure.message.contains("no model plays `subject`"), "{}", failure.message);
}

#[tokio::test]
async fn an_endless_loop_ends_by_fuel_in_every_export() {
    let failure = solving_fails("spin", FailureKind::FuelExhausted).await;
    assert_eq!(failure.message, "the plugin burnt all of its 1000000000 units of fuel");
    let backtrace = failure.backtrace.unwrap();
    assert!(backtrace.contains("spin"), "{backtrace}");
    scoring_fails("spin-in-score", FailureKind::FuelExhausted).await;
    let plugin = load("hostile").await;
    let error = plugin.metrics(&json!({"behaviour": "spin-in-metrics"}), &Limits::of(Budget::Small)).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-failed"));
    assert!(error.message.contains("fuel-exhausted"), "{error}");
}

#[tokio::test]
async fn a_loop_with_more_fuel_than_time_ends_by_the_clock() {
    let plugin = load("hostile").await;
    let limits = Limits { fuel: u64::MAX, compute_timeout_ms: 50, ..Limits::default() };
    let outcome = solve(&*plugin, GuestCall { limits, ..trying("spin") }).await;
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(failure.message, "the plugin computed for longer than 50 ms");
    assert!(outcome.usage.fuel > 1_000_000);
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let plugin = load("hostile").await;
    let outcome = solve(&*plugin, trying("memory-bomb")).await;
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::MemoryLimit, "{failure:?}");
    assert_eq!(failure.message, "the plugin wanted more memory than its 64 MiB");
    assert!((32 << 20..=64 << 20).contains(&outcome.usage.peak_memory_bytes), "{:?}", outcome.usage);
    solving_fails("memory-bomb", FailureKind::MemoryLimit).await;
}

#[tokio::test]
async fn recursion_ends_at_the_guest_s_own_stack() {
    solving_fails("recurse", FailureKind::StackOverflow).await;
}

#[tokio::test]
async fn a_panic_is_told_in_the_plugin_s_words() {
    let failure = solving_fails("panic", FailureKind::Trap).await;
    assert!(
        failure.message.starts_with("the plugin panicked: this plugin panics on purpose ("),
        "{}",
        failure.message
    );
    assert!(failure.log.unwrap().contains("panicked at"));
    assert!(failure.backtrace.is_some());
    scoring_fails("panic-in-score", FailureKind::Trap).await;
}

#[tokio::test]
async fn an_abort_is_a_trap_and_an_exit_an_exit() {
    solving_fails("abort", FailureKind::Trap).await;
    let failure = solving_fails("exit", FailureKind::Exit).await;
    assert_eq!(failure.message, "the plugin ended itself with exit code 0");
}

#[tokio::test]
async fn standard_output_is_dropped_but_for_its_end() {
    let plugin = load("hostile").await;
    let outcome = solve(&*plugin, trying("stdout-flood")).await;
    assert_eq!(outcome.result.unwrap().answer.as_deref(), Some("harmless"));
    assert!(outcome.usage.peak_memory_bytes < 8 << 20, "{:?}", outcome.usage);
}

#[tokio::test]
async fn floods_of_calls_handles_and_tokens_end_at_their_limits() {
    let failure = solving_fails("log-flood", FailureKind::CallLimit).await;
    assert_eq!(failure.message, "the plugin called its host more than 10000 times");
    assert!(failure.log.unwrap().len() <= 16 * 1024 + 64);
    let failure = solving_fails("host-call-flood", FailureKind::CallLimit).await;
    assert_eq!(failure.message, "the plugin called its host more than 10000 times");
    let failure = solving_fails("handle-leak", FailureKind::CallLimit).await;
    assert_eq!(failure.message, "the plugin holds more than 256 models open at once");
    let failure = solving_fails("token-flood", FailureKind::CallLimit).await;
    assert!(failure.message.ends_with("generated tokens; the limit is 1000000"), "{}", failure.message);
}

#[tokio::test]
async fn a_token_flood_never_reaches_the_model() {
    let (plugin, models) = (load("hostile").await, Scripted::subject());
    let call = call(json!({"behaviour": "token-flood"}), models.clone());
    solve(&*plugin, call).await.result.unwrap_err();
    assert!(models.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn output_that_breaks_the_contract_is_refused() {
    solving_fails("huge-answer", FailureKind::InvalidOutput).await;
    let failure = scoring_fails("nan-measurement", FailureKind::InvalidOutput).await;
    assert!(failure.message.contains("`harmless` is NaN"), "{}", failure.message);
    scoring_fails("duplicate-measurement", FailureKind::InvalidOutput).await;
    scoring_fails("many-measurements", FailureKind::InvalidOutput).await;
}

#[tokio::test]
async fn an_unknown_metric_is_left_to_the_orchestrator() {
    let plugin = load("hostile").await;
    assert_eq!(score(&*plugin, "undeclared-measurement").await.result.unwrap()[0].metric, "invented");
}

#[tokio::test]
async fn a_cancelled_call_ends_while_the_guest_computes() {
    let plugin = load("hostile").await;
    let limits = Limits { fuel: u64::MAX, compute_timeout_ms: u64::MAX / 2, ..Limits::default() };
    let call = GuestCall { limits, ..trying("spin") };
    let cancel = call.cancel.clone();
    let (outcome, ()) = tokio::join!(solve(&*plugin, call), async { cancel.cancel() });
    assert_eq!(outcome.result.unwrap_err().message, "the call was cancelled");
}

#[tokio::test]
async fn guests_that_loop_leave_room_for_honest_ones() {
    let plugin = load("hostile").await;
    // As many as there are threads and places but one.
    let limits = Limits { fuel: u64::MAX, ..Limits::default() };
    let loops: Vec<_> = (0..3)
        .map(|_| {
            let (plugin, call) = (Arc::clone(&plugin), GuestCall { limits, ..trying("spin") });
            tokio::spawn(async move { solve(&*plugin, call).await })
        })
        .collect();
    for _ in 0..10 {
        assert!(solve(&*plugin, trying("honest")).await.result.is_ok());
    }
    for task in loops {
        task.abort();
    }
}

#[tokio::test]
async fn a_sandbox_can_be_dropped_in_async_code_with_guests_at_work() {
    let sandbox = sandbox();
    let digest = sandbox.admit(&plugin("hostile")).await.unwrap().digest;
    let plugin = sandbox.load(&digest, None).await.unwrap();
    drop(sandbox);
    assert!(solve(&*plugin, trying("honest")).await.result.is_ok());
    drop(plugin);
}
