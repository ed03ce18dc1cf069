//! Files that are missing, broken or hostile: one clear sentence each.

use std::path::Path;

use llm_bench_core::model::{Model, ModelRunner, Origin};
use llm_bench_core::{Error, ErrorKind, Json};
use llm_bench_runner::{Execution, OnnxRunner, RunnerConfig};

use crate::support::{copy_of, fixture, greedy, library, load, pair, runner};

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
    for (graph, what) in [
        ("bfloat16", "`logits` in bfloat16"),
        ("bfloat16-weight", "`weight` in bfloat16"),
        ("unknown-input", "`pixel_values`"),
        ("unknown-past", "`past_sequence_length`"),
        ("fixed-shape", "`input_ids` in the fixed shape [1, 1]"),
        ("last-logits", "`logits` of the last token only"),
    ] {
        let folder = copy_of("llama");
        std::fs::copy(fixture("refused").join(format!("{graph}.onnx")), folder.path().join("model.onnx"))
            .unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "unsupported-graph"), "{error}");
        assert!(error.message.contains(what), "{error}");
    }
}

#[tokio::test]
async fn an_operator_of_a_stranger_is_refused_before_the_library_sees_it() {
    let folder = copy_of("llama");
    std::fs::copy(fixture("refused/custom-operator.onnx"), folder.path().join("model.onnx")).unwrap();
    // Looking at a model needs no library.
    let looking = runner(Execution::Shared).inspect(folder.path()).await.unwrap_err();
    for error in [looking, refusal(folder.path()).await] {
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "custom-operator"));
        assert!(error.message.contains("`Phone` of `org.stranger`"), "{error}");
    }
}

#[tokio::test]
async fn a_tokenizer_of_another_model_is_refused() {
    let folder = copy_of("llama");
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["\u{120}elephant"] = 340.into();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "tokenizer-mismatch"));
    for part in ["`tokenizer.json`", "elephant", "340 tokens"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_added_token_that_the_model_lacks_fails_only_the_texts_that_hold_it() {
    let folder = copy_of("llama");
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut image = tokenizer["added_tokens"][0].clone();
    (image["id"], image["content"]) = (340.into(), "<image>".into());
    tokenizer["added_tokens"].as_array_mut().unwrap().push(image);
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let model = load(folder.path(), &runner(Execution::Shared)).await.unwrap();
    assert!(model.score(vec![pair("She", " sells")]).await.is_ok());
    let scored = model.score(vec![pair("She <image>", " sells")]).await.unwrap_err();
    let generated = model.generate(vec![greedy("<image>", 4, &[])]).await.unwrap_err();
    for error in [scored, generated] {
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "token-outside-vocabulary"));
        assert!(error.message.contains("`<image>` (340)"), "{error}");
    }
}

#[tokio::test]
async fn weights_that_are_no_numbers_fail_the_sample_by_name() {
    let folder = copy_of("genai-llama");
    let weights = folder.path().join("model.onnx.data");
    let bytes = std::fs::metadata(&weights).unwrap().len();
    let not_a_number = f32::NAN.to_le_bytes();
    std::fs::write(&weights, not_a_number.repeat(usize::try_from(bytes).unwrap() / 4)).unwrap();
    let model = load(folder.path(), &runner(Execution::Shared)).await.unwrap();
    let scored = model.score(vec![pair("She", " sells")]).await.unwrap_err();
    let generated = model.generate(vec![greedy("She", 4, &[])]).await.unwrap_err();
    assert_eq!([&*scored.code, &*generated.code], ["logits-not-a-number"; 2]);
}

#[tokio::test]
async fn weights_that_are_missing_or_cut_short_are_named() {
    let folder = copy_of("genai-llama");
    let weights = folder.path().join("model.onnx.data");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!(error.code, "model-file-broken", "{error}");
    std::fs::remove_file(&weights).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!(error.code, "model-file-missing");
    assert!(error.message.contains("`model.onnx.data`"), "{error}");
}

#[tokio::test]
async fn the_only_graph_of_a_folder_may_have_any_name_and_several_must_be_told_apart() {
    let folder = copy_of("llama");
    std::fs::rename(folder.path().join("model.onnx"), folder.path().join("model_q8.onnx")).unwrap();
    assert!(load(folder.path(), &runner(Execution::Shared)).await.is_ok());
    std::fs::copy(folder.path().join("model_q8.onnx"), folder.path().join("model_q4.onnx")).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!(error.code, "model-file-missing");
    assert!(error.message.contains("model_q4.onnx, model_q8.onnx"), "{error}");
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
async fn weights_that_a_link_leads_out_of_the_folder_or_into_memory_are_refused() {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }
    // ONNX Runtime reads memory at the offset of a tensor that lies in a "file" of this name.
    let memory = "*/_ORT_MEM_ADDR_/*";
    for location in ["link", memory] {
        let folder = copy_of("llama");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        std::fs::create_dir_all(folder.path().join("*/_ORT_MEM_ADDR_")).unwrap();
        std::fs::write(folder.path().join(memory), "weights").unwrap();
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let model = field(7, &field(5, &field(13, &entry)));
        std::fs::write(folder.path().join("model.onnx"), model).unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "model-file-outside"), "{location}");
    }
}

#[tokio::test]
async fn a_graph_that_asks_for_the_operator_of_a_library_is_refused_by_the_operators_name() {
    let folder = copy_of("llama");
    std::fs::copy(fixture("hostile").join("custom-operator.onnx"), folder.path().join("model.onnx")).unwrap();
    let error = refusal(folder.path()).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "custom-operator"));
    assert!(error.message.contains("`Open` of `my.library`"), "{error}");
}

#[tokio::test]
async fn a_file_beyond_every_measure_is_refused_before_it_is_read() {
    for (name, mebibytes) in [("tokenizer.json", 128), ("config.json", 32), ("chat_template.jinja", 32)] {
        let folder = copy_of("llama");
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        // Takes no room on the disk.
        file.set_len((mebibytes << 20) + 1).unwrap();
        let error = refusal(folder.path()).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::TooLarge, "model-file-too-large"), "{name}");
        assert!(error.message.contains(&format!("`{name}`")), "{error}");
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
