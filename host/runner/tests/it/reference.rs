//! Every fixture's `expected.json` was recorded from lm-evaluation-harness (see `make_fixtures.py`).

use llm_bench_core::Json;
use llm_bench_core::model::{Chat, LogLikelihood, Message, Prompt, Role, ScoringRequest};

use crate::support::{FIXTURES, expected, greedy, loaded, loaded_row_by_row, pair};

pub(crate) fn text(value: &Json) -> &str {
    value.as_str().unwrap()
}

fn assert_near(name: &str, case: &Json, answer: LogLikelihood) {
    let expected = case["sum"].as_f64().unwrap();
    assert!((answer.sum - expected).abs() < 1e-3, "{name}: {answer:?} for {case}");
}

#[tokio::test]
async fn log_likelihoods_equal_the_reference_in_batches_and_row_by_row() {
    for name in FIXTURES {
        let cases = expected(name)["log_likelihood"].as_array().unwrap().clone();
        assert!(cases.iter().any(|case| case["is_greedy"] == true), "{name}: no case is greedy");
        let requests: Vec<ScoringRequest> =
            cases.iter().map(|case| pair(text(&case["context"]), text(&case["continuation"]))).collect();
        for model in [loaded(name).await, loaded_row_by_row(name).await] {
            let answers = model.score(requests.clone()).await.unwrap();
            for (case, answer) in cases.iter().zip(answers) {
                assert_near(name, case, answer);
                assert_eq!(answer.is_greedy, case["is_greedy"].as_bool().unwrap(), "{name}: {case}");
            }
        }
    }
}

#[tokio::test]
async fn rolling_log_likelihoods_equal_the_reference() {
    for name in FIXTURES {
        let cases = expected(name)["rolling"].as_array().unwrap().clone();
        let texts: Vec<&str> = cases.iter().map(|case| text(&case["text"])).collect();
        let answers = loaded(name).await.roll(&texts).await.unwrap();
        assert!(answers.iter().any(|answer| answer.tokens > 64), "no text needs a second window");
        for (case, answer) in cases.iter().zip(answers) {
            assert_near(name, case, answer);
        }
    }
}

#[tokio::test]
async fn greedy_generations_equal_the_reference_in_batches_and_row_by_row() {
    for name in FIXTURES {
        let cases = expected(name)["generate"].as_array().unwrap().clone();
        let requests = cases.iter().map(|case| {
            let stop: Vec<&str> = case["until"].as_array().unwrap().iter().map(text).collect();
            greedy(
                text(&case["context"]),
                u32::try_from(case["max_gen_toks"].as_u64().unwrap()).unwrap(),
                &stop,
            )
        });
        let requests: Vec<_> = requests.collect();
        for model in [loaded(name).await, loaded_row_by_row(name).await] {
            let answers = model.generate(requests.clone()).await.unwrap();
            for (case, answer) in cases.iter().zip(answers) {
                assert_eq!(answer.text, text(&case["text"]), "{name}: {case}");
            }
        }
    }
}

#[tokio::test]
async fn chats_are_rendered_and_scored_as_the_reference_does() {
    for name in FIXTURES {
        let case = &expected(name)["chat"];
        let messages = case["messages"].as_array().unwrap().iter().map(|message| Message {
            role: if message["role"] == "system" { Role::System } else { Role::User },
            content: text(&message["content"]).to_owned(),
        });
        let chat = Chat { messages: messages.collect(), continue_final: false };
        let as_chat = ScoringRequest {
            context: Prompt::Chat(chat),
            continuation: text(&case["continuation"]).to_owned(),
            extra: Vec::new(),
        };
        let as_text = pair(text(&case["rendered"]), text(&case["continuation"]));
        let answers = loaded(name).await.score(vec![as_chat, as_text]).await.unwrap();
        assert_near(name, case, answers[0]);
        assert_eq!(answers[0].tokens, answers[1].tokens);
    }
}
