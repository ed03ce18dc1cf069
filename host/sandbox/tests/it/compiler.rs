//! The compiling child: whatever becomes of it, the server gets a sentence.

use llm_bench_core::plugin::Sandbox;
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::CompilerCommand;
use tempfile::TempDir;

use crate::support::{compiler, plugin, sandbox, sandbox_with};

/// Admits a good plugin, whose largest function needs some 60 MiB to compile, with a shell for a compiler, which `exec`s the real one as `"$0" "$@"`.
async fn compiled_by(script: &str) -> Result<(), Error> {
    let folder = TempDir::new().unwrap();
    let compiler = CompilerCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), compiler().program.into()],
    };
    let admitted = sandbox_with(folder.path(), compiler).admit(&plugin("multiple-choice")).await.map(drop);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("compiled")).unwrap().collect();
    assert_eq!(left.is_empty(), admitted.is_err(), "{left:?}");
    admitted
}

async fn refused_by(script: &str) -> String {
    let error = compiled_by(script).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-compilation-failed"), "{error:?}");
    let reason = error.message.strip_prefix("the plugin cannot be compiled: ");
    reason.unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[tokio::test]
async fn a_compiler_under_an_outer_limit_still_works() {
    compiled_by(r#"ulimit -t 100; exec "$0" "$@""#).await.unwrap();
}

#[tokio::test]
async fn a_compiler_that_crashes_is_told_by_its_signal() {
    assert!(refused_by("kill -SEGV $$").await.starts_with("the compiler was ended by signal 11"));
}

#[tokio::test]
async fn a_compiler_without_memory_says_so() {
    // Enough to start, too little to compile.
    let reason = refused_by(r#"ulimit -v 40000; exec "$0" "$@""#).await;
    assert_eq!(reason, "compiling it needs more than 4 GiB of address space");
}

#[tokio::test]
async fn a_compiler_without_time_says_so() {
    let reason = refused_by("ulimit -S -t 1; while :; do :; done").await;
    assert_eq!(reason, "compiling it takes more than 180 s of processor time");
}

#[tokio::test]
async fn a_compiler_that_fills_its_standard_error_neither_blocks_nor_floods() {
    let reason =
        refused_by("while [ ${i:=0} -lt 20000 ]; do echo no such luck >&2; i=$((i+1)); done; exit 3").await;
    assert!(reason.starts_with("no such luck") && reason.chars().count() <= 1001, "{}", reason.len());
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_the_host_s_fault() {
    let folder = TempDir::new().unwrap();
    let missing = CompilerCommand { program: "/nowhere/compiler".into(), arguments: vec![] };
    let error = sandbox_with(folder.path(), missing).admit(&plugin("hostile")).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Internal, "compiler-start"));
}

#[tokio::test]
async fn code_that_does_not_validate_is_refused_by_the_compiler() {
    let wat = r#"(component
        (core module (func (result i32) (i64.const 1)))
        (instance $i)
        (export "llm-bench:plugin/plugin@0.1.0" (instance $i))
        (export "llm-bench:plugin/solver@0.1.0" (instance $i)))"#;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload.wasm");
    std::fs::write(&file, wat::parse_str(wat).unwrap()).unwrap();
    let error = sandbox().admit(&file).await.unwrap_err();
    assert_eq!(&*error.code, "plugin-compilation-failed");
    assert!(error.message.contains("type mismatch: expected i32, found i64"), "{error}");
}
