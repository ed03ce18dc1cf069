//! Recorded answers, given again to the same question.
//!
//! Every model call is recorded with its answer. So the cache holds nothing of its own: it finds a recorded call by
//! everything that its answer depended on.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::id::BenchmarkId;
use crate::model::{FinishReason, ModelRequest, ModelResponse, TokenUsage};

/// A model as far as its answers go: its files, and what computes on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelKey([u8; 32]);

/// Names a call by all that its answer depends on: the model, the kind of the call, and the requests with their
/// settings. The seed is among these where a generation draws, and differs by benchmark seed, row, repeat and call unless
/// a guest chose it.
///
/// It begins with [`ModelKey::prefix`], so that an index has a model's answers side by side; a SHA-256 follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseKey(pub [u8; Self::BYTES]);

/// An answer that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAnswer {
    pub response: ModelResponse,
    /// What it cost when the model gave it.
    pub usage: TokenUsage,
}

/// Finds recorded answers. An answer is found once the sample that it belongs to is stored.
#[async_trait]
pub trait ResponseCache: Send + Sync {
    /// The latest answer that a model gave to this call in another benchmark than the one that asks; never one that was
    /// itself found here. What a benchmark asks twice is computed twice, and counts in its speed.
    async fn find(&self, key: &ResponseKey, asking: BenchmarkId) -> Result<Option<RecordedAnswer>>;

    /// Whether there is any answer of a model. It costs no more than one call of `find`, which a benchmark on a model
    /// without answers is spared for every call.
    async fn has_answers_of(&self, model: &ModelKey) -> Result<bool>;
}

impl ModelKey {
    pub const PREFIX_BYTES: usize = 8;

    /// `computation` is what besides the model's files decides its answers to the last digit. The version of this
    /// program does too: a mistake that an update mends must not live on in answers from before.
    pub fn new(model_digest: &str, computation: &str) -> Self {
        let mut hash = Sha256::new();
        for text in [model_digest, computation, env!("CARGO_PKG_VERSION")] {
            update_with_length(&mut hash, text.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// What the keys of all its calls begin with.
    pub fn prefix(&self) -> [u8; Self::PREFIX_BYTES] {
        std::array::from_fn(|place| self.0[place])
    }

    /// The key of a call; none where it cannot be told apart from others.
    pub fn of_call(&self, request: &ModelRequest) -> Option<ResponseKey> {
        // JSON has one word for these and for a setting that is left out.
        let is_plain = |value: Option<f32>| value.is_none_or(f32::is_finite);
        if let ModelRequest::Generate(requests) = request
            && !requests
                .iter()
                .all(|request| is_plain(request.sampling.temperature) && is_plain(request.sampling.top_p))
        {
            return None;
        }
        let request = serde_json::to_vec(request).ok()?;
        let mut hash = Sha256::new_with_prefix(self.0);
        update_with_length(&mut hash, &request);
        let mut key = [0; ResponseKey::BYTES];
        key[..Self::PREFIX_BYTES].copy_from_slice(&self.prefix());
        key[Self::PREFIX_BYTES..].copy_from_slice(&hash.finalize());
        Some(ResponseKey(key))
    }
}

impl ResponseKey {
    pub const BYTES: usize = ModelKey::PREFIX_BYTES + 32;
}

/// Whether an answer is the model's last word: one that was cut off by a cancellation is not.
pub fn is_repeatable(response: &ModelResponse) -> bool {
    match response {
        ModelResponse::Generate(answers) => {
            answers.iter().all(|answer| answer.finish_reason != FinishReason::Cancelled)
        }
        _ => true,
    }
}

fn update_with_length(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::{GenerationRequest, Prompt, Sampling};

    fn generation(sampling: Sampling) -> ModelRequest {
        ModelRequest::Generate(vec![GenerationRequest { prompt: Prompt::Text("a".to_owned()), sampling }])
    }

    #[test]
    fn whatever_an_answer_depends_on_changes_the_key() {
        let model = ModelKey::new("digest", "cpu");
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let sampling = Sampling { seed: Some(1), temperature: Some(1.0), ..Sampling::default() };
        let requests = [
            ModelRequest::CountTokens(texts(&["a", "b"])),
            ModelRequest::CountTokens(texts(&["b", "a"])),
            ModelRequest::CountTokens(texts(&["ab"])),
            ModelRequest::Embed(texts(&["a", "b"])),
            generation(sampling.clone()),
            generation(Sampling { seed: Some(2), ..sampling.clone() }),
            generation(Sampling { seed: None, ..sampling.clone() }),
            generation(Sampling { temperature: Some(0.0), ..sampling.clone() }),
            generation(Sampling { stop: texts(&["a"]), ..sampling }),
        ];
        let others = [ModelKey::new("other", "cpu"), ModelKey::new("digest", "cuda")];
        let keys: HashSet<_> = requests
            .iter()
            .flat_map(|request| [model, others[0], others[1]].map(|model| model.of_call(request).unwrap()))
            .collect();
        assert_eq!(keys.len(), requests.len() * 3);
        assert_eq!(model.of_call(&requests[0]), ModelKey::new("digest", "cpu").of_call(&requests[0]));
    }

    #[test]
    fn the_keys_of_a_model_begin_alike() {
        let model = ModelKey::new("digest", "cpu");
        let key = model.of_call(&ModelRequest::CountTokens(Vec::new())).unwrap();
        assert_eq!(key.0[..ModelKey::PREFIX_BYTES], model.prefix());
        assert_ne!(model.prefix(), ModelKey::new("other", "cpu").prefix());
    }

    #[test]
    fn a_setting_that_json_writes_like_an_absent_one_has_no_key() {
        let model = ModelKey::new("digest", "cpu");
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let top_p = generation(Sampling { top_p: Some(odd), ..Sampling::default() });
            let temperature = generation(Sampling { temperature: Some(odd), ..Sampling::default() });
            assert_eq!((model.of_call(&top_p), model.of_call(&temperature)), (None, None));
        }
    }
}
