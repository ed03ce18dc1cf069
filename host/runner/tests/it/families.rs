//! What the reference cannot answer to the last digit: half precision and quantised weights, of every exporter.

use llm_bench_core::Json;
use llm_bench_core::model::{LogLikelihood, ModelRunner, ScoringRequest};
use llm_bench_runner::Execution;

use crate::reference::text;
use crate::support::{
    HALF_PRECISION, QUANTISED, expected, fixture, greedy, loaded, loaded_row_by_row, pair, runner,
};

fn cases(name: &str) -> (Vec<Json>, Vec<ScoringRequest>) {
    let cases = expected(name)["log_likelihood"].as_array().unwrap().clone();
    let requests =
        cases.iter().map(|case| pair(text(&case["context"]), text(&case["continuation"]))).collect();
    (cases, requests)
}

fn assert_comes_near(name: &str, case: &Json, answer: LogLikelihood) {
    let expected = case["sum"].as_f64().unwrap();
    assert!((answer.sum - expected).abs() < 0.02 * expected.abs(), "{name}: {answer:?} for {case}");
}

#[tokio::test]
async fn a_model_in_half_precision_comes_near_the_reference() {
    for name in HALF_PRECISION {
        let (cases, requests) = cases(name);
        for (case, answer) in cases.iter().zip(loaded(name).await.score(requests).await.unwrap()) {
            assert_comes_near(name, case, answer);
        }
    }
}

/// What was recorded is what the same graph says of each row alone, so that a batch must not change it.
#[tokio::test]
async fn a_quantised_model_answers_as_its_graph_does_row_by_row() {
    for name in QUANTISED {
        let (cases, requests) = cases(name);
        for model in [loaded(name).await, loaded_row_by_row(name).await] {
            for (case, answer) in cases.iter().zip(model.score(requests.clone()).await.unwrap()) {
                assert_comes_near(name, case, answer);
            }
            for case in expected(name)["generate"].as_array().unwrap() {
                let stop: Vec<&str> = case["until"].as_array().unwrap().iter().map(text).collect();
                let tokens = u32::try_from(case["max_gen_toks"].as_u64().unwrap()).unwrap();
                let answer = model.generate(vec![greedy(text(&case["context"]), tokens, &stop)]).await;
                assert_eq!(answer.unwrap()[0].text, text(&case["text"]), "{name}: {case}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_in_few_bits_does_not_depend_on_those_beside_it() {
    for name in HALF_PRECISION.into_iter().chain(QUANTISED) {
        let (_, requests) = cases(name);
        let together = loaded(name).await.score(requests.clone()).await.unwrap();
        let alone = loaded_row_by_row(name).await.score(requests).await.unwrap();
        for (one, other) in together.iter().zip(&alone) {
            assert!((one.sum - other.sum).abs() < 1e-3 * one.sum.abs(), "{name}: {one:?} and {other:?}");
        }
        let prompts = vec![greedy("She sells", 12, &[]), greedy("The quick brown fox jumps", 4, &[])];
        let together = loaded(name).await.generate(prompts.clone()).await.unwrap();
        assert_eq!(together[0].completion_tokens, 12, "{name}: {together:?}");
        for (prompt, answer) in prompts.into_iter().zip(together) {
            assert_eq!(answer, loaded(name).await.generate(vec![prompt]).await.unwrap()[0], "{name}");
        }
    }
}

#[tokio::test]
async fn a_folder_of_onnxruntime_genai_says_what_config_json_would() {
    let facts = runner(Execution::Shared).inspect(&fixture("genai-llama")).await.unwrap();
    assert_eq!((facts.architecture.as_str(), facts.max_length, facts.vocabulary_size), ("llama", 64, 340));
    let files = ["model.onnx", "model.onnx.data", "tokenizer.json"];
    let weights: u64 =
        files.iter().map(|file| fixture("genai-llama").join(file).metadata().unwrap().len()).sum();
    assert!(facts.bytes > weights, "the digest leaves out some of {files:?}");
}
