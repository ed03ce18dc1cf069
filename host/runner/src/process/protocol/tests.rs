use llm_bench_core::model::{
    Chat, GenerationRequest, LogLikelihood, Message, ModelResponse, Prompt, RankRequest, Role, Sampling,
    ScoringRequest, Timings, TokenUsage,
};

use super::*;

fn through<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let mut frames = Vec::new();
    append(&mut frames, message).unwrap();
    read(&mut frames.as_slice(), &mut Vec::new()).unwrap().unwrap()
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

#[test]
fn messages_follow_each_other_and_end_between_two() {
    let mut frames = Vec::new();
    append(&mut frames, &ToChild::Cancel { id: 1 }).unwrap();
    append(&mut frames, &ToChild::Cancel { id: 2 }).unwrap();
    let (mut reader, mut frame) = (frames.as_slice(), Vec::new());
    for expected in [1, 2] {
        let message = read(&mut reader, &mut frame).unwrap();
        assert!(matches!(message, Some(ToChild::Cancel { id }) if id == expected));
    }
    assert!(read::<ToChild>(&mut reader, &mut frame).unwrap().is_none());
}

#[test]
fn what_is_cut_short_too_long_or_no_message_is_an_error_and_takes_no_memory() {
    let mut whole = Vec::new();
    append(&mut whole, &ToChild::Cancel { id: 1 }).unwrap();
    for length in 1..whole.len() {
        assert!(read::<ToChild>(&mut &whole[..length], &mut Vec::new()).is_err(), "{length} bytes");
    }
    let too_long = u32::MAX.to_le_bytes();
    assert!(read::<ToChild>(&mut too_long.as_slice(), &mut Vec::new()).is_err());
    let mut frame = Vec::new();
    let promised = [&u32::to_le_bytes(200 << 20)[..], &[0; 10]].concat();
    assert!(read::<ToChild>(&mut promised.as_slice(), &mut frame).is_err());
    assert!(frame.capacity() < 1 << 20, "{} bytes were taken", frame.capacity());
    assert!(read::<ToChild>(&mut [&[4, 0, 0, 0][..], &[0xc1; 4]].concat().as_slice(), &mut frame).is_err());
}

#[test]
fn a_message_that_is_too_long_is_refused_by_name_and_leaves_the_others() {
    let mut frames = Vec::new();
    append(&mut frames, &ToChild::Cancel { id: 1 }).unwrap();
    let before = frames.clone();
    let request = ModelRequest::CountTokens(vec!["x".repeat(MAX_MESSAGE_BYTES)]);
    let error = append(&mut frames, &ToChild::Call { id: 2, request }).unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::TooLarge, "message-too-large"));
    assert_eq!(frames, before);
}
