//! Each limit from both sides: what is counted passes at the limit and fails one beyond it.

use std::sync::Arc;

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{GuestCall, ModelAccess};
use llm_bench_core::sample::{Failure, FailureKind, Solution};
use serde_json::json;

use crate::support::{Scripted, call, load, row, sample};

fn trying(behaviour: &str, amount: u64, limits: Limits) -> GuestCall {
    let call = call(json!({"behaviour": behaviour, "amount": amount}), Scripted::subject());
    GuestCall { limits, ..call }
}

async fn solve(call: GuestCall) -> Result<Option<String>, Failure> {
    let plugin = load("hostile").await;
    let outcome = plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await;
    outcome.result.map(|solution| solution.answer)
}

/// `amount` is allowed, one more is not; says what the user reads.
async fn ends_beyond(behaviour: &str, amount: u64, limits: Limits, kind: FailureKind) -> String {
    let at_the_limit = solve(trying(behaviour, amount, limits)).await;
    assert!(at_the_limit.is_ok(), "{behaviour} at the limit: {at_the_limit:?}");
    let failure = solve(trying(behaviour, amount + 1, limits)).await.unwrap_err();
    assert_eq!(failure.kind, kind, "{behaviour} beyond the limit: {failure:?}");
    failure.message
}

#[tokio::test]
async fn calls_of_the_host_are_counted() {
    let limits = Limits { host_calls: 20, ..Limits::default() };
    let message = ends_beyond("host-calls", 20, limits, FailureKind::CallLimit).await;
    assert_eq!(message, "the plugin called its host more than 20 times");
}

#[tokio::test]
async fn requested_tokens_are_counted() {
    let limits = Limits { requested_tokens: 500, ..Limits::default() };
    let message = ends_beyond("tokens", 500, limits, FailureKind::CallLimit).await;
    assert_eq!(message, "the plugin asked for 501 generated tokens; the limit is 500");
}

#[tokio::test]
async fn bytes_of_requests_are_counted() {
    // What a request takes besides its text is found out with one that is refused.
    let probe = Limits { request_bytes: 1, ..Limits::default() };
    let refused = solve(trying("request-bytes", 1000, probe)).await.unwrap_err().message;
    let bytes: u64 =
        refused.split(' ').find_map(|word| word.parse().ok()).expect("the sentence has a number");
    let limits = Limits { request_bytes: bytes, ..Limits::default() };
    let message = ends_beyond("request-bytes", 1000, limits, FailureKind::CallLimit).await;
    assert_eq!(
        message,
        format!("the plugin's model requests have {} bytes together; the limit is {bytes}", bytes + 1)
    );
}

#[tokio::test]
async fn open_models_are_counted() {
    let message = ends_beyond("handles", 256, Limits::default(), FailureKind::CallLimit).await;
    assert_eq!(message, "the plugin holds more than 256 models open at once");
}

#[tokio::test]
async fn memory_is_summed_to_the_page() {
    let plugin = load("hostile").await;
    let honest = trying("honest", 0, Limits::default());
    let used = plugin.solve(honest, &sample(json!({"question": "2 + 2?"}))).await.usage.peak_memory_bytes;
    // `memory-bytes` grows by whole pages beyond what an honest call takes.
    let limits = Limits { memory_bytes: used + (4 << 16), ..Limits::default() };
    let message = ends_beyond("memory-bytes", 4 << 16, limits, FailureKind::MemoryLimit).await;
    assert!(message.starts_with("the plugin wanted more memory than its "), "{message}");
}

#[tokio::test]
async fn bytes_of_a_solution_are_counted() {
    let limits = Limits { output_bytes: 3000, ..Limits::default() };
    let message = ends_beyond("answer-bytes", 3000, limits, FailureKind::InvalidOutput).await;
    assert!(message.contains("3000"), "{message}");
}

#[tokio::test]
async fn measurements_are_counted() {
    let plugin = load("hostile").await;
    let limits = Limits { measurements: 30, ..Limits::default() };
    let score = async |amount: u64| {
        let models: Arc<dyn ModelAccess> = Arc::new(Scripted::default());
        let call = call(json!({"behaviour": "measurements", "amount": amount}), models);
        let (call, solution) = (GuestCall { limits, ..call }, Solution::default());
        let sample = sample(json!({"question": "2 + 2?"}));
        plugin.score(call, &sample, solution, &row(json!({"answer": "4"}))).await.result
    };
    assert_eq!(score(30).await.unwrap().len(), 30);
    let failure = score(31).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidOutput);
    assert!(failure.message.contains("30"), "{}", failure.message);
}

#[tokio::test]
async fn of_a_long_log_the_end_is_kept() {
    let plugin = load("hostile").await;
    let limits = Limits { log_bytes: 1000, ..Limits::default() };
    let log = async |behaviour: &str, amount: u64| {
        // A failure alone shows its log, so the call ends by one.
        let limits = Limits { host_calls: 1, ..limits };
        let call = trying(behaviour, amount, limits);
        plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await
    };
    // One line is one call: both are allowed, and neither fails.
    assert!(log("log-bytes", 900).await.result.is_ok());
    assert!(log("log-bytes", 9000).await.result.is_ok());
    let failure = log("log-flood", 0).await.result.unwrap_err();
    let kept = failure.log.expect("the log is kept");
    assert!(kept.len() <= 1000 + 64 && kept.len() >= 900, "{} bytes", kept.len());
}

#[tokio::test]
async fn fuel_ends_a_call_between_what_it_needs_and_less() {
    let plugin = load("hostile").await;
    let solve = async |fuel| {
        let call = trying("honest", 0, Limits { fuel, ..Limits::default() });
        plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await
    };
    let used = solve(1_000_000_000).await.usage.fuel;
    assert!(solve(used + used / 100).await.result.is_ok());
    let failure = solve(used - used / 100).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::FuelExhausted);
}

#[tokio::test]
async fn the_same_call_gives_the_same_bytes_and_burns_the_same_fuel_however_many_run_beside_it() {
    let plugin = load("hostile").await;
    let solve = |seed| {
        let plugin = Arc::clone(&plugin);
        async move {
            let call = GuestCall { seed, ..trying("fingerprint", 0, Limits::default()) };
            let outcome = plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await;
            (outcome.result.unwrap().answer.unwrap(), outcome.usage.fuel)
        }
    };
    let alone = solve(1).await;
    assert!(alone.0.contains("7ff8000000000000"), "NaN has one form: {}", alone.0);
    let beside: Vec<_> = (0..64).map(|number| tokio::spawn(solve(number % 2))).collect();
    let mut others = Vec::new();
    for (number, task) in beside.into_iter().enumerate() {
        let found = task.await.unwrap();
        if number % 2 == 1 {
            assert_eq!(found, alone);
        } else {
            others.push(found);
        }
    }
    assert_ne!(others[0].0, alone.0, "another seed shows in randomness and in the order of hash maps");
    assert!(others.iter().all(|other| *other == others[0]));
}
