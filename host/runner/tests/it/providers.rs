//! What a model runs on.

use llm_bench_core::ErrorKind;
use llm_bench_core::model::{Model, ModelRunner, Origin};
use llm_bench_runner::{OnnxRunner, Provider, RunnerConfig};

use crate::support::{fixture, library};

#[tokio::test]
async fn a_provider_that_the_library_lacks_is_an_error_and_no_run_on_the_cpu() {
    let available = OnnxRunner::new(RunnerConfig::new(library())).providers().unwrap();
    assert_eq!(available.first(), Some(&Provider::Cpu));
    let path = fixture("llama");
    let mut refused = 0;
    for provider in Provider::ALL.into_iter().filter(|provider| !available.contains(provider)) {
        let runner = OnnxRunner::new(RunnerConfig { provider, ..RunnerConfig::new(library()) });
        let facts = runner.inspect(&path).await.unwrap();
        let model = Model { name: "llama".to_owned(), origin: Origin::Path, path: path.clone(), facts };
        for error in [runner.load(&model).await.err().unwrap(), runner.check_provider().unwrap_err()] {
            assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "provider-missing"));
            for part in [&format!("no provider `{provider}`"), "`cpu`", "LLM_BENCH_ONNXRUNTIME"] {
                assert!(error.message.contains(part), "{error}");
            }
        }
        refused += 1;
    }
    assert!(refused > 0, "the library has every provider");
}

#[test]
fn a_library_that_is_missing_has_no_providers() {
    let error = OnnxRunner::new(RunnerConfig::new("/nowhere/libonnxruntime.so")).providers().unwrap_err();
    assert_eq!(error.code, "onnxruntime-missing");
}
