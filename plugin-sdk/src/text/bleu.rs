use std::collections::HashMap;
use std::iter::Sum;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{is_space, mteval, ngram};

/// The longest n-grams that count, in words.
const MAX_ORDER: usize = 4;

/// BLEU, 0 to 100, as sacrebleu 2.6.0 computes it: n-grams of one to four words, exponential smoothing, the closest of
/// the references' lengths (of two equally close ones the shorter).
///
/// A benchmark's metric is made of one number a sample, so that it can show the mean of [`sentence`](Self::sentence)
/// scores; that is not the BLEU of the corpus.
///
/// ```
/// use llm_bench_plugin_sdk::text::Bleu;
///
/// let bleu = Bleu::default();
/// let corpus = [
///     ("The cat sat on the mat.", vec!["The cat sat on the mat.", "A cat sat on a mat."]),
///     ("It barked.", vec!["The dog barked."]),
/// ];
/// let score = bleu.corpus(corpus.iter().map(|(hypothesis, references)| (*hypothesis, references.iter().copied())));
/// assert!((score - 81.440).abs() < 1e-3);
/// assert!((bleu.sentence("the cat", ["the cat"]) - 100.0).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bleu {
    /// Compare in lower case.
    pub lowercase: bool,
    /// How texts are cut into words.
    pub tokenizer: BleuTokenizer,
}

/// How BLEU cuts a text into words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BleuTokenizer {
    /// The rules of `mteval-v13a`, which published numbers use: most ASCII punctuation stands alone. They know no
    /// words in scripts that write none.
    #[default]
    #[serde(rename = "13a")]
    Mteval13a,
    /// Every character is a word.
    #[serde(rename = "char")]
    Characters,
    /// White space alone separates words: for texts that are tokenized already.
    #[serde(rename = "none")]
    WhiteSpace,
}

/// What BLEU is computed from. Counts of several texts add up to those of a corpus, whose BLEU is not the mean of the
/// texts' ones.
///
/// ```
/// use llm_bench_plugin_sdk::text::{Bleu, BleuCounts};
///
/// let bleu = Bleu::default();
/// let texts = [("a b c d", "a b c d"), ("x y", "x z")];
/// let counts: BleuCounts = texts.iter().map(|(hypothesis, reference)| bleu.counts(hypothesis, [*reference])).sum();
/// assert_eq!((counts.hypothesis_words, counts.matches), (6, [5, 3, 2, 1]));
/// assert_eq!(counts.score(), bleu.corpus(texts.map(|(hypothesis, reference)| (hypothesis, [reference]))));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BleuCounts {
    /// Words of the hypotheses.
    pub hypothesis_words: u64,
    /// Words of the references closest in length.
    pub reference_words: u64,
    /// N-grams of a hypothesis that a reference has too, by length from 1 to 4; each as often as one reference has it.
    pub matches: [u64; MAX_ORDER],
    /// N-grams of the hypotheses, by length from 1 to 4.
    pub totals: [u64; MAX_ORDER],
}

impl Bleu {
    /// BLEU of one text: of the n-gram lengths, only those that the hypothesis is long enough for count
    /// (sacrebleu's `sentence_score` with `effective_order`). 0 without references.
    pub fn sentence<'r>(&self, hypothesis: &str, references: impl IntoIterator<Item = &'r str>) -> f64 {
        self.counts(hypothesis, references).sentence_score()
    }

    /// BLEU of hypotheses with their references (sacrebleu's `corpus_score`). Texts may differ in the number of their
    /// references.
    pub fn corpus<'t, R: IntoIterator<Item = &'t str>>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, R)>,
    ) -> f64 {
        texts
            .into_iter()
            .map(|(hypothesis, references)| self.counts(hypothesis, references))
            .sum::<BleuCounts>()
            .score()
    }

    /// The counts of one text, which add up.
    pub fn counts<'r>(&self, hypothesis: &str, references: impl IntoIterator<Item = &'r str>) -> BleuCounts {
        let hypothesis = self.words(hypothesis);
        let references: Vec<_> = references.into_iter().map(|reference| self.words(reference)).collect();
        let closest = references
            .iter()
            .map(Vec::len)
            .min_by_key(|length| (length.abs_diff(hypothesis.len()), *length))
            .unwrap_or_default();
        let mut counts = BleuCounts {
            hypothesis_words: hypothesis.len() as u64,
            reference_words: closest as u64,
            ..BleuCounts::default()
        };
        for (position, order) in (1..=MAX_ORDER).enumerate() {
            let mut known: HashMap<&[String], u64> = HashMap::new();
            for (ngram, count) in references.iter().flat_map(|words| ngram::count(words, order)) {
                let most = known.entry(ngram).or_default();
                *most = count.max(*most);
            }
            let ngrams = ngram::count(&hypothesis, order);
            counts.matches[position] = ngram::common(&ngrams, &known);
            counts.totals[position] = ngrams.values().sum();
        }
        counts
    }

    fn words(self, text: &str) -> Vec<String> {
        let lower;
        let text = if self.lowercase {
            lower = text.to_lowercase();
            &lower
        } else {
            text
        };
        match self.tokenizer {
            BleuTokenizer::Mteval13a => split(&mteval::separate(text.trim_end_matches(is_space))),
            BleuTokenizer::Characters => {
                text.chars().filter(|character| !is_space(*character)).map(String::from).collect()
            }
            BleuTokenizer::WhiteSpace => split(text),
        }
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl BleuCounts {
    /// BLEU of a corpus, 0 to 100. 0 when no word matches, or no hypothesis has four words.
    pub fn score(&self) -> f64 {
        self.geometric_mean(false)
    }

    /// BLEU of one text, 0 to 100, over the n-gram lengths that the hypothesis is long enough for.
    pub fn sentence_score(&self) -> f64 {
        self.geometric_mean(true)
    }

    /// What a score is multiplied with where the hypotheses are shorter than the references: exp(1 − references /
    /// hypotheses), else 1.
    #[expect(clippy::cast_precision_loss, reason = "no corpus has 2^52 words")]
    pub fn brevity_penalty(&self) -> f64 {
        if self.hypothesis_words >= self.reference_words {
            1.0
        } else if self.hypothesis_words == 0 {
            0.0
        } else {
            (1.0 - self.reference_words as f64 / self.hypothesis_words as f64).exp()
        }
    }

    /// Over the n-gram lengths that occur, or over all.
    #[expect(clippy::cast_precision_loss, reason = "no corpus has 2^52 words")]
    fn geometric_mean(&self, effective_order: bool) -> f64 {
        if self.matches == [0; MAX_ORDER] {
            return 0.0;
        }
        // Every length that occurs without a match halves what the next such one is worth.
        let mut smoothing = 1.0;
        let mut precisions = [0.0; MAX_ORDER];
        let occurring = self.totals.iter().take_while(|total| **total > 0).count();
        for (order, precision) in precisions.iter_mut().enumerate().take(occurring) {
            let total = self.totals[order] as f64;
            *precision = if self.matches[order] == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * total)
            } else {
                100.0 * self.matches[order] as f64 / total
            };
        }
        let orders = if effective_order { occurring } else { MAX_ORDER };
        let logarithms: f64 = precisions[..orders].iter().map(|precision| precision.ln()).sum();
        self.brevity_penalty() * (logarithms / orders as f64).exp()
    }
}

impl AddAssign for BleuCounts {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis_words += other.hypothesis_words;
        self.reference_words += other.reference_words;
        for order in 0..MAX_ORDER {
            self.matches[order] += other.matches[order];
            self.totals[order] += other.totals[order];
        }
    }
}

impl Sum for BleuCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}
