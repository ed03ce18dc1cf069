//! A guest has its thread for a turn. Here the host works for it, which burns next to no fuel.

use std::sync::Arc;

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{LoadedPlugin, Sandbox};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{compiler, sandbox_with};
use crate::task::{Task, Words};

/// Writes the same 8 MiB to its log for ever, once its config is more than `{}`.
async fn flood() -> Arc<dyn LoadedPlugin> {
    let imports = r#"
        (import "llm-bench:plugin/logging@0.1.0" (instance $logging
            (type $level' (enum "debug" "info" "warn" "error"))
            (export "level" (type $level (eq $level')))
            (export "log" (func (param "level" $level) (param "message" string)))))
        (core module $text (memory (export "memory") 128))
        (core instance $text (instantiate $text))
        (core func $log (canon lower (func $logging "log") (memory $text "memory")))"#;
    let (describe, data) = Words::default().describe();
    let task = Task {
        describe: &describe,
        data: &data,
        metrics: "(if (i32.gt_u (local.get 1) (i32.const 2)) (then (loop $again
            (call $log (i32.const 0) (i32.const 0) (i32.const 8388608)) (br $again))))
            (i32.const 512)",
        extra: r#"(import "host" "log" (func $log (param i32 i32 i32)))"#,
        imports,
        with: r#"(with "host" (instance (export "log" (func $log))))"#,
        ..Task::default()
    };
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), compiler());
    let admitted = task.admit(&sandbox).await.unwrap();
    sandbox.load(&admitted.digest, None).await.unwrap()
}

/// So many calls fit into the fuel of one turn, and take seconds.
const HOST_CALLS: u32 = 2000;

#[tokio::test]
async fn a_guest_that_has_its_host_work_is_stopped_by_the_clock() {
    let limits = Limits { host_calls: HOST_CALLS, compute_timeout_ms: 10, ..Limits::default() };
    let error = flood().await.metrics(&json!({"flood": true}), &limits).await.unwrap_err();
    assert!(error.message.ends_with("the plugin computed for longer than 10 ms"), "{error}");
}

#[tokio::test]
async fn a_guest_does_not_hold_the_thread_that_asks_for_it() {
    let plugin = flood().await;
    let limits = Limits { host_calls: HOST_CALLS, ..Limits::default() };
    // A plugin's first call is on another thread, whatever it does.
    plugin.metrics(&json!({}), &limits).await.unwrap();
    let config = json!({"flood": true});
    tokio::select! {
        biased;
        end = plugin.metrics(&config, &limits) => panic!("it had the thread to its end: {end:?}"),
        () = async {} => {}
    }
}
