//! What guests take is given back. Alone in its process, because it reads the process's memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

#[path = "it/support.rs"]
mod support;

use serde_json::json;
use support::{Scripted, call, load, sample};

const MEBIBYTE: u64 = 1 << 20;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn memory_is_back_at_its_level_after_guests_took_all_they_could() {
    let plugin = load("hostile").await;
    let run = async |behaviour| {
        plugin.solve(call(json!({"behaviour": behaviour}), Scripted::subject()), &sample(json!({}))).await
    };
    let everything = async || {
        for behaviour in ["memory-bomb", "stdout-flood", "huge-answer", "handle-leak", "panic", "recurse"] {
            run(behaviour).await;
        }
    };
    everything().await;
    let before = resident();
    for _ in 0..5 {
        everything().await;
    }
    let after = resident();
    // A single bomb is 64 MiB.
    assert!(after < before + 32 * MEBIBYTE, "{} MiB became {}", before / MEBIBYTE, after / MEBIBYTE);
    assert!(run("honest").await.result.is_ok());
}
