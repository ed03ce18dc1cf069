//! Log-likelihoods: which tokens are scored after which, and their scores.
//!
//! Definitions of lm-evaluation-harness 0.4.13: `TemplateLM` for pairs, `get_rolling_token_windows` for whole texts.

use llm_bench_core::{Error, Result};

use crate::network::{Logits, Network, Step};
use crate::prompt::PromptText;
use crate::sampling::arg_max;
use crate::tokenizer::TextTokenizer;

/// One sequence for the model and what is scored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScoringRow {
    /// What the model reads: context and continuation without the last token.
    pub(crate) input: Vec<u32>,
    /// The continuation; its first token is predicted at `input.len() - targets.len()`.
    pub(crate) targets: Vec<u32>,
}

/// The score of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowScore {
    /// Natural logarithm, summed over the targets.
    pub(crate) sum: f64,
    pub(crate) is_greedy: bool,
}

impl ScoringRow {
    /// The last `max_length + 1` tokens of context and continuation, the final one only predicted.
    ///
    /// # Errors
    /// `empty-context`, `empty-continuation`, `continuation-too-long`: a continuation is never cut.
    fn new(context: &[u32], continuation: Vec<u32>, max_length: usize) -> Result<Self> {
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
        let mut input = context[context.len().saturating_sub(room)..].to_vec();
        input.extend_from_slice(&continuation[..continuation.len() - 1]);
        Ok(Self { input, targets: continuation })
    }

    /// The tokens of `continuation` after `context`.
    pub(crate) fn pair(
        tokenizer: &mut TextTokenizer,
        mut context: PromptText,
        continuation: &str,
        max_length: usize,
    ) -> Result<Self> {
        if context.is_empty() {
            let prefix = tokenizer.prefix()?;
            let mut targets = tokenizer.encode_text(continuation, false)?;
            if targets.first() == Some(&prefix) {
                targets.remove(0);
            }
            return Self::new(&[prefix], targets, max_length);
        }
        let space = context.split_trailing_space();
        let context_ids = tokenizer.encode(&context)?;
        let mut whole = context;
        whole.push_str(&space);
        whole.push_str(continuation);
        let mut whole_ids = tokenizer.encode(&whole)?;
        let targets = whole_ids.split_off(context_ids.len().min(whole_ids.len()));
        Self::new(&context_ids, targets, max_length)
    }

    /// The windows of a whole text, in which each token is predicted once; none for an empty text.
    pub(crate) fn rolling(tokenizer: &mut TextTokenizer, text: &str, max_length: usize) -> Result<Vec<Self>> {
        let tokens = tokenizer.encode(&PromptText::new(text))?;
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let windows = rolling_windows(&tokens, tokenizer.prefix()?, max_length);
        windows.into_iter().map(|(context, targets)| Self::new(&context, targets, max_length)).collect()
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

/// Scores rows in one run of the model.
///
/// Shorter rows are padded at the right, as in the reference: in a causal model no token sees the padding after it,
/// and none of its places shifts, so that this holds for every graph.
pub(crate) fn score(network: &mut Network, rows: &[&ScoringRow]) -> Result<Vec<RowScore>> {
    let length = rows.iter().map(|row| row.input.len()).max().unwrap_or(0);
    let mut step = Step { rows: rows.len(), ids: Vec::new(), mask: Vec::new(), positions: Vec::new() };
    for row in rows {
        for place in 0..length {
            step.ids.push(row.input.get(place).map_or(0, |&id| i64::from(id)));
            step.mask.push(i64::from(place < row.input.len()));
            step.positions.push(i64::try_from(place).unwrap_or(i64::MAX));
        }
    }
    let logits = network.score(step)?;
    rows.iter().enumerate().map(|(index, row)| row_score(&logits, index, row)).collect()
}

fn row_score(logits: &Logits, index: usize, row: &ScoringRow) -> Result<RowScore> {
    let first = row.input.len() - row.targets.len();
    let mut score = RowScore { sum: 0.0, is_greedy: true };
    for (offset, &target) in row.targets.iter().enumerate() {
        let (log_probability, is_greedy) = log_probability(&logits.at(index, first + offset)?, target)?;
        score.sum += log_probability;
        score.is_greedy &= is_greedy;
    }
    Ok(score)
}

/// The log-softmax of `target`, and whether it is the arg-max.
fn log_probability(logits: &[f32], target: u32) -> Result<(f64, bool)> {
    let target = usize::try_from(target).unwrap_or(usize::MAX);
    let Some(&logit) = logits.get(target) else {
        return Err(Error::invalid(
            "token-outside-vocabulary",
            format!("the tokenizer's token {target} is not among the model's {}", logits.len()),
        ));
    };
    let best = arg_max(logits)?;
    let largest = logits[best];
    let total: f64 = logits.iter().map(|&logit| f64::from((logit - largest).exp())).sum();
    Ok((f64::from(logit - largest) - total.ln(), best == target))
}

#[cfg(test)]
mod tests {
    use super::{ScoringRow, log_probability, rolling_windows};

    #[test]
    fn ten_tokens_roll_through_windows_of_four() {
        let tokens: Vec<u32> = (0..10).collect();
        assert_eq!(
            rolling_windows(&tokens, 99, 4),
            [(vec![99], vec![0, 1, 2, 3]), (vec![3], vec![4, 5, 6, 7]), (vec![5, 6, 7], vec![8, 9]),]
        );
        assert_eq!(rolling_windows(&tokens[..3], 99, 4), [(vec![99], vec![0, 1, 2])]);
        assert_eq!(rolling_windows(&tokens[..4], 99, 4), [(vec![99], vec![0, 1, 2, 3])]);
    }

    #[test]
    fn a_long_context_is_cut_at_the_left_and_the_last_token_is_only_predicted() {
        let row = ScoringRow::new(&[1, 2, 3, 4], vec![5, 6], 4).unwrap();
        assert_eq!(row, ScoringRow { input: vec![2, 3, 4, 5], targets: vec![5, 6] });
        let row = ScoringRow::new(&[1], vec![5, 6, 7, 8], 4).unwrap();
        assert_eq!(row.input, [1, 5, 6, 7]);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let code = |context: &[u32], continuation: &[u32]| {
            ScoringRow::new(context, continuation.to_vec(), 2).unwrap_err().code
        };
        assert_eq!(code(&[1], &[]), "empty-continuation");
        assert_eq!(code(&[], &[1]), "empty-context");
        assert_eq!(code(&[1], &[1, 2, 3]), "continuation-too-long");
    }

    #[test]
    fn the_log_softmax_is_exact_for_large_logits_too() {
        let (log_probability, is_greedy) = log_probability(&[1000.0, 1001.0], 0).unwrap();
        assert!((log_probability + 1.313_261_687_518_223).abs() < 1e-6 && !is_greedy);
    }

    #[test]
    fn a_token_that_the_model_does_not_have_is_refused() {
        assert_eq!(log_probability(&[0.0], 1).unwrap_err().code, "token-outside-vocabulary");
    }
}
