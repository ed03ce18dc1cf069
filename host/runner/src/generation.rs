//! Generation: a prefill over the prompts, then one token per row and step, with the KV cache handed on.

mod cohort;

use std::time::Duration;

use llm_bench_core::model::FinishReason;
use llm_bench_core::{Error, Result};

pub(crate) use cohort::Cohort;

use crate::sampling::{Sampler, Settings};
use crate::stop::Completion;
use crate::tokenizer::TextTokenizer;

/// What is to be generated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// At least one token, at most the model's longest sequence less the tokens to come.
    pub(crate) prompt: Vec<u32>,
    pub(crate) settings: Settings,
}

impl Order {
    /// Tokens of the sequence at its longest.
    pub(crate) fn length(&self) -> usize {
        self.prompt.len() + self.settings.max_tokens
    }
}

/// What was generated. The number of tokens includes one that ended the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) finish_reason: FinishReason,
    pub(crate) tokens: u32,
}

/// Where a model's generations end and how its tokens read.
#[derive(Clone, Copy)]
pub(crate) struct Language<'model> {
    pub(crate) tokenizer: &'model TextTokenizer,
    /// Tokens that end a generation.
    pub(crate) end_ids: &'model [u32],
}

/// Time spent in the model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phases {
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

/// One generation on its way.
pub(crate) struct Generating {
    /// The caller's name for it.
    pub(crate) key: usize,
    /// The prompt and what follows it so far.
    pub(crate) ids: Vec<u32>,
    prompt_length: usize,
    max_tokens: usize,
    stops: Vec<String>,
    sampler: Sampler,
    completion: Completion,
    /// How it ended.
    end: Option<Result<FinishReason>>,
}

impl Generating {
    pub(crate) fn new(key: usize, order: &Order) -> Self {
        Self {
            key,
            ids: order.prompt.clone(),
            prompt_length: order.prompt.len(),
            max_tokens: order.settings.max_tokens,
            stops: order.settings.stop.clone(),
            sampler: Sampler::new(&order.settings, &order.prompt),
            completion: Completion::new(),
            end: None,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Ends it where it stands.
    pub(crate) fn end(&mut self, end: Result<FinishReason>) {
        self.end.get_or_insert(end);
    }

    /// Tokens of the sequence at its longest.
    pub(crate) fn longest(&self) -> usize {
        self.prompt_length + self.max_tokens
    }

    /// The part of its tokens that can be taken from elsewhere: all but the last, whose logits are needed.
    pub(crate) fn shareable(&self) -> &[u32] {
        &self.ids[..self.ids.len() - 1]
    }

    /// Chooses the next token. What goes wrong is the end of this generation alone.
    pub(crate) fn choose(&mut self, logits: &[f32], language: Language<'_>) {
        if self.has_ended() {
            return;
        }
        match self.next(logits, language) {
            Ok(None) => {}
            Ok(Some(reason)) => self.end = Some(Ok(reason)),
            Err(error) => self.end = Some(Err(error)),
        }
    }

    fn next(&mut self, logits: &[f32], language: Language<'_>) -> Result<Option<FinishReason>> {
        let token = self.sampler.choose(logits)?;
        self.ids.push(token);
        // A token that ends belongs to the text, as in the reference: of special ones the text shows none.
        let stands_stop = self.completion.push(token, &self.stops, language.tokenizer)?;
        Ok(if stands_stop || language.end_ids.contains(&token) {
            Some(FinishReason::Stop)
        } else if self.ids.len() - self.prompt_length >= self.max_tokens {
            Some(FinishReason::Length)
        } else {
            None
        })
    }

    /// What came out, once it has ended.
    pub(crate) fn outcome(self, language: Language<'_>) -> Result<Outcome> {
        let tokens = u32::try_from(self.ids.len() - self.prompt_length).unwrap_or(u32::MAX);
        let end =
            self.end.unwrap_or_else(|| Err(Error::internal("model-failed", "a generation did not end")));
        let text = self.completion.text(&self.stops, language.tokenizer)?;
        Ok(Outcome { text, finish_reason: end?, tokens })
    }
}
