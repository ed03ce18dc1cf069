//! Between the generated types and ours, both ways, field by field. Nothing else sees generated types.

use crate::bindings::{models, types};
use crate::{
    Aggregation, Chat, Error, ErrorCode, FinishReason, Generation, GenerationRequest, LogLikelihood,
    Measurement, Message, Metric, Passage, Prompt, Role, Sampling, ScoringRequest, Solution,
};

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        let code = match error.code {
            ErrorCode::InvalidConfig => types::ErrorCode::InvalidConfig,
            ErrorCode::InvalidSample => types::ErrorCode::InvalidSample,
            ErrorCode::Model => types::ErrorCode::Model,
            ErrorCode::Denied => types::ErrorCode::Denied,
            ErrorCode::Unsupported => types::ErrorCode::Unsupported,
            ErrorCode::Limit => types::ErrorCode::Limit,
            ErrorCode::Other => types::ErrorCode::Other,
        };
        Self { code, message: error.message, detail: error.detail.map(|detail| detail.to_string()) }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        let code = match error.code {
            types::ErrorCode::InvalidConfig => ErrorCode::InvalidConfig,
            types::ErrorCode::InvalidSample => ErrorCode::InvalidSample,
            types::ErrorCode::Model => ErrorCode::Model,
            types::ErrorCode::Denied => ErrorCode::Denied,
            types::ErrorCode::Unsupported => ErrorCode::Unsupported,
            types::ErrorCode::Limit => ErrorCode::Limit,
            types::ErrorCode::Other => ErrorCode::Other,
        };
        // A detail that is no JSON would hide the error that it belongs to.
        let detail = error.detail.and_then(|detail| serde_json::from_str(&detail).ok());
        Self { code, message: error.message, detail }
    }
}

impl From<Metric> for types::Metric {
    fn from(metric: Metric) -> Self {
        let aggregation = match metric.aggregation {
            Aggregation::Mean => types::Aggregation::Mean,
            Aggregation::Sum => types::Aggregation::Sum,
            Aggregation::Median => types::Aggregation::Median,
            Aggregation::WeightedMean => types::Aggregation::WeightedMean,
            Aggregation::Perplexity => types::Aggregation::Perplexity,
            Aggregation::WeightedPerplexity => types::Aggregation::WeightedPerplexity,
            Aggregation::BitsPerByte => types::Aggregation::BitsPerByte,
            Aggregation::Corpus => types::Aggregation::Corpus,
        };
        Self {
            name: metric.name,
            filter: metric.filter,
            description: metric.description,
            aggregation,
            higher_is_better: metric.higher_is_better,
        }
    }
}

impl From<Measurement> for types::Measurement {
    fn from(measurement: Measurement) -> Self {
        Self {
            metric: measurement.metric,
            filter: measurement.filter,
            value: measurement.value,
            weight: measurement.weight,
            reason: measurement.reason,
        }
    }
}

impl From<types::Measurement> for Measurement {
    fn from(measurement: types::Measurement) -> Self {
        Self {
            metric: measurement.metric,
            filter: measurement.filter,
            value: measurement.value,
            weight: measurement.weight,
            reason: measurement.reason,
        }
    }
}

impl From<Solution> for types::Solution {
    fn from(solution: Solution) -> Self {
        let passages = solution
            .passages
            .into_iter()
            .map(|passage| types::Passage { id: passage.id, text: passage.text, score: passage.score })
            .collect();
        Self { answer: solution.answer, passages, detail: solution.detail.map(|detail| detail.to_string()) }
    }
}

impl TryFrom<types::Solution> for Solution {
    type Error = Error;

    fn try_from(solution: types::Solution) -> Result<Self, Error> {
        let passages = solution
            .passages
            .into_iter()
            .map(|passage| Passage { id: passage.id, text: passage.text, score: passage.score })
            .collect();
        let detail = solution.detail.map(|detail| serde_json::from_str(&detail)).transpose()?;
        Ok(Self { answer: solution.answer, passages, detail })
    }
}

impl From<Prompt> for models::Prompt {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Text(text) => Self::Text(text),
            Prompt::Chat(Chat { messages, continue_final }) => {
                let messages = messages.into_iter().map(Into::into).collect();
                Self::Chat(models::Chat { messages, continue_final })
            }
        }
    }
}

impl From<Message> for models::Message {
    fn from(message: Message) -> Self {
        let role = match message.role {
            Role::System => models::Role::System,
            Role::User => models::Role::User,
            Role::Assistant => models::Role::Assistant,
            Role::Tool => models::Role::Tool,
        };
        Self { role, content: message.content }
    }
}

impl From<Sampling> for models::Sampling {
    fn from(sampling: Sampling) -> Self {
        Self {
            max_tokens: sampling.max_tokens,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            seed: sampling.seed,
            stop: sampling.stop,
            extra: sampling.extra,
        }
    }
}

impl From<GenerationRequest> for models::GenerationRequest {
    fn from(request: GenerationRequest) -> Self {
        Self { prompt: request.prompt.into(), sampling: request.sampling.into() }
    }
}

impl From<models::Generation> for Generation {
    fn from(generation: models::Generation) -> Self {
        let finish_reason = match generation.finish_reason {
            models::FinishReason::Stop => FinishReason::Stop,
            models::FinishReason::Length => FinishReason::Length,
            models::FinishReason::Cancelled => FinishReason::Cancelled,
            models::FinishReason::Other => FinishReason::Other,
        };
        Self {
            text: generation.text,
            finish_reason,
            prompt_tokens: generation.prompt_tokens,
            completion_tokens: generation.completion_tokens,
        }
    }
}

impl From<ScoringRequest> for models::ScoringRequest {
    fn from(request: ScoringRequest) -> Self {
        Self { context: request.context.into(), continuation: request.continuation, extra: request.extra }
    }
}

impl From<models::LogLikelihood> for LogLikelihood {
    fn from(likelihood: models::LogLikelihood) -> Self {
        Self { sum: likelihood.sum, is_greedy: likelihood.is_greedy, tokens: likelihood.tokens }
    }
}
