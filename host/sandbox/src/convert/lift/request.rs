//! Requests to models, and levels of the log.

use llm_bench_core::model::{Chat, GenerationRequest, Message, Prompt, Role, Sampling, ScoringRequest};

use crate::bindings::llm_bench::plugin::{logging, models};

pub(crate) fn generation_request(raw: models::GenerationRequest) -> GenerationRequest {
    GenerationRequest { prompt: prompt(raw.prompt), sampling: sampling(raw.sampling) }
}

pub(crate) fn scoring_request(raw: models::ScoringRequest) -> ScoringRequest {
    ScoringRequest { context: prompt(raw.context), continuation: raw.continuation, extra: raw.extra }
}

fn prompt(raw: models::Prompt) -> Prompt {
    match raw {
        models::Prompt::Text(text) => Prompt::Text(text),
        models::Prompt::Chat(chat) => Prompt::Chat(Chat {
            messages: chat.messages.into_iter().map(message).collect(),
            continue_final: chat.continue_final,
        }),
    }
}

fn message(raw: models::Message) -> Message {
    let role = match raw.role {
        models::Role::System => Role::System,
        models::Role::User => Role::User,
        models::Role::Assistant => Role::Assistant,
        models::Role::Tool => Role::Tool,
    };
    Message { role, content: raw.content }
}

fn sampling(raw: models::Sampling) -> Sampling {
    Sampling {
        max_tokens: raw.max_tokens,
        temperature: raw.temperature,
        top_p: raw.top_p,
        top_k: raw.top_k,
        seed: raw.seed,
        stop: raw.stop,
        extra: raw.extra,
    }
}

pub(crate) fn level(raw: logging::Level) -> &'static str {
    match raw {
        logging::Level::Debug => "debug",
        logging::Level::Info => "info",
        logging::Level::Warn => "warn",
        logging::Level::Error => "error",
    }
}
