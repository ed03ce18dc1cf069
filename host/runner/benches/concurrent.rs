//! 16 generations at once against the same 16 one after the other, both through the runner's public port. What a bare
//! loop gains from one batch of them stands beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod support;

use futures::future::join_all;
use support::bare::{self, Loop, Order};
use support::{Loaded, agreement, machine, model_folder, prompts, report, timed};

const GENERATIONS: usize = 16;
const TOKENS: usize = 64;
const BAR: f64 = 5.0;

#[tokio::main]
async fn main() {
    if bare::is_child() {
        return;
    }
    machine();
    let prompts = prompts(GENERATIONS);

    // Loaded anew for each side, so that none finds what the other left in a cache.
    let loaded = Loaded::open(&model_folder()).await;
    let (at_once, at_once_s) =
        timed(join_all(prompts.iter().map(|prompt| loaded.write(prompt, TOKENS)))).await;
    drop(loaded);
    let loaded = Loaded::open(&model_folder()).await;
    let (one_by_one, one_by_one_s) = timed(async {
        let mut generations = Vec::new();
        for prompt in &prompts {
            generations.push(loaded.write(prompt, TOKENS).await);
        }
        generations
    })
    .await;
    drop(loaded);

    println!(
        "{}",
        agreement(
            at_once.iter().zip(&one_by_one).map(|(one, other)| (one.text.as_str(), other.text.as_str()))
        )
    );
    let speed = |seconds: f64| (GENERATIONS * TOKENS) as f64 / seconds;
    println!("runner, one by one: {one_by_one_s:.3} s, {:.2} tokens/s", speed(one_by_one_s));
    println!("runner, at once: {at_once_s:.3} s, {:.2} tokens/s", speed(at_once_s));

    let bare = |batches| bare::write(&Order { driven: Loop::Spinning, batches, tokens: TOKENS }).seconds;
    let bare_one_by_one_s = bare(prompts.iter().map(|prompt| vec![prompt.clone()]).collect());
    let bare_at_once_s = bare(vec![prompts]);
    println!(
        "bare loop: {bare_one_by_one_s:.3} s one by one, {bare_at_once_s:.3} s in one batch: {:.2} ×",
        bare_one_by_one_s / bare_at_once_s
    );
    report(one_by_one_s / at_once_s, BAR, "as fast at once as one by one");
}
