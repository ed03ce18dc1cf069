//! What a guest cannot see, a test for each, with guests in the host's process and in processes of their own: another
//! sample, another plugin, a file, a variable, a socket, real time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use llm_bench_core::plugin::{LoadedPlugin, Sandbox};
use llm_bench_core::sample::{Failure, FailureKind};
use llm_bench_sandbox::WasmSandbox;
use serde_json::json;

use crate::isolation;
use crate::support::{Scripted, call, plugin, sample, sandbox};

/// The sandboxes of both kinds.
fn sandboxes() -> [(&'static str, WasmSandbox); 2] {
    [("in the host's process", sandbox()), ("in a process of its own", isolation::sandbox(&[]))]
}

async fn load(sandbox: &WasmSandbox, component: PathBuf) -> Arc<dyn LoadedPlugin> {
    let digest = sandbox.admit(&component).await.unwrap().digest;
    sandbox.load(&digest, None).await.unwrap()
}

/// The stranger's plugin under another version, which makes it another plugin.
fn another_plugin(folder: &tempfile::TempDir) -> PathBuf {
    let mut component = std::fs::read(plugin("hostile")).unwrap();
    let version = b"hostile0.1.0";
    let place = component.windows(version.len()).position(|bytes| bytes == version).unwrap();
    // Other bytes have another digest.
    component[place..place + version.len()].copy_from_slice(b"hostile0.2.0");
    let path = folder.path().join("another.wasm");
    std::fs::write(&path, component).unwrap();
    path
}

async fn tried(plugin: &dyn LoadedPlugin, behaviour: &str) -> Result<Option<String>, Failure> {
    let call = call(json!({"behaviour": behaviour}), Scripted::subject());
    let outcome = plugin.solve(call, &sample(json!({"question": "2 + 2?"}))).await;
    outcome.result.map(|solution| solution.answer)
}

/// The plugin says itself that there was nothing to see; gives its words.
async fn sees_nothing(plugin: &dyn LoadedPlugin, behaviour: &str, place: &str) -> String {
    let failure = tried(plugin, behaviour).await.expect_err(place);
    assert_eq!(failure.kind, FailureKind::Denied, "{behaviour} {place}: {failure:?}");
    failure.message
}

/// Has a plugin fill all the memory that it may have, and keep it where another call may get it.
async fn leave_traces(plugin: &dyn LoadedPlugin) {
    let calls = (0..4).map(|_| tried(plugin, "memory-bomb"));
    for ended in futures::future::join_all(calls).await {
        assert_eq!(ended.unwrap_err().kind, FailureKind::MemoryLimit);
    }
}

#[tokio::test]
async fn a_guest_cannot_see_another_sample() {
    for (place, sandbox) in sandboxes() {
        let plugin = load(&sandbox, plugin("hostile")).await;
        for _ in 0..3 {
            let said = sees_nothing(&*plugin, "leftovers", place).await;
            assert_eq!(said, "what an earlier call left: there is nothing", "{place}");
            leave_traces(&*plugin).await;
            let said = sees_nothing(&*plugin, "scavenge", place).await;
            assert_eq!(said, "what others left in memory: there is nothing", "{place}");
        }
    }
}

#[tokio::test]
async fn a_guest_cannot_see_another_plugin() {
    let folder = tempfile::tempdir().unwrap();
    for (place, sandbox) in sandboxes() {
        let (one, other) =
            (load(&sandbox, plugin("hostile")).await, load(&sandbox, another_plugin(&folder)).await);
        for _ in 0..3 {
            leave_traces(&*one).await;
            let said = sees_nothing(&*other, "scavenge", place).await;
            assert_eq!(said, "what others left in memory: there is nothing", "{place}");
            sees_nothing(&*other, "leftovers", place).await;
        }
        // Where they have processes, each has its own.
        assert!([0, 2].contains(&sandbox.processes().ids().len()), "{place}");
    }
}

#[tokio::test]
async fn a_guest_cannot_see_a_file() {
    for (place, sandbox) in sandboxes() {
        let plugin = load(&sandbox, plugin("hostile")).await;
        for behaviour in ["read-file", "write-file", "list-folder"] {
            sees_nothing(&*plugin, behaviour, place).await;
        }
    }
}

#[tokio::test]
async fn a_guest_cannot_see_a_variable() {
    // Cargo gives this process plenty of them.
    assert!(std::env::vars().count() > 0);
    for (place, sandbox) in sandboxes() {
        let plugin = load(&sandbox, plugin("hostile")).await;
        let said = sees_nothing(&*plugin, "environment", place).await;
        assert_eq!(said, "the environment: no variables and no arguments");
    }
}

#[tokio::test]
async fn a_guest_cannot_see_a_socket() {
    for (place, sandbox) in sandboxes() {
        let plugin = load(&sandbox, plugin("hostile")).await;
        let said = sees_nothing(&*plugin, "open-socket", place).await;
        assert!(said.starts_with("connecting to 127.0.0.1:80: "), "{said}");
    }
}

#[tokio::test]
async fn a_guest_cannot_see_real_time() {
    for (place, sandbox) in sandboxes() {
        let plugin = load(&sandbox, plugin("hostile")).await;
        assert_eq!(sees_nothing(&*plugin, "clock", place).await, "the clock: it stands still");
        // Neither clock tells when it was called.
        let before = tried(&*plugin, "fingerprint").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(tried(&*plugin, "fingerprint").await.unwrap(), before, "{place}");
    }
}
