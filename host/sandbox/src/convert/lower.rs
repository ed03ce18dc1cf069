//! From the domain to the contract.

use llm_bench_core::model::{FinishReason, Generation, LogLikelihood};
use llm_bench_core::plugin::ScoredSample;
use llm_bench_core::sample::{Context, Example, Measurement, Passage, Sample, Solution};
use llm_bench_core::{Error, ErrorKind, Row};
use serde::Serialize;

use crate::bindings::exports::llm_bench::plugin::aggregator::Scored;
use crate::bindings::llm_bench::plugin::{models, types};

/// What a guest is told when a model call fails.
pub(crate) fn error(error: &Error) -> types::Error {
    let code = match error.kind {
        ErrorKind::Denied => types::ErrorCode::Denied,
        ErrorKind::Unsupported => types::ErrorCode::Unsupported,
        ErrorKind::TooLarge => types::ErrorCode::Limit,
        _ => types::ErrorCode::Model,
    };
    // The message of a defect is for the log of the host, not for a stranger.
    let message = match error.kind {
        ErrorKind::Internal => "the host could not ask the model".to_owned(),
        _ => error.message.clone(),
    };
    types::Error { code, message, detail: None }
}

pub(crate) fn generation(generation: Generation) -> models::Generation {
    models::Generation {
        text: generation.text,
        finish_reason: match generation.finish_reason {
            FinishReason::Stop => models::FinishReason::Stop,
            FinishReason::Length => models::FinishReason::Length,
            FinishReason::Cancelled => models::FinishReason::Cancelled,
            FinishReason::Other => models::FinishReason::Other,
        },
        prompt_tokens: generation.prompt_tokens,
        completion_tokens: generation.completion_tokens,
    }
}

pub(crate) fn log_likelihood(value: LogLikelihood) -> models::LogLikelihood {
    models::LogLikelihood { sum: value.sum, is_greedy: value.is_greedy, tokens: value.tokens }
}

pub(crate) fn context(context: &Context) -> types::Context {
    types::Context {
        config: json(&context.config),
        examples: context.examples.iter().map(example).collect(),
        seed: context.seed,
    }
}

fn example(example: &Example) -> types::Example {
    types::Example { input: row(&example.input), target: row(&example.target) }
}

pub(crate) fn sample(sample: &Sample) -> types::Sample {
    types::Sample { id: sample.index.to_string(), input: row(&sample.input), repeat: sample.repeat }
}

pub(crate) fn solution(solution: Solution) -> types::Solution {
    types::Solution {
        answer: solution.answer,
        passages: solution.passages.into_iter().map(passage).collect(),
        detail: solution.detail.as_ref().map(json),
    }
}

pub(crate) fn scored(scored: ScoredSample) -> Scored {
    Scored {
        sample: sample(&scored.sample),
        solution: solution(scored.solution),
        target: row(&scored.target),
        measurements: scored.measurements.into_iter().map(measurement).collect(),
    }
}

fn measurement(measurement: Measurement) -> types::Measurement {
    let Measurement { metric, filter, value, weight, reason } = measurement;
    types::Measurement { metric, filter, value, weight, reason }
}

fn passage(passage: Passage) -> types::Passage {
    types::Passage { id: passage.id, text: passage.text, score: passage.score }
}

pub(crate) fn row(row: &Row) -> String {
    json(row)
}

pub(crate) fn json(value: &impl Serialize) -> String {
    // Values and rows have text for keys and finite numbers, which is all that could fail.
    serde_json::to_string(value).unwrap_or_default()
}
