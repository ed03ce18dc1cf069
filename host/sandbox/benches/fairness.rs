//! What a plugin that burns all that it may takes from another one: honest samples alone, and beside as many samples in
//! flight that compute without end. Its share of the cores is a half. `cargo xtask layout` builds the components.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result, and stops where it cannot go on"
)]

#[expect(dead_code, reason = "the tests share more")]
#[path = "../tests/it/support.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{GuestCall, LoadedPlugin, Sandbox};
use llm_bench_process::ChildCommand;
use llm_bench_sandbox::{Isolation, SandboxConfig, WasmSandbox};
use serde_json::json;
use support::{Scripted, call, compiler, plugin, sample};
use tokio_util::sync::CancellationToken;

/// Samples in flight of each plugin, as many as a benchmark has by default.
const CALLERS: usize = 16;
const SAMPLES: usize = 2000;
const ROUNDS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        measure("on threads of the host", Isolation::InProcess).await;
        let program = env!("CARGO_BIN_EXE_llm-bench-run-guests").into();
        let command = ChildCommand { program, arguments: vec![], environment: vec![] };
        measure("in processes of their own", Isolation::Process { command, memory_bytes: 8 << 30 }).await;
    });
}

async fn measure(place: &str, isolation: Isolation) {
    let sandbox = WasmSandbox::open(SandboxConfig {
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"),
        compiler: compiler(),
        concurrency: 64,
        max_component_bytes: 64 << 20,
        max_data_bytes: 4 << 20,
        max_memory_bytes: 1 << 32,
        isolation,
    })
    .unwrap();
    let honest = load(&sandbox, "multiple-choice").await;
    let greedy = load(&sandbox, "hostile").await;
    let mut rounds = Vec::new();
    // The first round warms both up.
    for round in 0..=ROUNDS {
        let alone = time(&honest).await;
        let cancel = CancellationToken::new();
        let loops: Vec<_> =
            (0..CALLERS).map(|_| tokio::spawn(spin(greedy.clone(), cancel.clone()))).collect();
        // Until all of them compute.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let beside = time(&honest).await;
        cancel.cancel();
        for ended in loops {
            ended.await.unwrap();
        }
        if round > 0 {
            rounds.push(beside.as_secs_f64() / alone.as_secs_f64());
        }
    }
    rounds.sort_by(f64::total_cmp);
    println!(
        "{place}: honest samples take {:.2} × as long beside a plugin that burns all it may ({:.2} to {:.2})",
        rounds[ROUNDS / 2],
        rounds[0],
        rounds[ROUNDS - 1]
    );
}

async fn load(sandbox: &WasmSandbox, name: &str) -> Arc<dyn LoadedPlugin> {
    let digest = sandbox.admit(&plugin(name)).await.unwrap().digest;
    sandbox.load(&digest, None).await.unwrap()
}

/// Computes until it is cancelled.
async fn spin(plugin: Arc<dyn LoadedPlugin>, cancel: CancellationToken) {
    let limits = Limits { fuel: u64::MAX, compute_timeout_ms: 600_000, ..Limits::default() };
    let call = call(json!({"behaviour": "spin"}), Scripted::subject());
    let outcome = plugin.solve(GuestCall { limits, cancel, ..call }, &sample(json!({}))).await;
    assert!(outcome.result.is_err());
}

async fn time(plugin: &Arc<dyn LoadedPlugin>) -> Duration {
    let start = Instant::now();
    futures::stream::iter(0..SAMPLES)
        .map(|number| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                let question = format!("Which of these stands at {number}?");
                let input = json!({"question": question, "choices": ["a cat", "a dog", "a horse", "a bird"]});
                let solved = plugin.solve(call(json!({}), Scripted::subject()), &sample(input)).await;
                assert!(solved.result.is_ok());
            })
        })
        .buffer_unordered(CALLERS)
        .for_each(async |done| done.unwrap())
        .await;
    start.elapsed()
}
