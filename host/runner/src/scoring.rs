//! Log-likelihoods: which tokens are scored after which.
//!
//! Definitions of lm-evaluation-harness 0.4.13: `TemplateLM` for pairs, `get_rolling_token_windows` for whole texts.

mod family;
#[cfg(test)]
mod tests;

use llm_bench_core::{Error, Result};

pub(crate) use family::{Family, score};

use crate::prompt::PromptText;
use crate::sampling::too_long;
use crate::tokenizer::TextTokenizer;

/// One sequence for the model and what is scored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScoringRow {
    /// What the model reads: context and continuation without the last token.
    pub(crate) input: Vec<u32>,
    /// The continuation; its first token is predicted at `input.len() - targets.len()`.
    pub(crate) targets: Vec<u32>,
}

/// How a row is made to fit into the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    /// The longest sequence, in tokens.
    pub(crate) max_length: usize,
    /// Whether a context that is too long loses its beginning; otherwise it is refused.
    pub(crate) truncates: bool,
}

/// The score of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowScore {
    /// Natural logarithm, summed over the targets.
    pub(crate) sum: f64,
    pub(crate) is_greedy: bool,
}

impl ScoringRow {
    /// How many tokens stand before the targets.
    pub(crate) fn context_length(&self) -> usize {
        self.input.len() + 1 - self.targets.len()
    }

    /// The last `max_length + 1` tokens of context and continuation, the final one only predicted.
    ///
    /// # Errors
    /// `empty-context`, `empty-continuation`, `continuation-too-long`: a continuation is never cut; `prompt-too-long`
    /// where a context must not be either.
    fn new(context: &[u32], continuation: Vec<u32>, fit: Fit) -> Result<Self> {
        let Fit { max_length, truncates } = fit;
        if continuation.is_empty() {
            return Err(Error::invalid(
                "empty-continuation",
                "a continuation holds no token that could be scored",
            ));
        }
        if context.is_empty() {
            return Err(Error::invalid("empty-context", "a context of white space alone holds no token"));
        }
        if continuation.len() > max_length {
            return Err(Error::invalid(
                "continuation-too-long",
                format!(
                    "a continuation of {} tokens is longer than the model's {max_length}",
                    continuation.len()
                ),
            ));
        }
        let room = max_length + 1 - continuation.len();
        if context.len() > room && !truncates {
            return Err(too_long(context.len(), room));
        }
        let mut input = context[context.len().saturating_sub(room)..].to_vec();
        input.extend_from_slice(&continuation[..continuation.len() - 1]);
        Ok(Self { input, targets: continuation })
    }

    /// The tokens of `continuation` after `context`.
    pub(crate) fn pair(
        tokenizer: &mut TextTokenizer,
        mut context: PromptText,
        continuation: &str,
        fit: Fit,
    ) -> Result<Self> {
        if context.is_empty() {
            let prefix = tokenizer.prefix()?;
            let mut targets = tokenizer.encode_text(continuation, false)?;
            if targets.first() == Some(&prefix) {
                targets.remove(0);
            }
            return Self::new(&[prefix], targets, fit);
        }
        let space = context.split_trailing_space();
        let context_ids = tokenizer.encode(&context)?;
        let mut whole = context;
        whole.push_str(&space);
        whole.push_str(continuation);
        let mut whole_ids = tokenizer.encode(&whole)?;
        let targets = whole_ids.split_off(context_ids.len().min(whole_ids.len()));
        Self::new(&context_ids, targets, fit)
    }

    /// The windows of a whole text, in which each token is predicted once; none for an empty text.
    pub(crate) fn rolling(tokenizer: &mut TextTokenizer, text: &str, max_length: usize) -> Result<Vec<Self>> {
        let tokens = tokenizer.encode(&PromptText::new(text))?;
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let windows = rolling_windows(&tokens, tokenizer.prefix()?, max_length);
        let fit = Fit { max_length, truncates: false };
        windows.into_iter().map(|(context, targets)| Self::new(&context, targets, fit)).collect()
    }
}

/// Context and targets of each window of `max_length`: one token of context, the last window filled up at the left.
fn rolling_windows(tokens: &[u32], prefix: u32, max_length: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut predicted = max_length.min(tokens.len());
    let mut windows = vec![(vec![prefix], tokens[..predicted].to_vec())];
    while predicted < tokens.len() {
        let end = (predicted + max_length).min(tokens.len());
        let context = tokens[end - max_length - 1..predicted].to_vec();
        windows.push((context, tokens[predicted..end].to_vec()));
        predicted = end;
    }
    windows
}

impl RowScore {
    /// Nothing is scored yet.
    pub(crate) const NONE: Self = Self { sum: 0.0, is_greedy: true };

    /// Adds a target's score.
    pub(crate) fn add(&mut self, log_probability: f64, is_greedy: bool) {
        self.sum += log_probability;
        self.is_greedy &= is_greedy;
    }
}
