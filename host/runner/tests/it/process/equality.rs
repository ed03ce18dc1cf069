//! A child answers what the model answers in this process.

use llm_bench_core::model::{
    Chat, GenerationRequest, Message, ModelRequest, ModelRunner, Prompt, Role, Sampling, ScoringRequest,
};
use llm_bench_runner::Execution;

use super::support::Marked;
use crate::support::{FIXTURES, PROMPTS, copy_of, fixture, greedy, load, loaded, pair, runner};

fn requests() -> Vec<ModelRequest> {
    let chat = Prompt::Chat(Chat {
        messages: vec![Message { role: Role::User, content: "a<|im_end|> Grüße 🦊".to_owned() }],
        continue_final: false,
    });
    let sampled = |prompt| GenerationRequest {
        prompt,
        sampling: Sampling {
            max_tokens: Some(8),
            temperature: Some(0.8),
            seed: Some(7),
            ..Sampling::default()
        },
    };
    let pairs = PROMPTS.iter().map(|prompt| pair(prompt, " fox")).collect::<Vec<_>>();
    vec![
        ModelRequest::LogLikelihood(pairs),
        ModelRequest::LogLikelihood(vec![ScoringRequest { context: chat.clone(), ..pair("", "x") }]),
        ModelRequest::LogLikelihoodRolling(PROMPTS.map(str::to_owned).to_vec()),
        ModelRequest::Generate(PROMPTS.iter().map(|prompt| greedy(prompt, 8, &["\n"])).collect()),
        ModelRequest::Generate(vec![sampled(Prompt::Text("She".to_owned())), sampled(chat)]),
        ModelRequest::CountTokens(PROMPTS.map(str::to_owned).to_vec()),
        ModelRequest::LogLikelihood(Vec::new()),
    ]
}

#[tokio::test]
async fn a_child_answers_bit_for_bit_what_this_process_answers() {
    for name in FIXTURES {
        let here = loaded(name).await;
        let there = Marked::new().loaded(name).await;
        for request in requests() {
            let (here, there) = (here.ask(request.clone()).await, there.ask(request.clone()).await);
            let (here, there) = (here.unwrap(), there.unwrap());
            assert_eq!(
                format!("{:?}", here.response),
                format!("{:?}", there.response),
                "{name}: {request:?}"
            );
            assert_eq!(here.usage, there.usage);
            assert!(there.timings.queue_ms >= 0.0);
        }
    }
}

#[tokio::test]
async fn a_child_describes_a_model_as_this_process_does() {
    let here = runner(Execution::Shared);
    for name in FIXTURES {
        let there = Marked::new().runner().inspect(&fixture(name)).await.unwrap();
        assert_eq!(here.inspect(&fixture(name)).await.unwrap(), there);
    }
}

#[tokio::test]
async fn a_child_refuses_a_broken_model_and_a_wrong_call_in_the_same_words() {
    for (file, content) in [
        ("model.onnx", &b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..]),
        // A whole model with an empty graph: the library refuses it.
        ("model.onnx", &[0x08, 0x0a, 0x3a, 0x00]),
        ("config.json", b"{"),
        ("tokenizer.json", b"{\"version\": \"1.0\"}"),
        ("chat_template.jinja", b"{% for %}"),
    ] {
        let folder = copy_of("llama");
        std::fs::write(folder.path().join(file), content).unwrap();
        let here = load(folder.path(), &runner(Execution::Shared)).await.err().unwrap();
        let there = Marked::new().refusal(folder.path()).await;
        assert_eq!((here.kind, here.code, here.message), (there.kind, there.code, there.message), "{file}");
    }
    let here = loaded("gpt2").await;
    let there = Marked::new().loaded("gpt2").await;
    for request in [pair("She", ""), pair("  ", "sea")] {
        let (here, there) = (here.score(vec![request.clone()]).await, there.score(vec![request]).await);
        let (here, there) = (here.unwrap_err(), there.unwrap_err());
        assert_eq!((here.kind, here.code, here.message), (there.kind, there.code, there.message));
    }
}
