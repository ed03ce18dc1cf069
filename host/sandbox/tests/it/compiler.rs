//! The compiling child: whatever becomes of it, the server gets a sentence.

use llm_bench_core::plugin::Sandbox;
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::{CompileLimits, CompilerCommand};
use tempfile::TempDir;
use wasm_encoder::Module;

use crate::bomb;
use crate::support::{compiler, plugin, sandbox, sandbox_with};
use crate::task::{Task, admit};

/// Admits a good plugin, whose largest function needs some 60 MiB to compile, with a shell for a compiler, which `exec`s
/// the real one as `"$0" "$@"`.
async fn compiled_by(script: &str, limits: CompileLimits) -> Result<(), Error> {
    let compiler = CompilerCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), compiler().program.into()],
        limits,
    };
    admitted_by(compiler).await
}

async fn admitted_by(compiler: CompilerCommand) -> Result<(), Error> {
    let folder = TempDir::new().unwrap();
    let admitted = sandbox_with(folder.path(), compiler).admit(&plugin("multiple-choice")).await.map(drop);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("compiled")).unwrap().collect();
    assert_eq!(left.is_empty(), admitted.is_err(), "{left:?}");
    admitted
}

/// The code and the reason.
fn refusal(admitted: Result<(), Error>) -> (String, String) {
    let error = admitted.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    let reason = error.message.strip_prefix("the plugin cannot be compiled: ");
    (error.code.to_string(), reason.unwrap_or_else(|| panic!("{error}")).to_owned())
}

async fn refused_by(script: &str) -> String {
    let (code, reason) = refusal(compiled_by(script, CompileLimits::default()).await);
    assert_eq!(code, "plugin-compilation-failed", "{reason}");
    reason
}

#[tokio::test]
async fn a_compiler_under_an_outer_limit_still_works() {
    compiled_by(r#"ulimit -t 100; exec "$0" "$@""#, CompileLimits::default()).await.unwrap();
}

#[tokio::test]
async fn a_compiler_that_crashes_is_told_by_its_signal() {
    assert!(refused_by("kill -SEGV $$").await.starts_with("the compiler was ended by signal 11"));
}

/// How a sound task with a module that is hard to compile is refused.
async fn refusal_of_bomb(module: &Module, limits: CompileLimits) -> (String, String) {
    let mut component = wat::parse_str(Task::default().wat()).unwrap();
    bomb::add(&mut component, module);
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), CompilerCommand { limits, ..compiler() });
    refusal(admit(&sandbox, &component).await.map(drop))
}

#[tokio::test]
async fn a_component_that_takes_too_much_memory_to_compile_says_so() {
    let limits = CompileLimits { address_space_bytes: 128 << 20, ..CompileLimits::default() };
    let (code, reason) = refusal_of_bomb(&bomb::empty_functions(100_000), limits).await;
    assert_eq!(&*code, "plugin-compilation-memory", "{reason}");
    assert_eq!(reason, "it needs more than 128 MiB of address space");
}

#[tokio::test]
async fn a_component_that_takes_too_long_to_compile_says_so() {
    let limits = CompileLimits { processor_seconds: 2, ..CompileLimits::default() };
    let (code, reason) = refusal_of_bomb(&bomb::branches(60_000), limits).await;
    assert_eq!(&*code, "plugin-compilation-time", "{reason}");
    assert_eq!(reason, "it takes more than 2 s of processor time");
}

#[tokio::test]
async fn a_compiler_that_does_nothing_is_not_waited_for() {
    let limits = CompileLimits { wall_seconds: 1, ..CompileLimits::default() };
    let expected = ("plugin-compilation-time".to_owned(), "it took longer than 1 s".to_owned());
    assert_eq!(refusal(compiled_by("exec sleep 60", limits).await), expected);
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
    let missing = CompilerCommand { program: "/nowhere/compiler".into(), ..compiler() };
    let error = sandbox_with(folder.path(), missing).admit(&plugin("hostile")).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Internal, "compiler-start"));
}

#[tokio::test]
async fn code_that_does_not_validate_is_refused_by_the_compiler() {
    let task = Task { extra: "(func (result i32) (i64.const 1))", ..Task::default() };
    let error = task.admit(&sandbox()).await.unwrap_err();
    assert_eq!(&*error.code, "plugin-compilation-failed");
    assert!(error.message.contains("type mismatch: expected i32, found i64"), "{error}");
}
