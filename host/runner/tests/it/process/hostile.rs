//! Models made to do harm: each is refused, or ended in its child.

use std::pin::pin;

use llm_bench_core::ErrorKind;
use llm_bench_core::model::{Chat, Message, ModelRequest, ModelRunner, Prompt, Role, ScoringRequest};
use serde_json::json;

use super::support::{Marked, with_graph, with_tokenizer};
use crate::support::{copy_of, pair};

#[tokio::test]
async fn a_call_that_needs_more_memory_than_the_limit_fails_by_name_and_the_model_goes_on() {
    let folder = with_graph("memory-hungry");
    let marked = Marked::new().with_memory(1024);
    let model = marked.load(folder.path()).await.unwrap();
    let small = pair("", "a");
    model.score(vec![small.clone()]).await.unwrap();
    let large = pair("The quick brown fox jumps over the lazy dog", " and runs");
    let error = model.score(vec![large]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-memory-limit"), "{error}");
    assert!(error.message.contains("1024 MiB"), "{error}");
    model.score(vec![small]).await.unwrap();
}

#[tokio::test]
async fn a_model_that_does_not_fit_its_memory_is_not_loaded() {
    let marked = Marked::new().with_memory(8);
    let error = marked.refusal(&crate::support::fixture("llama")).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-memory-limit"), "{error}");
}

#[tokio::test]
async fn a_tokenizer_that_blows_up_texts_ends_with_its_child() {
    // Each step makes a hundred bytes of one.
    let step = |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to.repeat(100) });
    let folder = with_tokenizer(|tokenizer| {
        let steps = [step("q", "1"), step("1", "2"), step("2", "3"), step("3", "4"), step("4", "5")];
        tokenizer["normalizer"] = json!({ "type": "Sequence", "normalizers": steps });
    });
    let marked = Marked::new().with_memory(512);
    let model = marked.load(folder.path()).await.unwrap();
    let error = model.score(vec![pair("She", " quits")]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-memory-limit"), "{error}");
    assert_eq!(model.score(vec![pair("She", " is")]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_tokenizer_whose_pattern_never_comes_to_an_end_is_stopped() {
    let folder = with_endless_pattern();
    let marked = Marked::new().with_deadline(5.0);
    let model = marked.load(folder.path()).await.unwrap();
    let error = model.score(vec![pair(&"a".repeat(100_000), " x")]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-hung"), "{error}");
    assert_eq!(model.score(vec![pair("She", " is")]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_thread_that_never_comes_to_an_end_is_stopped_though_another_answers() {
    let folder = with_endless_pattern();
    let marked = Marked::new().with_deadline(5.0).with_threads(2);
    let model = marked.load(folder.path()).await.unwrap();
    let mut stuck = pin!(model.score(vec![pair(&"a".repeat(100_000), " x")]));
    let mut answered = 0;
    let error = loop {
        tokio::select! {
            biased;
            ended = &mut stuck => break ended.unwrap_err(),
            answer = model.score(vec![pair("She", " is")]) => answered += usize::from(answer.is_ok()),
        }
    };
    assert!(answered > 10, "{answered} calls were answered beside it");
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-hung"), "{error}");
    assert!(error.message.contains("got on with nothing"), "{error}");
    assert_eq!(model.score(vec![pair("She", " is")]).await.unwrap().len(), 1);
}

/// A model with a tokenizer to which each letter of a row of "a" costs some hundred thousand steps, just below what the
/// library itself gives up at.
fn with_endless_pattern() -> tempfile::TempDir {
    let step = "(?:a(?!x)){0,60}";
    let pattern = format!("(?:(?={step}{step}{step}b(?!x))b|)a");
    with_tokenizer(|tokenizer| {
        tokenizer["pre_tokenizer"] = json!({
            "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false,
        });
    })
}

#[tokio::test]
async fn a_huge_vocabulary_is_looked_at_in_a_child_with_a_limit() {
    let folder = with_tokenizer(|tokenizer| {
        let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        for id in vocabulary.len()..1_000_000 {
            vocabulary.insert(format!("word-{id}"), id.into());
        }
    });
    let marked = Marked::new().with_memory(64);
    let error = marked.runner().inspect(folder.path()).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-memory-limit"), "{error}");
}

#[tokio::test]
async fn a_template_that_never_ends_or_grows_for_ever_fails_its_call_and_the_model_goes_on() {
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}";
    let growing =
        "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    for template in [endless, growing] {
        let folder = copy_of("llama");
        std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        let marked = Marked::new();
        let model = marked.load(folder.path()).await.unwrap();
        let child = marked.child().await;
        let messages = vec![Message { role: Role::User, content: "y".to_owned() }];
        let context = Prompt::Chat(Chat { messages, continue_final: false });
        let request = ModelRequest::LogLikelihood(vec![ScoringRequest { context, ..pair("", "x") }]);
        let error = model.ask(request).await.unwrap_err();
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "chat-template-failed"), "{error}");
        assert_eq!(model.score(vec![pair("She", " is")]).await.unwrap().len(), 1);
        assert_eq!(marked.child().await, child);
    }
}
