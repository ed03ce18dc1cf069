use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ngram;

/// ROUGE as rouge-score 0.1.2 computes it, with its default tokenizer: lower case, words of the letters a to z and the
/// digits, all else separates. Words are **not stemmed** (`use_stemmer=False`, the default of that package); some tasks
/// of lm-evaluation-harness turn stemming on, whose numbers differ.
///
/// ```
/// use llm_bench_plugin_sdk::text::Rouge;
///
/// let score = Rouge::L.score("the cat was here", ["The cat is here!", "no"]);
/// assert_eq!((score.precision, score.recall, score.f1), (0.75, 0.75, 0.75));
/// assert_eq!(Rouge::Two.score("a cat", ["a dog"]).f1, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Rouge {
    /// Words in common.
    #[serde(rename = "rouge1")]
    One,
    /// Pairs of neighbouring words in common.
    #[serde(rename = "rouge2")]
    Two,
    /// The longest common subsequence of words.
    #[serde(rename = "rougeL")]
    L,
    /// The longest common subsequences of every line of the reference with the lines of the hypothesis, united: for
    /// summaries of one sentence a line.
    #[serde(rename = "rougeLsum")]
    LSum,
}

/// Shares, 0 to 1. A benchmark's ROUGE is the mean of its samples', so that `f1` is what to measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeScore {
    /// Matches over what the hypothesis has.
    pub precision: f64,
    /// Matches over what the reference has.
    pub recall: f64,
    /// 2·P·R / (P + R); 0 where both are 0.
    pub f1: f64,
}

impl Rouge {
    /// The score against the reference with the highest F1, the first of equal ones (rouge-score's `score_multi`).
    /// 0 without references, and where either text has no word.
    pub fn score<'r>(self, hypothesis: &str, references: impl IntoIterator<Item = &'r str>) -> RougeScore {
        let mut best = RougeScore::default();
        for reference in references {
            let score = self.against(hypothesis, reference);
            if score.f1 > best.f1 {
                best = score;
            }
        }
        best
    }

    /// The means over hypotheses with their references; 0 without any.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::text::Rouge;
    ///
    /// let mean = Rouge::One.corpus([("one two", ["one two"]), ("three", ["four"])]);
    /// assert_eq!(mean.f1, 0.5);
    /// ```
    pub fn corpus<'t, R: IntoIterator<Item = &'t str>>(
        self,
        texts: impl IntoIterator<Item = (&'t str, R)>,
    ) -> RougeScore {
        let mut sum = RougeScore::default();
        let mut count = 0.0;
        for (hypothesis, references) in texts {
            let score = self.score(hypothesis, references);
            sum.precision += score.precision;
            sum.recall += score.recall;
            sum.f1 += score.f1;
            count += 1.0;
        }
        if count == 0.0 {
            return sum;
        }
        RougeScore { precision: sum.precision / count, recall: sum.recall / count, f1: sum.f1 / count }
    }

    fn against(self, hypothesis: &str, reference: &str) -> RougeScore {
        match self {
            Self::One | Self::Two => {
                let order = if self == Self::One { 1 } else { 2 };
                let (hypothesis, reference) = (words(hypothesis), words(reference));
                let (hypothesis, reference) =
                    (ngram::count(&hypothesis, order), ngram::count(&reference, order));
                let matches = ngram::common(&hypothesis, &reference);
                RougeScore::of(matches, hypothesis.values().sum(), reference.values().sum())
            }
            Self::L => {
                let (hypothesis, reference) = (words(hypothesis), words(reference));
                let matches = common_subsequence(&reference, &hypothesis);
                RougeScore::of(matches, hypothesis.len() as u64, reference.len() as u64)
            }
            Self::LSum => summary_score(&lines(hypothesis), &lines(reference)),
        }
    }
}

impl RougeScore {
    #[expect(clippy::cast_precision_loss, reason = "no text has 2^52 words")]
    fn of(matches: u64, hypothesis: u64, reference: u64) -> Self {
        if matches == 0 {
            return Self::default();
        }
        let precision = matches as f64 / hypothesis as f64;
        let recall = matches as f64 / reference as f64;
        Self { precision, recall, f1: 2.0 * precision * recall / (precision + recall) }
    }
}

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|character: char| !character.is_ascii_lowercase() && !character.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn lines(text: &str) -> Vec<Vec<String>> {
    text.split('\n').map(words).collect()
}

/// The length of the longest common subsequence, in two rows of the table.
fn common_subsequence(reference: &[String], hypothesis: &[String]) -> u64 {
    let mut above = vec![0; hypothesis.len() + 1];
    let mut row = above.clone();
    for word in reference {
        for (column, other) in hypothesis.iter().enumerate() {
            row[column + 1] =
                if word == other { above[column] + 1 } else { above[column + 1].max(row[column]) };
        }
        std::mem::swap(&mut above, &mut row);
    }
    above[hypothesis.len()]
}

/// A word of the reference is a match when it is in the union of its line's common subsequences with all lines of the
/// hypothesis, and at most as often as either text has it.
fn summary_score(hypothesis: &[Vec<String>], reference: &[Vec<String>]) -> RougeScore {
    let mut unmatched = occurrences(hypothesis);
    let mut matches = 0;
    for line in reference {
        let mut in_union = vec![false; line.len()];
        for other in hypothesis {
            mark_common_subsequence(line, other, &mut in_union);
        }
        for (word, _) in line.iter().zip(in_union).filter(|(_, in_union)| *in_union) {
            // Each word of the reference is looked at once, so that only the hypothesis can run out of one.
            if let Some(count) = unmatched.get_mut(word.as_str()).filter(|count| **count > 0) {
                *count -= 1;
                matches += 1;
            }
        }
    }
    let length = |lines: &[Vec<String>]| lines.iter().map(|line| line.len() as u64).sum();
    RougeScore::of(matches, length(hypothesis), length(reference))
}

fn occurrences(lines: &[Vec<String>]) -> HashMap<&str, u64> {
    let mut occurrences = HashMap::new();
    for word in lines.iter().flatten() {
        *occurrences.entry(word.as_str()).or_default() += 1;
    }
    occurrences
}

/// Marks the places of one longest common subsequence in the reference. Which one of several is the reference
/// implementation's choice, and decides what the union is.
fn mark_common_subsequence(reference: &[String], hypothesis: &[String], marks: &mut [bool]) {
    let width = hypothesis.len() + 1;
    let mut lengths = vec![0_u32; (reference.len() + 1) * width];
    for (row, word) in reference.iter().enumerate() {
        for (column, other) in hypothesis.iter().enumerate() {
            lengths[(row + 1) * width + column + 1] = if word == other {
                lengths[row * width + column] + 1
            } else {
                lengths[row * width + column + 1].max(lengths[(row + 1) * width + column])
            };
        }
    }
    let (mut row, mut column) = (reference.len(), hypothesis.len());
    while row > 0 && column > 0 {
        if reference[row - 1] == hypothesis[column - 1] {
            marks[row - 1] = true;
            row -= 1;
            column -= 1;
        } else if lengths[row * width + column - 1] > lengths[(row - 1) * width + column] {
            column -= 1;
        } else {
            row -= 1;
        }
    }
}
