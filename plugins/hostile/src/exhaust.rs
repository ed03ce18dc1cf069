//! Uses up what a plugin has too little of.

use std::hint::black_box;
use std::io::Read;

use llm_bench_plugin_sdk::GenerationRequest;
use llm_bench_plugin_sdk::data::DataFile;
use llm_bench_plugin_sdk::prelude::*;
use serde_json::Value;

/// One line of a flood, line break not among it.
const LINE_BYTES: usize = 1023;

/// A function of its own, so that a backtrace names it.
#[inline(never)]
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes its time, and ends.
pub(crate) fn dawdle() {
    let mut turns = 0_u64;
    while turns < 20_000 {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub(crate) fn memory() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Deeper than a reader of JSON goes, and flat enough to be written.
pub(crate) fn deep_detail() -> Solution {
    let mut detail = Value::Null;
    for _ in 0..1000 {
        detail = Value::Array(vec![detail]);
    }
    Solution { detail: Some(detail), ..Solution::default() }
}

/// Not a tail call, and nothing on the guest's own stack: it is the host's stack that runs out.
#[inline(never)]
pub(crate) fn recurse(depth: u64, limit: u64) -> u64 {
    if depth == limit { depth } else { (recurse(depth + 1, limit) ^ depth).rotate_left(1) }
}

#[expect(clippy::print_stdout, reason = "this is the harm")]
#[expect(clippy::unnecessary_wraps, reason = "as its neighbours")]
pub(crate) fn stdout(bytes: usize) -> Result<Solution> {
    let line = "x".repeat(LINE_BYTES);
    for _ in 0..bytes / LINE_BYTES {
        println!("{line}");
    }
    Ok(Solution::answer("harmless"))
}

#[expect(clippy::unnecessary_wraps, reason = "as its neighbours")]
pub(crate) fn log(bytes: usize) -> Result<Solution> {
    let line = "x".repeat(LINE_BYTES);
    for _ in 0..bytes / LINE_BYTES {
        log::info(&line);
    }
    Ok(Solution::answer("harmless"))
}

pub(crate) fn host_calls() -> Result<Solution> {
    let model = Model::open("subject")?;
    loop {
        model.count_tokens(["x"])?;
    }
}

pub(crate) fn handles() -> Result<Solution> {
    loop {
        std::mem::forget(Model::open("subject")?);
    }
}

pub(crate) fn tokens() -> Result<Solution> {
    let requests =
        (0..1_000).map(|_| GenerationRequest { prompt: "x".into(), sampling: Sampling::greedy(u32::MAX) });
    let generations = Model::open("subject")?.generate(requests)?;
    Ok(Solution::answer(format!("READ: {} generations", generations.len())))
}

#[expect(clippy::unnecessary_wraps, reason = "as its neighbours")]
fn honest() -> Result<Solution> {
    Ok(Solution::answer("harmless"))
}

/// Opening the model is one of the calls.
pub(crate) fn some_host_calls(amount: u32) -> Result<Solution> {
    let model = Model::open("subject")?;
    for _ in 1..amount {
        model.count_tokens(["x"])?;
    }
    honest()
}

pub(crate) fn some_tokens(amount: u32) -> Result<Solution> {
    let request = GenerationRequest { prompt: "x".into(), sampling: Sampling::greedy(amount) };
    Model::open("subject")?.generate([request])?;
    honest()
}

pub(crate) fn request_bytes(amount: u32) -> Result<Solution> {
    Model::open("subject")?.count_tokens(["x".repeat(amount as usize)])?;
    honest()
}

pub(crate) fn some_handles(amount: u32) -> Result<Solution> {
    let open: Result<Vec<Model>> = (0..amount).map(|_| Model::open("subject")).collect();
    black_box(&open?);
    honest()
}

pub(crate) fn log_bytes(amount: u32) -> Result<Solution> {
    log::info("x".repeat(amount as usize));
    honest()
}

/// Grown at once: an allocator would round it.
pub(crate) fn memory_bytes(amount: u32) -> Result<Solution> {
    const PAGE: usize = 65_536;
    let pages = (amount as usize).div_ceil(PAGE);
    #[cfg(target_arch = "wasm32")]
    assert_ne!(core::arch::wasm32::memory_grow(0, pages), usize::MAX, "no memory");
    black_box(pages);
    honest()
}

/// As many at once as the host gives.
pub(crate) fn data(amount: u32) -> Result<Solution> {
    let mut file = DataFile::open("data.bin")?;
    let mut buffer = vec![0; 2 << 20];
    let (mut left, mut sum) = (amount as usize, 0_u64);
    while left > 0 {
        let most = left.min(buffer.len());
        let read = file.read(&mut buffer[..most]).map_err(|error| Error::other(error.to_string()))?;
        if read == 0 {
            break;
        }
        sum += buffer[..read].iter().map(|byte| u64::from(*byte)).sum::<u64>();
        left -= read;
    }
    Ok(Solution::answer(format!("{} bytes, {sum}", amount as usize - left)))
}
