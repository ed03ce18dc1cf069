//! What the sandbox costs where models answer at once: a call beside one by bare wasmtime, whole samples, the memory that
//! stays, and loading what was compiled before. `cargo xtask layout` builds the components. With components as arguments:
//! what an instance of each costs.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result, and stops where it cannot go on"
)]

#[path = "support/bare.rs"]
mod bare;
#[expect(dead_code, reason = "the tests share more")]
#[path = "../tests/it/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bare::Bare;
use futures::StreamExt;
use llm_bench_core::limits::Limits;
use llm_bench_core::model::{LogLikelihood, ModelRequest, ModelResponse, ScoringRequest};
use llm_bench_core::plugin::{GuestCall, LoadedPlugin, ModelAccess, Sandbox};
use llm_bench_core::sample::Sample;
use llm_bench_core::{Json, Result};
use llm_bench_sandbox::{Isolation, SandboxConfig, WasmSandbox};
use serde_json::json;
use support::{call, compiler, plugin, row, sample};
use tokio_util::sync::CancellationToken;

/// Samples in flight, as many as a benchmark has by default.
const CALLERS: usize = 16;
/// Both sides of the call are measured so often, in turns; the median of the ratios counts.
const ROUNDS: usize = 9;
const CALLS: u32 = 3000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let components: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from).collect();
    if !components.is_empty() {
        return runtime.block_on(instantiate(&components));
    }
    runtime.block_on(async {
        let component = bare_component();
        let sandbox = open();
        let (_, bare) = load(&sandbox, &component).await;
        let alone = Arc::new(Bare::load(&component));
        compare_calls(&bare, &alone).await;
        compare_throughput(&bare, &alone).await;
        run_samples(&bare).await;
        let (digest, choices) = load(&sandbox, &plugin("multiple-choice")).await;
        let time = samples(&choices, 10_000, choice).await;
        println!("multiple-choice: {:.0} µs a sample, {CALLERS} in flight", micros(time, 10_000));
        drop(choices);
        load_again(&digest).await;
    });
}

/// What a fresh instance costs of components that are named, with its smallest call: `metrics` of the example config.
async fn instantiate(components: &[PathBuf]) {
    let sandbox = open();
    for component in components {
        let admitted = sandbox.admit(component).await.unwrap();
        let plugin = sandbox.load(&admitted.digest, None).await.unwrap();
        let config = &admitted.descriptor.example_config;
        let mut times = Vec::new();
        for _ in 0..CALLS {
            let start = Instant::now();
            plugin.metrics(config, &Limits::default()).await.unwrap();
            times.push(start.elapsed());
        }
        times.sort();
        println!("{}: {:.0} µs an instance", component.display(), micros(times[times.len() / 2], 1));
    }
}

/// One solve in a fresh instance with one question to the model, one after the other, here and by bare wasmtime.
async fn compare_calls(ours: &Arc<dyn LoadedPlugin>, bare: &Bare) {
    let (text, call, sample) = one_question();
    let mut rounds = Vec::new();
    // The first round warms both up.
    for round in 0..=ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            assert!(ours.solve(call.clone(), &sample).await.result.is_ok());
        }
        let here = start.elapsed();
        let start = Instant::now();
        for _ in 0..CALLS {
            assert!(bare.solve(&text).is_some());
        }
        let there = start.elapsed();
        if round > 0 {
            rounds.push((here, there));
        }
    }
    report("one solve after the other", rounds);
}

/// The same, on all cores: as many in flight here as a benchmark has, and there a thread for each core.
async fn compare_throughput(ours: &Arc<dyn LoadedPlugin>, bare: &Arc<Bare>) {
    let (text, call, sample) = one_question();
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let callers = (0..CALLERS).map(|caller| {
            let (ours, call, sample) = (ours.clone(), call.clone(), sample.clone());
            tokio::spawn(async move {
                for _ in (caller..CALLS as usize).step_by(CALLERS) {
                    assert!(ours.solve(call.clone(), &sample).await.result.is_ok());
                }
            })
        });
        futures::future::join_all(callers).await.into_iter().for_each(|caller| caller.unwrap());
        let here = start.elapsed();
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let share = (thread..CALLS as usize).step_by(threads);
                scope.spawn(|| share.for_each(|_| assert!(bare.solve(&text).is_some())));
            }
        });
        let there = start.elapsed();
        if round > 0 {
            rounds.push((here, there));
        }
    }
    report(&format!("{CALLERS} solves in flight on {threads} cores"), rounds);
}

/// A row as text, and the same for a call of ours.
fn one_question() -> (String, GuestCall, Sample) {
    let input = json!({"question": "Does this take long?"});
    (input.to_string(), call(json!({}), Arc::new(AtOnce)), sample(input))
}

fn report(what: &str, mut rounds: Vec<(Duration, Duration)>) {
    let ratio = |(here, there): &(Duration, Duration)| here.as_secs_f64() / there.as_secs_f64();
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let (median, [low, high]) = (&rounds[ROUNDS / 2], [&rounds[0], &rounds[ROUNDS - 1]].map(ratio));
    println!(
        "{what}, one question each: {:.1} µs here, {:.1} µs by bare wasmtime: {:.2} × ({low:.2} to {high:.2})",
        micros(median.0, CALLS as usize),
        micros(median.1, CALLS as usize),
        ratio(median)
    );
}

/// A hundred thousand samples of the bare component, and what memory is resident after them.
async fn run_samples(bare: &Arc<dyn LoadedPlugin>) {
    samples(bare, 1000, question).await;
    let early = resident();
    let time = samples(bare, 99_000, question).await;
    let late = resident();
    println!("a bare task: {:.1} µs a sample, {CALLERS} in flight", micros(time, 99_000));
    println!(
        "resident memory: {} KiB after 1,000 samples, {} KiB after 100,000: {:.3} ×",
        early / 1024,
        late / 1024,
        late as f64 / early as f64
    );
}

/// Loading a component whose compiled code is there, each time by a sandbox that has just started.
async fn load_again(digest: &str) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let sandbox = open();
        let start = Instant::now();
        sandbox.load(digest, None).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("loading multiple-choice again: {:.1} ms", times[ROUNDS / 2].as_secs_f64() * 1000.0);
}

fn question(number: usize) -> (Json, Json) {
    (json!({"question": format!("Is it number {number}?")}), json!({"answer": "yes"}))
}

fn choice(number: usize) -> (Json, Json) {
    let choices = ["a cat", "a dog", "a horse", "a bird"];
    let question = format!("Which of these stands at {number}?");
    (json!({"question": question, "choices": choices}), json!({"answer": "a cat"}))
}

/// Solves and scores so many samples.
async fn samples(plugin: &Arc<dyn LoadedPlugin>, count: usize, make: fn(usize) -> (Json, Json)) -> Duration {
    let start = Instant::now();
    futures::stream::iter(0..count)
        .map(|number| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                let (input, target) = make(number);
                let solved = plugin.solve(call(json!({}), Arc::new(AtOnce)), &sample(input.clone())).await;
                let call = call(json!({}), Arc::new(AtOnce));
                let scored = plugin.score(call, &sample(input), solved.result.unwrap(), &row(target)).await;
                assert!(scored.result.is_ok());
            })
        })
        .buffer_unordered(CALLERS)
        .for_each(async |done| done.unwrap())
        .await;
    start.elapsed()
}

/// A model that answers at once, and does nothing else: bare wasmtime's imports do no more.
struct AtOnce;

#[async_trait]
impl ModelAccess for AtOnce {
    fn open(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn call(&self, _: &str, request: ModelRequest, _: CancellationToken) -> Result<ModelResponse> {
        let likelihood = |request: &ScoringRequest| LogLikelihood {
            sum: -(request.continuation.len() as f64),
            is_greedy: false,
            tokens: 1,
        };
        let ModelRequest::LogLikelihood(requests) = request else {
            unreachable!("the components ask for likelihoods alone")
        };
        Ok(ModelResponse::LogLikelihood(requests.iter().map(likelihood).collect()))
    }
}

fn open() -> WasmSandbox {
    WasmSandbox::open(SandboxConfig {
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"),
        compiler: compiler(),
        concurrency: 64,
        max_component_bytes: 64 << 20,
        max_data_bytes: 4 << 20,
        max_memory_bytes: 1 << 32,
        isolation: Isolation::InProcess,
    })
    .unwrap()
}

async fn load(sandbox: &WasmSandbox, component: &Path) -> (String, Arc<dyn LoadedPlugin>) {
    let digest = sandbox.admit(component).await.unwrap().digest;
    let plugin = sandbox.load(&digest, None).await.unwrap();
    (digest, plugin)
}

/// Where the build of the plugins leaves it: it is no part of an installation.
fn bare_component() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let target = bench.ancestors().nth(3).unwrap();
    let component = target.join("plugins/wasm32-wasip2/release/bare.wasm");
    assert!(component.is_file(), "{} is missing: run `cargo xtask layout`", component.display());
    component
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
