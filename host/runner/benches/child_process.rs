//! What it costs that a model lives in a child process: the throughput of the same calls here and there, in turns. The
//! bar is for questions as benchmarks ask them; what calls cost that do next to nothing stands beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[expect(dead_code, reason = "the other benchmarks share more")]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use llm_bench_core::model::{LoadedModel, Model, ModelRequest, ModelRunner, Origin, Prompt, ScoringRequest};
use llm_bench_process::ChildCommand;
use llm_bench_runner::{Isolation, OnnxRunner, ProcessConfig, RunnerConfig};
use support::{library, machine, report};
use tokio_util::sync::CancellationToken;

/// Calls in flight, as many as a benchmark has samples in flight by default.
const CALLERS: usize = 16;
/// Both sides are measured so often; the median of the ratios counts.
const ROUNDS: usize = 9;
/// The child may cost 3 % of the throughput.
const BAR: f64 = 0.97;

fn main() {
    machine();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let here = load(Isolation::InProcess).await;
        let program = env!("CARGO_BIN_EXE_llm-bench-run-model").into();
        let command = ChildCommand { program, arguments: vec![], environment: vec![] };
        let there = load(Isolation::Process(ProcessConfig::new(command))).await;
        let ratio = compare("4 choices after 5 examples, 16 in flight", &here, &there, 400, questions).await;
        report(ratio, BAR, "the throughput of questions in the child as in the thread");
        compare("short pairs, 16 in flight", &here, &there, 2000, pairs).await;
        compare("tokens of a word, 16 in flight", &here, &there, 20_000, counts).await;
        one_by_one(&here, &there).await;
    });
}

/// Gives the median ratio.
async fn compare(
    what: &str,
    here: &Arc<dyn LoadedModel>,
    there: &Arc<dyn LoadedModel>,
    calls: usize,
    request: fn(usize) -> ModelRequest,
) -> f64 {
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
    ratio(median)
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
    let path = model_folder();
    let runner = OnnxRunner::new(RunnerConfig { isolation, ..RunnerConfig::new(library()) });
    let facts = runner.inspect(&path).await.expect("the model can be inspected");
    let model = Model { name: path.display().to_string(), origin: Origin::Path, path, facts };
    runner.load(&model).await.expect("the model loads")
}

/// `$LLM_BENCH_BENCH_MODEL`, else the bundled model.
fn model_folder() -> PathBuf {
    let named = std::env::var_os("LLM_BENCH_BENCH_MODEL").filter(|named| !named.is_empty());
    named.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/models/tiny-llama"),
        PathBuf::from,
    )
}
