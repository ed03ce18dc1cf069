//! What it costs that a model lives in a child process: the throughput of the same calls here and there, in turns.
//!
//! `cargo bench -p llm-bench-runner --bench child_process`, after `cargo xtask layout`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use llm_bench_core::model::{LoadedModel, Model, ModelRequest, ModelRunner, Origin, Prompt, ScoringRequest};
use llm_bench_runner::{Isolation, ModelCommand, OnnxRunner, ProcessConfig, RunnerConfig};
use tokio_util::sync::CancellationToken;

/// Calls in flight, as many as a benchmark has samples in flight by default.
const CALLERS: usize = 16;
/// Both sides are measured so often; the median of the ratios counts.
const ROUNDS: usize = 9;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let here = load(Isolation::InProcess).await;
        let program = env!("CARGO_BIN_EXE_llm-bench-run-model").into();
        let command = ModelCommand { program, arguments: vec![], environment: vec![] };
        let there = load(Isolation::Process(ProcessConfig::new(command))).await;
        compare("4 choices after 5 examples, 16 in flight", &here, &there, 48, questions).await;
        compare("short pairs, 16 in flight", &here, &there, 2000, pairs).await;
        compare("tokens of a word, 16 in flight", &here, &there, 20_000, counts).await;
        one_by_one(&here, &there).await;
    });
}

async fn compare(
    what: &str,
    here: &Arc<dyn LoadedModel>,
    there: &Arc<dyn LoadedModel>,
    calls: usize,
    request: fn(usize) -> ModelRequest,
) {
    let mut rounds = Vec::new();
    // The first round warms both up.
    for round in 0..=ROUNDS {
        // Whoever comes second finds the machine warmer: they take turns.
        let (inside, outside) = if round % 2 == 0 {
            let inside = time(here, calls, request).await;
            (inside, time(there, calls, request).await)
        } else {
            let outside = time(there, calls, request).await;
            (time(here, calls, request).await, outside)
        };
        if round > 0 {
            rounds.push((inside, outside));
        }
    }
    let ratio = |(inside, outside): &(Duration, Duration)| inside.as_secs_f64() / outside.as_secs_f64();
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let median = &rounds[ROUNDS / 2];
    println!(
        "{what}: {:.3} x the throughput of the thread ({:.3} to {:.3}); {:.0} calls/s in the child",
        ratio(median),
        ratio(&rounds[0]),
        ratio(&rounds[ROUNDS - 1]),
        calls as f64 / median.1.as_secs_f64(),
    );
}

async fn time(model: &Arc<dyn LoadedModel>, calls: usize, request: fn(usize) -> ModelRequest) -> Duration {
    let start = Instant::now();
    futures::stream::iter(0..calls)
        .map(|call| ask(model.clone(), request(call)))
        .buffer_unordered(CALLERS)
        .for_each(async |()| ())
        .await;
    start.elapsed()
}

/// The way there and back, with as good as nothing to do at its end.
async fn one_by_one(here: &Arc<dyn LoadedModel>, there: &Arc<dyn LoadedModel>) {
    const CALLS: u32 = 5000;
    let mut means = Vec::new();
    for model in [here, there] {
        let start = Instant::now();
        for call in 0..CALLS {
            ask(model.clone(), counts(call as usize)).await;
        }
        means.push(start.elapsed() / CALLS);
    }
    println!("one call after another, tokens of a word: {:?} here, {:?} in the child", means[0], means[1]);
}

async fn ask(model: Arc<dyn LoadedModel>, request: ModelRequest) {
    model.answer(request, CancellationToken::new()).await.expect("an answer");
}

/// Four choices after one context, most of which all questions share.
fn questions(call: usize) -> ModelRequest {
    let examples = "Question: what is two plus two?\nAnswer: it is four, as everybody knows.\n\n".repeat(20);
    let context = format!("{examples}Question: what is {call} plus {call}?\nAnswer:");
    ModelRequest::LogLikelihood(["two", "four", "six", "eight"].map(|choice| pair(&context, choice)).to_vec())
}

fn pairs(call: usize) -> ModelRequest {
    ModelRequest::LogLikelihood(vec![pair(&format!("The number {call} comes before"), "two")])
}

fn counts(call: usize) -> ModelRequest {
    ModelRequest::CountTokens(vec![format!("word-{call}")])
}

fn pair(context: &str, continuation: &str) -> ScoringRequest {
    ScoringRequest {
        context: Prompt::Text(context.to_owned()),
        continuation: format!(" {continuation}"),
        extra: Vec::new(),
    }
}

async fn load(isolation: Isolation) -> Arc<dyn LoadedModel> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/models/tiny-llama");
    let runner = OnnxRunner::new(RunnerConfig { isolation, ..RunnerConfig::new(library()) });
    let facts = runner.inspect(&path).await.expect("the bundled model");
    let model = Model { name: "tiny-llama".to_owned(), origin: Origin::Bundled, path, facts };
    runner.load(&model).await.expect("the bundled model")
}

/// `lib/libonnxruntime.so` of the folder that holds this build.
fn library() -> PathBuf {
    let executable = std::env::current_exe().expect("its path");
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let mut libraries = executable.ancestors().map(|folder| folder.join("lib").join(&name));
    libraries
        .find(|library| library.is_file())
        .expect("`cargo xtask layout` puts the library beside the build")
}
