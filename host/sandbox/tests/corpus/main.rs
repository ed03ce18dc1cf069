//! A corpus of broken files: whatever is uploaded is refused with a sentence or admitted, and the process goes on.
//!
//! Alone in its process, because threads and memory are counted. Most files go through inspection alone, as an upload
//! does first; some of those that pass it go all the way.
//!
//! `LLM_BENCH_CORPUS_FLIPS=20000 cargo test -p llm-bench-sandbox --test corpus` flips so many bytes (500 else) of each good
//! component; `LLM_BENCH_CORPUS_SEED=7` others than usual.

#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

#[path = "../it/bomb.rs"]
mod bomb;
mod broken;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../it/support.rs"]
mod support;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../it/task.rs"]
mod task;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use llm_bench_core::plugin::Sandbox;
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::{CompileLimits, CompilerCommand, WasmSandbox, probe};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Scripted, call, compiler, plugin, sample, sandbox_with};
use crate::task::{Task, Words, admit};

const MEBIBYTE: u64 = 1 << 20;

/// Enough for what is honest, and soon over.
const LIMITS: CompileLimits =
    CompileLimits { address_space_bytes: 512 << 20, processor_seconds: 4, wall_seconds: 120 };

#[tokio::test]
async fn whatever_is_uploaded_the_process_goes_on() {
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), CompilerCommand { limits: LIMITS, ..compiler() });
    let perplexity = fs::read(plugin("perplexity")).unwrap();
    let small = small();
    admit(&sandbox, &small).await.unwrap();
    works(&sandbox).await;
    // What is made once, whatever it is made for.
    bombs(&sandbox, &small).await;

    let before = Level::now();
    truncations(&small);
    truncations(&perplexity);
    flips(&sandbox, &small, 40).await;
    flips(&sandbox, &perplexity, 2).await;
    generated(&sandbox, &small, 300, 20).await;
    bombs(&sandbox, &small).await;
    works(&sandbox).await;
    // Threads that waited for files go when they have waited for more in vain.
    let mut after = Level::now();
    for _ in 0..300 {
        if after.threads <= before.threads {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = Level::now();
    }
    assert_eq!(after.children, 0, "a compiler was left");
    assert!(after.threads <= before.threads, "{before:?} became {after:?}");
    // Thousands of uploads that each left something, or a few bombs that did, would be more.
    assert!(after.resident < before.resident + 96 * MEBIBYTE, "{before:?} became {after:?}");
}

/// A good task, quick to compile.
fn small() -> Vec<u8> {
    let (describe, data) = Words::default().describe();
    let wat = Task { describe: &describe, data: &data, ..Task::default() }.wat();
    wat::parse_str(wat).unwrap()
}

/// A good plugin is admitted and works.
async fn works(sandbox: &WasmSandbox) {
    let digest = sandbox.admit(&plugin("perplexity")).await.unwrap().digest;
    let plugin = sandbox.load(&digest, None).await.unwrap();
    let text = sample(json!({"text": "Once."}));
    plugin.solve(call(json!({}), Scripted::subject()), &text).await.result.unwrap();
}

/// How a file fared.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passed,
    Refused,
}

/// Inspects a file; a refusal is one of a plugin's, in a sentence that is not long.
fn inspect(bytes: &[u8], what: &str) -> Fate {
    let inspected = catch_unwind(AssertUnwindSafe(|| probe::inspect(bytes)));
    fate(inspected.unwrap_or_else(|_| panic!("inspection panicked: {what}")), what)
}

/// Uploads a file.
async fn upload(sandbox: &WasmSandbox, bytes: &[u8], what: &str) -> Fate {
    fate(admit(sandbox, bytes).await.map(drop), what)
}

fn fate(result: Result<(), Error>, what: &str) -> Fate {
    let Err(error) = result else { return Fate::Passed };
    let is_clean = matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported)
        && error.code.contains("plugin")
        && !error.message.is_empty()
        && error.message.chars().count() <= 2500
        && !error.message.contains(|c: char| c.is_control() && c != '\n' && c != '\t');
    assert!(is_clean, "{what}: {error:?}");
    Fate::Refused
}

/// Every length up to 4 KiB, and around the edges of all sections.
fn truncations(good: &[u8]) {
    let edges = broken::edges(good);
    assert!(edges.len() > 10);
    let around = edges.iter().flat_map(|edge| edge.saturating_sub(3)..=edge + 3);
    let mut refused = 0;
    for end in (0..4096).chain(around).filter(|end| *end < good.len()) {
        let fate = inspect(&good[..end], &format!("cut off at {end}"));
        // Without its last section, which says nothing to the host, it is whole.
        assert!(fate == Fate::Refused || edges.contains(&end), "cut off at {end}");
        refused += u32::from(fate == Fate::Refused);
    }
    assert!(refused > 1000);
}

/// Bytes that are others. So many of those that pass inspection go all the way.
async fn flips(sandbox: &WasmSandbox, good: &[u8], most_uploads: usize) {
    let mut random = broken::Random::seeded(number("LLM_BENCH_CORPUS_SEED").unwrap_or(1));
    let (mut passed, mut refused) = (vec![], 0);
    for flip in 0..number("LLM_BENCH_CORPUS_FLIPS").unwrap_or(500) {
        let mut bytes = good.to_owned();
        let place = random.below(bytes.len());
        let bits = 1 + u8::try_from(random.below(255)).unwrap();
        bytes[place] ^= bits;
        let what = format!("flip {flip}: byte {place} with {bits:#x}");
        match inspect(&bytes, &what) {
            Fate::Passed => passed.push((bytes, what)),
            Fate::Refused => refused += 1,
        }
    }
    assert!(!passed.is_empty() && refused > 0, "{} passed, {refused} were refused", passed.len());
    for (bytes, what) in passed.iter().take(most_uploads) {
        upload(sandbox, bytes, what).await;
    }
}

/// Modules and components of a generator: alone, and so many within a good component.
async fn generated(sandbox: &WasmSandbox, good: &[u8], count: usize, most_uploads: usize) {
    let mut random = broken::Random::seeded(2);
    let mut uploads = 0;
    for round in 0..count {
        let Some((module, component)) = broken::generated(&mut random) else { continue };
        assert_eq!(inspect(&module, &format!("module {round}")), Fate::Refused);
        assert_eq!(inspect(&component, &format!("component {round}")), Fate::Refused);
        for (kind, bytes) in [
            (wasm_encoder::ComponentSectionId::CoreModule, &module),
            (wasm_encoder::ComponentSectionId::Component, &component),
        ] {
            let within = broken::with_section(good, kind, bytes);
            let what = format!("{kind:?} {round} in a good component");
            if inspect(&within, &what) == Fate::Passed && uploads < most_uploads {
                uploads += 1;
                upload(sandbox, &within, &what).await;
            }
        }
    }
    assert_eq!(uploads, most_uploads, "too little that was generated passes inspection");
}

/// What is sound and made to be a burden: for inspection, for the compiler, and for who loads it.
async fn bombs(sandbox: &WasmSandbox, good: &[u8]) {
    for (what, module, is_bearable) in [
        ("blocks in blocks", bomb::nested_blocks(300_000), false),
        ("branches", bomb::branches(60_000), false),
        ("functions", bomb::empty_functions(200_000), false),
        ("a large function", bomb::large_function(1 << 20), false),
        ("large tables", bomb::tables(100, 10_000_000), false),
        ("many tables", bomb::tables(100_000, 1), false),
        ("types", broken::types(900_000), false),
        ("exports", broken::exports(200_000), true),
        ("data", broken::data(90_000), false),
    ] {
        let mut component = good.to_owned();
        bomb::add(&mut component, &module);
        let fate = upload(sandbox, &component, what).await;
        assert!(fate == Fate::Refused || is_bearable, "{what} passed");
    }
    for (what, component) in broken::component_bombs() {
        assert_eq!(inspect(&component, what), Fate::Refused, "{what}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Has the allocator return what is free: how much of it it keeps is a matter of which threads used it.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "there is no safe name for it")]
fn give_back() {
    // SAFETY: it takes a number, may be called at any time by any thread, and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}

/// What this process uses.
#[derive(Debug)]
struct Level {
    threads: u64,
    /// In bytes.
    resident: u64,
    children: usize,
}

impl Level {
    fn now() -> Self {
        give_back();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let parent = |entry: &fs::DirEntry| -> Option<u32> {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which may hold anything: state, parent.
            stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
        };
        let entries = fs::read_dir("/proc").unwrap().map(Result::unwrap);
        Self {
            threads: number("Threads"),
            resident: number("VmRSS") * 1024,
            children: entries.filter(|entry| parent(entry) == Some(std::process::id())).count(),
        }
    }
}
