use llm_bench_core::model::{
    Chat, GenerationRequest, LogLikelihood, Message, ModelResponse, Prompt, RankRequest, Role, Sampling,
    ScoringRequest, Timings, TokenUsage,
};

use llm_bench_core::Error;
use llm_bench_process::frames::{MAX_MESSAGE_BYTES, append, read};
use serde::de::DeserializeOwned;

use super::*;

fn through<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let mut frames = Vec::new();
    append(&mut frames, message).unwrap();
    read(&mut frames.as_slice(), &mut Vec::new(), || MAX_MESSAGE_BYTES).unwrap().unwrap()
}

fn requests() -> Vec<ModelRequest> {
    let chat = Prompt::Chat(Chat {
        messages: vec![Message { role: Role::User, content: "Grüße \u{0} 🦊".to_owned() }],
        continue_final: true,
    });
    let sampling = Sampling {
        max_tokens: Some(3),
        temperature: Some(0.1),
        top_p: Some(f32::MIN_POSITIVE),
        top_k: None,
        seed: Some(u64::MAX),
        stop: vec!["\n".to_owned(), String::new()],
        extra: vec![("a".to_owned(), "b".to_owned())],
    };
    let pair = |context, extra| ScoringRequest { context, continuation: " x".to_owned(), extra };
    vec![
        ModelRequest::Generate(vec![
            GenerationRequest { prompt: Prompt::Text("once".to_owned()), sampling },
            GenerationRequest { prompt: chat.clone(), sampling: Sampling::default() },
        ]),
        ModelRequest::LogLikelihood(vec![
            pair(chat, Vec::new()),
            pair(Prompt::Text(String::new()), vec![("k".to_owned(), "v".to_owned())]),
        ]),
        ModelRequest::LogLikelihoodRolling(vec![String::new(), "text".to_owned()]),
        ModelRequest::Embed(Vec::new()),
        ModelRequest::Rank(RankRequest { query: "q".to_owned(), documents: vec!["d".to_owned()] }),
        ModelRequest::CountTokens(vec!["text".to_owned()]),
    ]
}

#[test]
fn every_kind_of_request_arrives_as_it_was_sent() {
    for request in requests() {
        let sent = ToChild::Call { id: u64::MAX, request: request.clone() };
        let ToChild::Call { id: u64::MAX, request: arrived } = through(&sent) else { panic!("{request:?}") };
        assert_eq!(arrived, request);
    }
}

#[test]
fn floats_of_every_value_arrive_bit_for_bit() {
    let floats =
        [0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.1, f32::MIN_POSITIVE / 2.0];
    let answer = |response| FromChild::Answer {
        id: 1,
        answer: Ok(ModelAnswer {
            response,
            usage: TokenUsage { prompt: 1, completion: 2 },
            timings: Timings { queue_ms: 0.1, ..Timings::default() },
        }),
    };
    let arrived = through(&answer(ModelResponse::Embed(vec![floats.to_vec()])));
    let FromChild::Answer { answer: Ok(ModelAnswer { response: ModelResponse::Embed(arrived), .. }), .. } =
        arrived
    else {
        panic!("{arrived:?}")
    };
    assert_eq!(arrived[0].iter().map(|f| f.to_bits()).collect::<Vec<_>>(), floats.map(f32::to_bits));

    let sums = [-1.234_567_890_123_456_7e-300, f64::NEG_INFINITY, f64::INFINITY, f64::NAN, -0.0, f64::MIN];
    let said: Vec<_> = sums.iter().map(|&sum| LogLikelihood { sum, is_greedy: true, tokens: 7 }).collect();
    let arrived = through(&answer(ModelResponse::LogLikelihood(said)));
    let FromChild::Answer {
        answer: Ok(ModelAnswer { response: ModelResponse::LogLikelihood(arrived), .. }),
        ..
    } = arrived
    else {
        panic!("{arrived:?}")
    };
    assert_eq!(arrived.iter().map(|said| said.sum.to_bits()).collect::<Vec<_>>(), sums.map(f64::to_bits));
}

#[test]
fn an_error_arrives_with_kind_code_message_and_cause() {
    let error = Error::too_large("a-code", "a message").because("the cause");
    let sent = FromChild::Answer { id: 3, answer: Err(error.clone().into()) };
    let FromChild::Answer { id: 3, answer: Err(arrived) } = through(&sent) else { panic!("{sent:?}") };
    let arrived = Error::from(arrived);
    assert_eq!((arrived.kind, &arrived.code, &arrived.message), (error.kind, &error.code, &error.message));
    assert_eq!(std::error::Error::source(&arrived).unwrap().to_string(), "the cause");
}
