//! Honest plugins: the right data reaches the models, and the right data comes back.

use std::sync::Arc;

use llm_bench_core::limits::{Budget, Limits};
use llm_bench_core::model::{ModelRequest, Prompt};
use llm_bench_core::plugin::{Aggregation, GuestCall};
use llm_bench_core::sample::{Context, Example, FailureKind, Passage, Solution};
use llm_bench_core::{Error, ErrorKind};
use serde_json::json;

use crate::support::{Scripted, call, load, row, sample};

#[tokio::test]
async fn every_plugin_that_ships_fits_the_contract_and_its_own_schema() {
    for name in [
        "answer-match",
        "cheater",
        "generate-until",
        "hostile",
        "log-likelihood",
        "multiple-choice",
        "perplexity",
    ] {
        load(name).await;
    }
}

#[tokio::test]
async fn a_multiple_choice_sample_is_asked_in_one_call_and_scored_without_a_model() {
    let (plugin, models) = (load("multiple-choice").await, Scripted::subject());
    let input = json!({"question": "Capital of France?", "choices": ["Buenos Aires", "Paris", "Madrid"]});
    let outcome = plugin.solve(call(json!({}), models.clone()), &sample(input.clone())).await;
    let solution = outcome.result.unwrap();
    assert_eq!(solution.answer.as_deref(), Some("Paris"));
    assert!(outcome.usage.fuel > 10_000 && outcome.usage.peak_memory_bytes > 65_536, "{:?}", outcome.usage);

    let asked = models.asked.lock().unwrap().clone();
    let [(part, ModelRequest::LogLikelihood(requests))] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(part, "subject");
    let Prompt::Text(context) = &requests[0].context else { panic!("{requests:?}") };
    assert!(context.ends_with("Question: Capital of France?\nAnswer:"), "{context}");
    let continuations: Vec<_> = requests.iter().map(|request| request.continuation.as_str()).collect();
    assert_eq!(continuations, [" Buenos Aires", " Paris", " Madrid"]);

    let no_models = Arc::new(Scripted::default());
    let target = row(json!({"answer": "Paris"}));
    let scored = plugin.score(call(json!({}), no_models), &sample(input), solution, &target).await;
    let measurements = scored.result.unwrap();
    assert_eq!((measurements[0].metric.as_str(), measurements[0].value), ("acc", Some(1.0)));
}

#[tokio::test]
async fn examples_reach_the_plugin_in_their_order() {
    let (plugin, models) = (load("multiple-choice").await, Scripted::subject());
    let example = |question: &str, answer: &str| Example {
        input: row(json!({"question": question, "choices": ["yes", "no"]})),
        target: row(json!({"answer": answer})),
    };
    let context =
        Context { config: json!({}), examples: vec![example("1?", "yes"), example("2?", "no")], seed: 0 };
    let call = GuestCall { context: Arc::new(context), ..call(json!({}), models.clone()) };
    plugin.solve(call, &sample(json!({"question": "3?", "choices": ["yes", "no"]}))).await.result.unwrap();
    let asked = models.asked.lock().unwrap();
    let ModelRequest::LogLikelihood(requests) = &asked[0].1 else { panic!("{asked:?}") };
    let Prompt::Text(context) = &requests[0].context else { panic!("{requests:?}") };
    assert_eq!(context, "Question: 1?\nAnswer: yes\n\nQuestion: 2?\nAnswer: no\n\nQuestion: 3?\nAnswer:");
}

#[tokio::test]
async fn the_same_call_gives_the_same_solution_and_burns_the_same_fuel() {
    let plugin = load("multiple-choice").await;
    let solve = async || {
        let input = sample(json!({"question": "?", "choices": ["a", "b"]}));
        plugin.solve(call(json!({}), Scripted::subject()), &input).await
    };
    let (one, other) = (solve().await, solve().await);
    assert_eq!(one.result.unwrap(), other.result.unwrap());
    assert_eq!(one.usage, other.usage);
}

#[tokio::test]
async fn metrics_are_declared_for_a_config_and_a_bad_config_is_told_by_the_plugin() {
    let plugin = load("multiple-choice").await;
    let metrics = plugin.metrics(&json!({}), &Limits::default()).await.unwrap();
    assert_eq!((metrics[0].name.as_str(), metrics[0].aggregation), ("acc", Aggregation::Mean));
    assert!(metrics[0].higher_is_better);
    let error = plugin.metrics(&json!({"promt": "x"}), &Limits::default()).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "invalid-config"));
    assert!(error.message.contains("promt"), "{error}");
}

#[tokio::test]
async fn generation_and_perplexity_ask_their_own_way() {
    let models = Scripted::subject();
    let plugin = load("generate-until").await;
    let input = sample(json!({"question": "Capital of France?"}));
    let solution = plugin.solve(call(json!({}), models.clone()), &input).await.result.unwrap();
    assert_eq!(solution.answer.as_deref(), Some("Paris"));
    let plugin = load("perplexity").await;
    plugin.solve(call(json!({}), models.clone()), &sample(json!({"text": "Once."}))).await.result.unwrap();
    let kinds: Vec<_> = models.asked.lock().unwrap().iter().map(|(_, request)| request.kind()).collect();
    assert_eq!(kinds, ["generate", "log-likelihood-rolling"]);
}

#[tokio::test]
async fn a_model_that_fails_is_told_from_a_plugin_that_fails() {
    let plugin = load("perplexity").await;
    let broken =
        |error| Arc::new(Scripted { parts: vec!["subject"], broken: Some(error), ..Scripted::default() });
    let fail = async |error| {
        plugin
            .solve(call(json!({}), broken(error)), &sample(json!({"text": "Once."})))
            .await
            .result
            .unwrap_err()
    };
    let failure = fail(Error::unavailable("model-busy", "the model is gone")).await;
    assert_eq!(failure.kind, FailureKind::ModelError);
    assert!(failure.message.contains("the model is gone"), "{}", failure.message);
    // The message of a defect stays in the host.
    let failure = fail(Error::internal("x", "secret: /home/somebody")).await;
    assert_eq!(failure.kind, FailureKind::ModelError);
    assert!(!failure.message.contains("secret"), "{}", failure.message);
}

#[tokio::test]
async fn a_model_that_never_answers_ends_the_call_by_the_clock_of_models() {
    let plugin = load("perplexity").await;
    let models = Arc::new(Scripted { parts: vec!["subject"], silent: true, ..Scripted::default() });
    let limits = Limits { model_timeout_ms: 20, ..Limits::default() };
    let call = GuestCall { limits, ..call(json!({}), models) };
    let failure = plugin.solve(call, &sample(json!({"text": "Once."}))).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(failure.message, "the plugin waited for models for longer than 20 ms");
}

#[tokio::test]
async fn many_samples_wait_for_few_places_and_all_are_solved() {
    let (plugin, models) = (load("perplexity").await, Scripted::subject());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (plugin, call) = (Arc::clone(&plugin), call(json!({}), models.clone()));
            tokio::spawn(
                async move { plugin.solve(call, &sample(json!({"text": "Once."}))).await.result.is_ok() },
            )
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
}

#[tokio::test]
async fn retrieval_judges_the_passages_of_any_solver_and_a_solution_without_any() {
    let plugin = load("retrieval").await;
    let config = json!({"metrics": ["ndcg", "mrr"], "cutoffs": [2]});
    let limits = Limits::of(Budget::Small);
    let names: Vec<_> =
        plugin.metrics(&config, &limits).await.unwrap().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["ndcg_at_2", "mrr"]);
    let passage = |id: &str, score| Passage { id: id.into(), text: "a text".into(), score };
    let score = async |passages| {
        let solution = Solution { passages, ..Solution::default() };
        let target = row(json!({"relevant": {"first": 1, "second": 2}}));
        let (call, sample) =
            (call(config.clone(), Arc::new(Scripted::default())), sample(json!({"question": "?"})));
        let scored = plugin.score(call, &sample, solution, &target);
        let measured = scored.await.result.unwrap();
        measured.into_iter().map(|measurement| measurement.value.unwrap()).collect::<Vec<_>>()
    };
    let discount = 1.0 / 3.0_f64.log2();
    let found = score(vec![passage("none", 0.5), passage("first", 0.25), passage("second", 0.125)]).await;
    assert!((found[0] - discount / (2.0 + discount)).abs() < 1e-12, "{found:?}");
    assert_eq!(found[1].to_bits(), 0.5_f64.to_bits());
    assert!(score(vec![]).await.iter().all(|value| *value == 0.0));
}
