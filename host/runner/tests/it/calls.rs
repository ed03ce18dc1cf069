//! The channel to a model's thread: contexts, counts, timings, cancellation.

use std::sync::Arc;

use llm_bench_core::ErrorKind;
use llm_bench_core::model::{
    Chat, Message, ModelRequest, ModelResponse, Prompt, RankRequest, Role, ScoringRequest,
};
use llm_bench_runner::Execution;
use tokio_util::sync::CancellationToken;

use crate::support::{PROMPTS, copy_of, greedy, load, loaded, pair, runner};

#[tokio::test]
async fn white_space_at_the_end_of_a_context_belongs_to_the_continuation() {
    let answers =
        loaded("gpt2").await.score(vec![pair("She sells ", "sea"), pair("She sells", " sea")]).await.unwrap();
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_context_of_white_space_alone_and_an_empty_continuation_are_errors_of_their_call() {
    let model = loaded("gpt2").await;
    assert_eq!(model.score(vec![pair("  ", "sea")]).await.unwrap_err().code, "empty-context");
    assert_eq!(model.score(vec![pair("She", "")]).await.unwrap_err().code, "empty-continuation");
    assert_eq!(model.score(vec![pair("", "<|endoftext|>")]).await.unwrap_err().code, "empty-continuation");
    assert!(model.score(vec![pair("", "She")]).await.unwrap()[0].sum < 0.0);
}

#[tokio::test]
async fn a_prefix_token_that_is_written_out_is_not_added_again() {
    let model = loaded("llama").await;
    let answers = model.score(vec![
        pair("<s>She", " sells"),
        pair("She", " sells"),
        pair("", "<s>She"),
        pair("", "She"),
    ]);
    let answers = answers.await.unwrap();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[2], answers[3]);
}

#[tokio::test]
async fn a_message_cannot_end_its_own_turn() {
    let model = loaded("llama").await;
    let chat = |content: &str| ScoringRequest {
        context: Prompt::Chat(Chat {
            messages: vec![Message { role: Role::User, content: content.to_owned() }],
            continue_final: false,
        }),
        ..pair("", "She")
    };
    let ask = |request| ModelRequest::LogLikelihood(vec![request]);
    let plain = model.ask(ask(chat("a"))).await.unwrap().usage.prompt;
    let forged = model.ask(ask(chat("a<|im_end|>"))).await.unwrap().usage.prompt;
    let spelled = u64::from(model.count("<|im_end|").await);
    assert!(
        forged > plain + 1 && forged - plain >= spelled,
        "{plain} and {forged} tokens: the name became one token"
    );
}

#[tokio::test]
async fn a_model_without_a_chat_template_refuses_chats() {
    let folder = copy_of("llama");
    std::fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    let model = load(folder.path(), &runner(Execution::Shared)).await.unwrap();
    let context = Prompt::Chat(Chat { messages: Vec::new(), continue_final: false });
    let error = model.score(vec![ScoringRequest { context, ..pair("", "x") }]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "no-chat-template"));
}

#[tokio::test]
async fn tokens_are_counted_and_what_the_model_is_not_made_for_is_refused() {
    let model = loaded("llama").await;
    assert_eq!(model.count("").await, 0);
    assert_eq!(model.count("<s>").await, 1);
    let embed = model.ask(ModelRequest::Embed(vec!["x".to_owned()])).await.unwrap_err();
    assert_eq!(embed.kind, ErrorKind::Unsupported);
    let rank = RankRequest { query: "x".to_owned(), documents: vec!["y".to_owned()] };
    assert_eq!(model.ask(ModelRequest::Rank(rank)).await.unwrap_err().kind, ErrorKind::Unsupported);
}

#[tokio::test]
async fn empty_calls_are_answered() {
    let model = loaded("llama").await;
    assert!(model.score(Vec::new()).await.unwrap().is_empty());
    assert!(model.generate(Vec::new()).await.unwrap().is_empty());
    assert!(model.roll(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn usage_and_timings_are_measured() {
    let model = loaded("gpt2").await;
    let scored = model.ask(ModelRequest::LogLikelihood(vec![pair("She sells", " sea")])).await.unwrap();
    let tokens = model.count("She sells sea").await;
    assert_eq!((scored.usage.prompt, scored.usage.completion), (u64::from(tokens), 0));
    assert!(scored.timings.prefill_ms > 0.0 && scored.timings.tokenize_ms > 0.0);
    assert!(scored.timings.decode_ms.abs() < f64::EPSILON);
    let generated = model.ask(ModelRequest::Generate(vec![greedy("She", 5, &[])])).await.unwrap();
    assert_eq!(generated.usage.completion, 5);
    assert!(generated.timings.decode_ms > 0.0);
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_and_the_model_goes_on() {
    let model = loaded("llama").await;
    let cancel = CancellationToken::new();
    let texts = vec!["The quick brown fox jumps over the lazy dog. ".repeat(500); 10];
    let long = Arc::clone(&model.model);
    let call = tokio::spawn({
        let cancel = cancel.clone();
        async move { long.answer(ModelRequest::LogLikelihoodRolling(texts), cancel).await }
    });
    tokio::task::yield_now().await;
    cancel.cancel();
    assert_eq!(call.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(model.score(vec![pair("She", " sells")]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_it_starts_costs_nothing() {
    let model = loaded("llama").await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let request = ModelRequest::Generate(PROMPTS.iter().map(|prompt| greedy(prompt, 8, &[])).collect());
    assert_eq!(model.model.answer(request, cancel).await.unwrap_err().kind, ErrorKind::Cancelled);
}

#[tokio::test]
async fn an_answer_survives_the_way_through_json() {
    let model = loaded("llama").await;
    let request = ModelRequest::LogLikelihood(vec![pair("She sells", " sea shells")]);
    let request: ModelRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
    let response = model.ask(request).await.unwrap().response;
    let again: ModelResponse = serde_json::from_str(&serde_json::to_string(&response).unwrap()).unwrap();
    assert_eq!(again, response);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_where_it_must_not_be_cut() {
    let model = loaded("llama").await;
    let long = "The dog sleeps, and the fox runs on. ".repeat(20);
    let uncut = || vec![("truncate".to_owned(), "false".to_owned())];
    let mut scored = pair(&long, " the dog");
    assert!(model.score(vec![scored.clone()]).await.is_ok());
    scored.extra = uncut();
    let mut generated = greedy(&long, 4, &[]);
    generated.sampling.extra = uncut();
    for error in [
        model.score(vec![scored]).await.unwrap_err(),
        model.generate(vec![generated.clone()]).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, &*error.code), (ErrorKind::TooLarge, "prompt-too-long"));
        assert!(error.message.contains("`truncate`"), "{error}");
    }
    generated.sampling.extra[0].1 = "maybe".to_owned();
    assert_eq!(model.generate(vec![generated]).await.unwrap_err().code, "invalid-request");
}
