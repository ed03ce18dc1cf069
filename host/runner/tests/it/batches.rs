//! What runs together must not change what comes out.

use futures::future::join_all;
use llm_bench_core::model::{LogLikelihood, Sampling};
use llm_bench_runner::Execution;

use crate::support::{
    FIXTURES, Loaded, PROMPTS, copy_of, fixture, greedy, load, loaded, loaded_row_by_row, pair, runner,
};

fn assert_same(name: &str, one: LogLikelihood, other: LogLikelihood) {
    let tolerance = 1e-4 * f64::from(one.tokens);
    assert!((one.sum - other.sum).abs() <= tolerance, "{name}: {one:?} and {other:?}");
    assert_eq!((one.tokens, one.is_greedy), (other.tokens, other.is_greedy), "{name}");
}

#[tokio::test]
async fn sums_do_not_depend_on_the_batch() {
    let requests: Vec<_> =
        PROMPTS.iter().flat_map(|prompt| [pair(prompt, " four."), pair(prompt, " the dog")]).collect();
    for name in FIXTURES {
        let together = loaded(name).await.score(requests.clone()).await.unwrap();
        let alone = loaded_row_by_row(name).await;
        for (request, answer) in requests.iter().zip(together) {
            assert_same(name, answer, alone.score(vec![request.clone()]).await.unwrap()[0]);
        }
    }
}

#[tokio::test]
async fn texts_do_not_depend_on_the_batch_when_rows_finish_at_different_times() {
    // Different limits: rows finish one by one, and the cache shrinks on the way.
    let requests: Vec<_> =
        PROMPTS.iter().zip([3, 24, 9, 14, 1]).map(|(prompt, tokens)| greedy(prompt, tokens, &[])).collect();
    for name in FIXTURES {
        let together = loaded(name).await.generate(requests.clone()).await.unwrap();
        let alone = loaded_row_by_row(name).await;
        for (request, answer) in requests.iter().zip(together) {
            assert_eq!(answer, alone.generate(vec![request.clone()]).await.unwrap()[0], "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_drawn_does_not_depend_on_the_batch() {
    let requests = PROMPTS.iter().zip(7..).map(|(prompt, seed)| {
        let mut request = greedy(prompt, 8, &[]);
        request.sampling =
            Sampling { temperature: Some(0.8), top_k: Some(20), seed: Some(seed), ..request.sampling };
        request
    });
    let requests: Vec<_> = requests.collect();
    for name in FIXTURES {
        let together = loaded(name).await.generate(requests.clone()).await.unwrap();
        let mut backwards = requests.clone();
        backwards.reverse();
        let mut alone = loaded_row_by_row(name).await.generate(backwards).await.unwrap();
        alone.reverse();
        assert_eq!(together, alone, "{name}");
    }
}

#[tokio::test]
async fn calls_that_wait_together_get_their_own_answers() {
    let model = loaded("llama").await;
    let calls = PROMPTS.map(|prompt| model.score(vec![pair(prompt, " four."), pair("", prompt)]));
    for (prompt, answers) in PROMPTS.iter().zip(join_all(calls).await) {
        let answers = answers.unwrap();
        let alone = model.score(vec![pair(prompt, " four."), pair("", prompt)]).await.unwrap();
        assert_same("llama", answers[0], alone[0]);
        assert_same("llama", answers[1], alone[1]);
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_served_does_not_fail_the_calls_beside_it() {
    let model = loaded("llama").await;
    let long = "The dog sleeps. ".repeat(40);
    let (good, bad, generated, too_long) = tokio::join!(
        model.score(vec![pair("She sells", " sea shells")]),
        model.score(vec![pair("She sells", " sea shells"), pair("She", "")]),
        model.generate(vec![greedy("She", 4, &[])]),
        model.score(vec![pair("a", &long)]),
    );
    assert_eq!(good.unwrap()[0].tokens, model.count(" sea shells").await);
    assert_eq!(bad.unwrap_err().code, "empty-continuation");
    assert_eq!(generated.unwrap()[0].completion_tokens, 4);
    assert_eq!(too_long.unwrap_err().code, "continuation-too-long");
}

/// A model that draws its logits anew for each token of each run.
async fn dice() -> Loaded {
    let folder = copy_of("gpt2-without-cache");
    std::fs::copy(fixture("dice").join("model.onnx"), folder.path().join("model.onnx")).unwrap();
    load(folder.path(), &runner(Execution::Shared)).await.unwrap()
}

#[tokio::test]
async fn identical_requests_are_computed_once() {
    let model = dice().await;
    let request = pair("Rome is the capital of", " Italy.");
    let other = pair("Rome is the capital of", " France.");
    let requests = vec![request.clone(), other, request.clone(), request.clone()];
    let answers = model.score(requests).await.unwrap();
    assert_eq!((answers[0], answers[0]), (answers[2], answers[3]));
    assert_ne!(answers[0].sum, answers[1].sum);
    let again = model.score(vec![request]).await.unwrap();
    assert_ne!(answers[0].sum, again[0].sum, "the model's answers do not tell runs apart");

    let prompt = greedy("Rome is the capital of", 8, &[]);
    let texts = model.generate(vec![prompt.clone(), prompt.clone()]).await.unwrap();
    assert_eq!(texts[0], texts[1]);
    assert_ne!(texts[0], model.generate(vec![prompt]).await.unwrap()[0]);
}
