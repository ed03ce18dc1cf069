//! Files that are missing, broken or hostile: one clear sentence each.

use std::path::Path;

use llm_bench_core::model::{Model, ModelRunner, Origin};
use llm_bench_core::{Error, ErrorKind};
use llm_bench_runner::{Execution, OnnxRunner, RunnerConfig};

use crate::support::{copy_of, fixture, library, load, runner};

async fn refusal(path: &Path) -> Error {
    match load(path, &runner(Execution::Shared)).await {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_missing_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&folder.path().join("nothing")).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::NotFound, "model-not-found"));
}

#[tokio::test]
async fn a_missing_file_is_named() {
    for name in ["model.onnx", "config.json", "tokenizer.json"] {
        let folder = copy_of("llama");
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "model-file-missing"));
        assert!(error.message.contains(&format!("`{name}`")), "{error}");
    }
}

#[tokio::test]
async fn a_broken_file_is_named() {
    for (name, content) in [
        ("model.onnx", &b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..]),
        ("model.onnx", b""),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("tokenizer.json", b"{\"version\": \"1.0\"}"),
        ("tokenizer.json", b"\xff\xfe"),
        ("tokenizer_config.json", b"nonsense"),
        ("generation_config.json", b"nonsense"),
    ] {
        let folder = copy_of("llama");
        std::fs::write(folder.path().join(name), content).unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "model-file-broken"), "{name}: {error}");
        assert!(error.message.contains(&format!("`{name}`")), "{error}");
    }
}

#[tokio::test]
async fn a_graph_that_is_cut_short_is_refused() {
    let whole = std::fs::read(fixture("llama").join("model.onnx")).unwrap();
    for part in [1, 100, whole.len() / 2, whole.len() - 1] {
        let folder = copy_of("llama");
        std::fs::write(folder.path().join("model.onnx"), &whole[..part]).unwrap();
        assert_eq!(refusal(folder.path()).await.code, "model-file-broken", "{part} bytes");
    }
}

#[tokio::test]
async fn a_graph_that_the_library_refuses_is_named() {
    // A whole protobuf message of a model with an empty graph.
    let folder = copy_of("llama");
    std::fs::write(folder.path().join("model.onnx"), [0x08, 0x0a, 0x3a, 0x00]).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!(error.code, "model-file-broken");
    assert!(error.message.contains("`model.onnx`"), "{error}");
}

#[tokio::test]
async fn a_graph_that_cannot_be_served_is_refused_by_what_is_wrong_with_it() {
    for (graph, what) in [("bfloat16", "bfloat16"), ("unknown-input", "`pixel_values`")] {
        let folder = copy_of("llama");
        std::fs::copy(fixture("refused").join(format!("{graph}.onnx")), folder.path().join("model.onnx"))
            .unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "unsupported-graph"), "{graph}");
        assert!(error.message.contains(what), "{error}");
    }
}

#[tokio::test]
async fn weights_outside_the_folder_are_refused() {
    // model { graph { initializer { external_data { location: … } } } }
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }
    for location in ["../secret", "/etc/passwd", "a/../../b", ""] {
        let folder = copy_of("llama");
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let model = field(7, &field(5, &field(13, &entry)));
        std::fs::write(folder.path().join("model.onnx"), model).unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "model-file-outside"), "{location}");
    }
}

#[tokio::test]
async fn a_chat_template_that_does_not_parse_is_refused() {
    let folder = copy_of("llama");
    std::fs::write(folder.path().join("chat_template.jinja"), "{% for %}").unwrap();
    let error = refusal(folder.path()).await;
    assert!(error.message.contains("chat template"), "{error}");
}

#[tokio::test]
async fn a_missing_library_is_said_with_the_way_out_when_a_model_is_loaded() {
    let runner = OnnxRunner::new(RunnerConfig::new("/nowhere/libonnxruntime.so"));
    let path = fixture("llama");
    // Looking at a model needs no library.
    let facts = runner.inspect(&path).await.unwrap();
    let model = Model { name: "llama".to_owned(), origin: Origin::Path, path, facts };
    let refusals = [runner.load(&model).await.err().unwrap(), runner.library().unwrap_err()];
    for error in refusals {
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "onnxruntime-missing"));
        for part in ["/nowhere/libonnxruntime.so", "cargo xtask setup", "LLM_BENCH_ONNXRUNTIME"] {
            assert!(error.message.contains(part), "{error}");
        }
    }
}

#[test]
fn a_second_runner_shares_the_library_of_the_first() {
    let first = OnnxRunner::new(RunnerConfig::new(library()));
    let description = first.library().unwrap();
    drop(first);
    assert_eq!(OnnxRunner::new(RunnerConfig::new(library())).library().unwrap(), description);
}
