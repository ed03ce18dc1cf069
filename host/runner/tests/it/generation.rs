//! Stop strings, limits, settings.

use llm_bench_core::model::{FinishReason, Generation, Sampling};
use llm_bench_runner::{OnnxRunner, RunnerConfig};

use crate::support::{Loaded, PROMPTS, fixture, greedy, library, load, loaded};

async fn one(model: &Loaded, prompt: &str, tokens: u32, stop: &[&str]) -> Generation {
    model.generate(vec![greedy(prompt, tokens, stop)]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_text_ends_before_its_stop_string_even_inside_a_token_or_across_two() {
    let model = loaded("llama").await;
    let whole = one(&model, "She sells", 20, &[]).await;
    assert_eq!((whole.finish_reason, whole.completion_tokens), (FinishReason::Length, 20));
    let characters: Vec<char> = whole.text.chars().collect();
    // Every pair of neighbouring characters: some lie inside one token, some across two.
    let mut stopped_early = 0;
    for pair in characters.windows(2).filter(|pair| !pair.contains(&char::REPLACEMENT_CHARACTER)) {
        let stop: String = pair.iter().collect();
        let cut = one(&model, "She sells", 20, &[stop.as_str()]).await;
        assert_eq!(Some(cut.text.as_str()), whole.text.split(stop.as_str()).next(), "{stop:?}");
        assert_eq!(cut.finish_reason, FinishReason::Stop);
        stopped_early += u32::from(cut.completion_tokens < 20);
    }
    assert!(stopped_early > 0, "{:?} has no stop string to try", whole.text);
}

#[tokio::test]
async fn the_first_of_several_stop_strings_ends_the_text() {
    let model = loaded("llama").await;
    let whole = one(&model, "She sells", 20, &[]).await.text;
    let plain: Vec<String> = whole
        .chars()
        .filter(|character| *character != char::REPLACEMENT_CHARACTER)
        .map(String::from)
        .collect();
    let stops: Vec<&str> = plain.iter().rev().map(String::as_str).collect();
    let first = stops.iter().filter_map(|stop| whole.find(stop)).min().unwrap();
    assert_eq!(one(&model, "She sells", 20, &stops).await.text, whole[..first]);
}

#[tokio::test]
async fn a_long_prompt_loses_its_beginning() {
    let model = loaded("llama").await;
    let long = "The dog sleeps, and the fox runs on. ".repeat(20);
    let answer = one(&model, &long, 10, &[]).await;
    assert_eq!(answer.prompt_tokens, 64 - 10);
    let shorter = &long["The dog sleeps, and the fox runs on. ".len()..];
    assert_eq!(one(&model, shorter, 10, &[]).await, answer);
}

#[tokio::test]
async fn the_number_of_tokens_defaults_to_half_of_a_short_model_s_sequence() {
    let mut request = greedy("She", 1, &[]);
    request.sampling.max_tokens = None;
    let answer = loaded("llama").await.generate(vec![request]).await.unwrap().remove(0);
    assert!(answer.completion_tokens == 32 || answer.finish_reason == FinishReason::Stop, "{answer:?}");
}

#[tokio::test]
async fn a_seed_repeats_a_text_and_another_seed_changes_it() {
    let model = loaded("gpt2").await;
    let request = |seed| {
        let mut request = greedy("She sells", 16, &[]);
        request.sampling =
            Sampling { temperature: Some(1.2), top_p: Some(0.9), seed: Some(seed), ..request.sampling };
        request
    };
    let answers = model.generate(vec![request(1), request(2), request(1)]).await.unwrap();
    assert_eq!(answers[0], answers[2]);
    assert_ne!(answers[0].text, answers[1].text);
    assert_eq!(model.generate(vec![request(1)]).await.unwrap()[0], answers[0]);
}

#[tokio::test]
async fn an_empty_prompt_starts_from_the_prefix_token() {
    let answer = one(&loaded("gpt2").await, "", 4, &[]).await;
    assert_eq!((answer.prompt_tokens, answer.completion_tokens), (1, 4));
}

#[tokio::test]
async fn every_prompt_of_a_batch_larger_than_the_budget_is_answered() {
    let small = OnnxRunner::new(RunnerConfig { max_batch_tokens: 20, ..RunnerConfig::new(library()) });
    let model = load(&fixture("gpt2"), &small).await.unwrap();
    let requests: Vec<_> = PROMPTS.iter().map(|prompt| greedy(prompt, 16, &[])).collect();
    let answers = model.generate(requests).await.unwrap();
    assert!(answers.iter().all(|answer| answer.completion_tokens > 0), "{answers:?}");
}

#[tokio::test]
async fn settings_that_are_wrong_or_unknown_are_refused_by_name() {
    let model = loaded("llama").await;
    for (change, field) in [
        (Sampling { temperature: Some(f32::INFINITY), ..Sampling::default() }, "temperature"),
        (Sampling { top_p: Some(-0.1), ..Sampling::default() }, "top_p"),
        (Sampling { max_tokens: Some(64), ..Sampling::default() }, "max_tokens"),
        (
            Sampling { extra: vec![("typical_p".to_owned(), "1".to_owned())], ..Sampling::default() },
            "typical_p",
        ),
    ] {
        let mut request = greedy("She", 4, &[]);
        request.sampling = change;
        let error = model.generate(vec![request]).await.unwrap_err();
        assert_eq!(error.code, "invalid-request");
        assert!(error.message.contains(field), "{error}");
    }
    let mut request = crate::support::pair("She", " sells");
    request.extra.push(("temperature".to_owned(), "1".to_owned()));
    let error = model.score(vec![request]).await.unwrap_err();
    assert!(error.message.contains("`temperature`"), "{error}");
}
