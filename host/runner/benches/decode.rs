//! Greedy decoding of 128 tokens, batch 1: the runner through its public port against a bare loop over a session of the
//! same graph. The bar is against the best of the bare loops.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod support;

use support::bare::{self, Loop, Order};
use support::{Loaded, agreement, machine, model_folder, prompts, report, timed};

const TOKENS: usize = 128;
const REPETITIONS: usize = 3;
const BAR: f64 = 0.95;
const LOOPS: [Loop; 3] = [Loop::Moved, Loop::Spinning, Loop::Bound];

#[tokio::main]
async fn main() {
    if bare::is_child() {
        return;
    }
    machine();
    let loaded = Loaded::open(&model_folder()).await;
    let mut runner_s = Vec::new();
    let mut bare_s = LOOPS.map(|driven| (driven, Vec::new()));
    let mut texts = Vec::new();
    for prompt in prompts(REPETITIONS) {
        let (generation, seconds) = timed(loaded.write(&prompt, TOKENS)).await;
        runner_s.push(seconds);
        for (driven, seconds) in &mut bare_s {
            let order = Order { driven: *driven, batches: vec![vec![prompt.clone()]], tokens: TOKENS };
            let written = bare::write(&order);
            seconds.push(written.seconds);
            texts.push((generation.text.clone(), written.texts[0].clone()));
        }
    }
    println!("{}", agreement(texts.iter().map(|(runner, bare)| (runner.as_str(), bare.as_str()))));
    let speed = |seconds: f64| TOKENS as f64 / seconds;
    let runner = median(&runner_s);
    println!("runner: {TOKENS} tokens in {runner:.3} s, {:.2} tokens/s", speed(runner));
    let mut best = f64::INFINITY;
    for (driven, seconds) in &bare_s {
        let seconds = median(seconds);
        best = best.min(seconds);
        println!("bare loop, {driven:?}: {TOKENS} tokens in {seconds:.3} s, {:.2} tokens/s", speed(seconds));
    }
    report(best / runner, BAR, "the speed of the best bare loop");
}

/// The middle one of an odd count.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
