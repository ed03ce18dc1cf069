//! What a model can be asked, and what it answers.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    pub messages: Vec<Message>,
    /// The last message is an assistant turn that the model continues.
    #[serde(default)]
    pub continue_final: bool,
}

/// Text as it stands, or turns that the model's chat template renders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    Text(String),
    Chat(Chat),
}

impl Prompt {
    fn bytes(&self) -> usize {
        const MESSAGE: usize = 64;
        match self {
            Self::Text(text) => text.len(),
            Self::Chat(chat) => chat.messages.iter().map(|message| message.content.len() + MESSAGE).sum(),
        }
    }
}

/// Settings of a generation; an absent one is the model's own default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    pub max_tokens: Option<u32>,
    /// 0 is greedy.
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<u32>,
    pub seed: Option<u64>,
    /// The text ends before the first occurrence of any of these. Where they overlap in it, the first in the list decides.
    pub stop: Vec<String>,
    /// Further settings by name; an unknown one is an error.
    pub extra: Vec<(String, String)>,
}

impl Sampling {
    /// Whether nothing is drawn, whatever the model's own defaults are: no seed makes a difference then.
    pub fn is_greedy(&self) -> bool {
        self.temperature == Some(0.0)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationRequest {
    pub prompt: Prompt,
    pub sampling: Sampling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    Stop,
    Length,
    Cancelled,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    pub text: String,
    pub finish_reason: FinishReason,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
}

/// Asks for the log-likelihood of `continuation` after `context`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoringRequest {
    pub context: Prompt,
    pub continuation: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogLikelihood {
    /// Natural logarithm, summed over the continuation's tokens. In JSON a value that is no number there is one
    /// of the texts `-Infinity`, `Infinity`, `NaN`.
    #[serde(with = "exact_float")]
    pub sum: f64,
    /// Whether greedy decoding would have produced the continuation.
    pub is_greedy: bool,
    /// Tokens of the continuation.
    pub tokens: u32,
}

/// One call of a model: a list of requests of one kind, answered as one batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "request", rename_all = "kebab-case")]
pub enum ModelRequest {
    Generate(Vec<GenerationRequest>),
    LogLikelihood(Vec<ScoringRequest>),
    LogLikelihoodRolling(Vec<String>),
    Embed(Vec<String>),
    Rank(RankRequest),
    CountTokens(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRequest {
    pub query: String,
    pub documents: Vec<String>,
}

impl ModelRequest {
    /// The contract's name of the function that was called, such as `log-likelihood`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Generate(_) => "generate",
            Self::LogLikelihood(_) => "log-likelihood",
            Self::LogLikelihoodRolling(_) => "log-likelihood-rolling",
            Self::Embed(_) => "embed",
            Self::Rank(_) => "rank",
            Self::CountTokens(_) => "count-tokens",
        }
    }

    /// Bytes of its texts, and some for each item, so that many empty ones count too.
    pub fn bytes(&self) -> u64 {
        const ITEM: usize = 64;
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + ITEM).sum::<usize>();
        let extra =
            |extra: &[(String, String)]| extra.iter().map(|(a, b)| a.len() + b.len() + ITEM).sum::<usize>();
        let bytes = match self {
            Self::Generate(requests) => requests
                .iter()
                .map(|request| {
                    let sampling = &request.sampling;
                    request.prompt.bytes() + texts(&sampling.stop) + extra(&sampling.extra) + ITEM
                })
                .sum(),
            Self::LogLikelihood(requests) => requests
                .iter()
                .map(|request| {
                    request.context.bytes() + request.continuation.len() + extra(&request.extra) + ITEM
                })
                .sum(),
            Self::LogLikelihoodRolling(list) | Self::Embed(list) | Self::CountTokens(list) => texts(list),
            Self::Rank(request) => request.query.len() + texts(&request.documents),
        };
        bytes as u64
    }

    /// Hashes its texts: equal requests have equal hashes.
    pub fn hash_texts(&self, hasher: &mut impl Hasher) {
        let prompt = |prompt: &Prompt, hasher: &mut _| match prompt {
            Prompt::Text(text) => text.hash(hasher),
            Prompt::Chat(chat) => chat.messages.iter().for_each(|message| message.content.hash(hasher)),
        };
        match self {
            Self::Generate(requests) => {
                for request in requests {
                    prompt(&request.prompt, hasher);
                    request.sampling.seed.filter(|_| !request.sampling.is_greedy()).hash(hasher);
                }
            }
            Self::LogLikelihood(requests) => {
                for request in requests {
                    prompt(&request.context, hasher);
                    request.continuation.hash(hasher);
                }
            }
            Self::LogLikelihoodRolling(texts) | Self::Embed(texts) | Self::CountTokens(texts) => {
                texts.hash(hasher);
            }
            Self::Rank(request) => (&request.query, &request.documents).hash(hasher),
        }
    }

    /// How many answers the call has.
    pub fn len(&self) -> usize {
        match self {
            Self::Generate(requests) => requests.len(),
            Self::LogLikelihood(requests) => requests.len(),
            Self::LogLikelihoodRolling(texts) | Self::Embed(texts) | Self::CountTokens(texts) => texts.len(),
            Self::Rank(request) => request.documents.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The answers to a [`ModelRequest`], in its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "response", rename_all = "kebab-case")]
pub enum ModelResponse {
    Generate(Vec<Generation>),
    LogLikelihood(Vec<LogLikelihood>),
    LogLikelihoodRolling(Vec<LogLikelihood>),
    Embed(Vec<Vec<f32>>),
    Rank(Vec<f32>),
    CountTokens(Vec<u32>),
}

impl ModelResponse {
    /// How many answers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Generate(answers) => answers.len(),
            Self::LogLikelihood(answers) | Self::LogLikelihoodRolling(answers) => answers.len(),
            Self::Embed(vectors) => vectors.len(),
            Self::Rank(scores) => scores.len(),
            Self::CountTokens(counts) => counts.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// JSON for floats of every value: numbers where JSON has them, names where it has not.
mod exact_float {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Exact {
        Number(f64),
        Text(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match *value {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Exact::deserialize(deserializer)? {
            Exact::Number(value) => Ok(value),
            Exact::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                other => Err(D::Error::custom(format!("`{other}` is not a number"))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogLikelihood;

    #[test]
    fn a_log_likelihood_of_any_value_survives_json() {
        for sum in [-1.234_567_890_123_456_7e-300, f64::NEG_INFINITY, f64::INFINITY, -0.1] {
            let said = LogLikelihood { sum, is_greedy: false, tokens: 1 };
            let json = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<LogLikelihood>(&json).unwrap(), said, "{json}");
        }
        let json = r#"{"sum":"NaN","is_greedy":true,"tokens":2}"#;
        assert!(serde_json::from_str::<LogLikelihood>(json).unwrap().sum.is_nan());
    }
}
