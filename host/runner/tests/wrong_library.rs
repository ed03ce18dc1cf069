//! A library that is not ONNX Runtime: a process of its own, because a process keeps the first library it loads.

use llm_bench_core::ErrorKind;
use llm_bench_runner::{OnnxRunner, RunnerConfig};

#[test]
fn a_file_that_is_not_the_library_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, "not a library").unwrap();
    let error = OnnxRunner::new(RunnerConfig::new(&library)).library().unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "onnxruntime-incompatible"));
    assert!(
        error.message.contains("libonnxruntime.so") && error.message.contains("cargo xtask setup"),
        "{error}"
    );
}
