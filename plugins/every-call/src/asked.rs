//! What is asked of the host, with every setting that there is.

use serde_json::{Value, json};

use crate::llm_bench::plugin::data_files;
use crate::llm_bench::plugin::models::{
    self, Chat, Generation, GenerationRequest, LogLikelihood, Message, Model, Prompt, Role, Sampling,
    ScoringRequest,
};
use crate::llm_bench::plugin::types::{Error, Solution};

/// What the plugin reads.
pub(crate) const FILE: &str = "notes/first.txt";

pub(crate) fn texts() -> [String; 2] {
    ["a text".into(), "ein längerer Text".into()]
}

/// After a text with all settings, after a chat with none, and after one that ends in the model's own words.
pub(crate) fn generations(model: &Model) -> Result<Value, Error> {
    let set = Sampling {
        max_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.75),
        top_k: Some(3),
        seed: Some(11),
        stop: vec!["\n".into(), "###".into()],
        extra: Vec::new(),
    };
    let unset = Sampling {
        max_tokens: None,
        temperature: None,
        top_p: None,
        top_k: None,
        seed: None,
        stop: Vec::new(),
        extra: Vec::new(),
    };
    let roles = [
        (Role::System, "be brief"),
        (Role::User, "a question"),
        (Role::Assistant, "an answer"),
        (Role::Tool, "a result"),
    ];
    let messages = roles.map(|(role, content)| Message { role, content: content.into() });
    let chat = |messages: &[Message], continue_final| {
        Prompt::Chat(Chat { messages: messages.to_vec(), continue_final })
    };
    let generated = model.generate(&[
        GenerationRequest { prompt: Prompt::Text("a text".into()), sampling: set },
        GenerationRequest { prompt: chat(&messages, false), sampling: unset.clone() },
        GenerationRequest { prompt: chat(&messages[..3], true), sampling: unset },
    ])?;
    let shown = |generation: &Generation| {
        let Generation { text, finish_reason, prompt_tokens, completion_tokens } = generation;
        json!([text, format!("{finish_reason:?}"), prompt_tokens, completion_tokens])
    };
    Ok(generated.iter().map(shown).collect())
}

/// Of a continuation of a text and of a chat, and of whole texts.
pub(crate) fn log_likelihoods(model: &Model) -> Result<Value, Error> {
    let messages = vec![Message { role: Role::User, content: "a question".into() }];
    let contexts = [Prompt::Text(String::new()), Prompt::Chat(Chat { messages, continue_final: false })];
    let requests = contexts.map(|context| ScoringRequest {
        context,
        continuation: " a continuation".into(),
        extra: Vec::new(),
    });
    let shown = |LogLikelihood { sum, is_greedy, tokens }: &LogLikelihood| json!([sum, is_greedy, tokens]);
    let scored = model.log_likelihood(&requests)?;
    let rolled = model.log_likelihood_rolling(&texts())?;
    Ok(scored.iter().chain(&rolled).map(shown).collect())
}

/// What the judge says of a solution.
pub(crate) fn verdict(judge: &Model, solution: &Solution, target: &Value) -> Result<String, Error> {
    let answer = solution.answer.as_deref().unwrap_or_default();
    let prompt = Prompt::Text(format!("Is {answer:?} {target}?"));
    let sampling = Sampling {
        max_tokens: Some(1),
        temperature: Some(0.0),
        top_p: None,
        top_k: None,
        seed: None,
        stop: Vec::new(),
        extra: Vec::new(),
    };
    let said = judge.generate(&[GenerationRequest { prompt, sampling }])?;
    Ok(said.first().map(|said| said.text.clone()).unwrap_or_default())
}

/// A data file, in two pieces.
pub(crate) fn file() -> Result<Value, Error> {
    let size = data_files::size(FILE)?;
    let first = data_files::read(FILE, 0, 5)?;
    let rest = data_files::read(FILE, 5, 1 << 20)?;
    let text = String::from_utf8_lossy(&[&first[..], &rest].concat()).into_owned();
    Ok(json!([size, first.len(), text, data_files::read(FILE, size, 1)?.len()]))
}

/// How a part is refused that is not lent.
pub(crate) fn refusal(part: &str) -> String {
    match models::open(part) {
        Ok(_) => "lent".into(),
        Err(error) => format!("{:?}", error.code),
    }
}

/// How a file is refused that the plugin does not name.
pub(crate) fn other_file() -> String {
    match data_files::size("notes/second.txt") {
        Ok(size) => format!("{size} bytes"),
        Err(error) => format!("{:?}", error.code),
    }
}
