//! What it costs that guests live in a confined process: solving and scoring of multiple-choice samples with models
//! that answer at once, here and there, in turns. Of a whole benchmark, whose models compute, it is less.
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
use llm_bench_core::plugin::{LoadedPlugin, Sandbox};
use llm_bench_process::ChildCommand;
use llm_bench_sandbox::{Isolation, SandboxConfig, WasmSandbox};
use serde_json::json;
use support::{Scripted, call, compiler, plugin, row, sample};

/// Samples in flight, as many as a benchmark has by default.
const CALLERS: usize = 16;
const SAMPLES: usize = 4000;
/// Both sides are measured so often; the median of the ratios counts.
const ROUNDS: usize = 9;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let here = load(Isolation::InProcess).await;
        let program = env!("CARGO_BIN_EXE_llm-bench-run-guests").into();
        let command = ChildCommand { program, arguments: vec![], environment: vec![] };
        let there = load(Isolation::Process { command, memory_bytes: 8 << 30 }).await;
        let mut rounds = Vec::new();
        // The first round warms both up.
        for round in 0..=ROUNDS {
            let (inside, outside) = if round % 2 == 0 {
                let inside = time(&here.1).await;
                (inside, time(&there.1).await)
            } else {
                let outside = time(&there.1).await;
                (time(&here.1).await, outside)
            };
            if round > 0 {
                rounds.push((inside, outside));
            }
        }
        let ratio = |(inside, outside): &(Duration, Duration)| outside.as_secs_f64() / inside.as_secs_f64();
        rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        let median = &rounds[ROUNDS / 2];
        let each = |time: Duration| time.as_secs_f64() * 1e6 / SAMPLES as f64;
        println!(
            "a multiple-choice sample, {CALLERS} in flight: {:.0} µs here, {:.0} µs in the process: {:.2} × ({:.2} to {:.2})",
            each(median.0), each(median.1), ratio(median), ratio(&rounds[0]), ratio(&rounds[ROUNDS - 1]),
        );
    });
}

async fn load(isolation: Isolation) -> (WasmSandbox, Arc<dyn LoadedPlugin>) {
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
    let digest = sandbox.admit(&plugin("multiple-choice")).await.unwrap().digest;
    let plugin = sandbox.load(&digest, None).await.unwrap();
    (sandbox, plugin)
}

async fn time(plugin: &Arc<dyn LoadedPlugin>) -> Duration {
    let start = Instant::now();
    futures::stream::iter(0..SAMPLES)
        .map(|number| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                let question = format!("Which of these stands at {number}?");
                let input = json!({"question": question, "choices": ["a cat", "a dog", "a horse", "a bird"]});
                let solved = plugin.solve(call(json!({}), Scripted::subject()), &sample(input.clone())).await;
                let target = row(json!({"answer": "a cat"}));
                let call = call(json!({}), Scripted::subject());
                let scored = plugin.score(call, &sample(input), solved.result.unwrap(), &target).await;
                assert!(scored.result.is_ok());
            })
        })
        .buffer_unordered(CALLERS)
        .for_each(async |done| done.unwrap())
        .await;
    start.elapsed()
}
