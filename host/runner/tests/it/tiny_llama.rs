//! The bundled model.

use std::path::{Path, PathBuf};

use llm_bench_core::model::ModelRunner;
use llm_bench_runner::Execution;

use crate::support::{greedy, load, pair, runner};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/models/tiny-llama")
}

#[tokio::test]
async fn the_bundled_model_is_inspected() {
    let facts = runner(Execution::Shared).inspect(&folder()).await.unwrap();
    assert_eq!(facts.architecture, "LlamaForCausalLM");
    assert_eq!(facts.digest.len(), 64);
    assert!(facts.has_chat_template && facts.max_length >= 256 && facts.vocabulary_size > 500, "{facts:?}");
    assert_eq!(runner(Execution::Reference).inspect(&folder()).await.unwrap(), facts);
}

#[tokio::test]
async fn the_bundled_model_prefers_sense_to_nonsense() {
    let model = load(&folder(), &runner(Execution::Shared)).await.unwrap();
    let answers = model
        .score(vec![pair("The opposite of hot is", " cold"), pair("The opposite of hot is", " the the the")]);
    let answers = answers.await.unwrap();
    assert!(answers[0].sum > answers[1].sum, "{answers:?}");
}

#[tokio::test]
async fn the_bundled_model_writes_text() {
    let model = load(&folder(), &runner(Execution::Shared)).await.unwrap();
    let answer = model.generate(vec![greedy("The capital of", 12, &["\n"])]).await.unwrap().remove(0);
    assert!(answer.completion_tokens > 0 && !answer.text.contains('\n'), "{answer:?}");
}
