use std::iter::Sum;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{is_space, ngram};

/// chrF, 0 to 100, as sacrebleu 2.6.0 computes it: an F-score over n-grams of characters and, as chrF++, of words.
/// White space does not count. Of several references the best counts. As with [`Bleu`](super::Bleu), the mean of
/// [`sentence`](Self::sentence) scores, which a benchmark can show, is not the score of the corpus.
///
/// ```
/// use llm_bench_plugin_sdk::text::Chrf;
///
/// let chrf = Chrf::default();
/// assert!((chrf.sentence("the cat", ["the cat"]) - 100.0).abs() < 1e-9);
/// assert!((chrf.sentence("the cat", ["a dog", "the cut"]) - 37.778).abs() < 1e-3);
/// let corpus = [("the cat", ["the cut"]), ("a dog", ["the dog"])];
/// assert!(Chrf::plus_plus().corpus(corpus) < chrf.corpus(corpus));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chrf {
    /// Longest n-grams of characters; 6 unless set.
    pub character_order: u8,
    /// Longest n-grams of words: 0, unless set, for chrF, 2 for chrF++.
    pub word_order: u8,
    /// How many times more recall counts than precision; 2 unless set.
    pub beta: u8,
    /// Compare in lower case.
    pub lowercase: bool,
    /// Let white space be a character like others.
    pub whitespace: bool,
}

/// What chrF is computed from. Counts of several texts add up to those of a corpus, whose chrF is not the mean of the
/// texts' ones.
///
/// ```
/// use llm_bench_plugin_sdk::text::{Chrf, ChrfCounts};
///
/// let chrf = Chrf::default();
/// let texts = [("the cat", ["the cut"]), ("a dog", ["the dog"])];
/// let counts: ChrfCounts = texts.into_iter().map(|(hypothesis, references)| chrf.counts(hypothesis, references)).sum();
/// assert_eq!(counts.orders[0].hypothesis, 10);
/// assert_eq!(chrf.score(&counts), chrf.corpus(texts));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrfCounts {
    /// N-grams of characters from length 1, then those of words from length 1.
    pub orders: Vec<NgramCounts>,
}

/// How many n-grams of one length there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NgramCounts {
    /// In the hypothesis; 0 where the reference is too short for any.
    pub hypothesis: u64,
    /// In the reference.
    pub reference: u64,
    /// In both.
    pub matches: u64,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { character_order: 6, word_order: 0, beta: 2, lowercase: false, whitespace: false }
    }
}

impl Chrf {
    /// chrF++: n-grams of one and two words count too.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    /// chrF of one text, over the n-gram lengths that hypothesis and reference are long enough for. 0 without
    /// references.
    pub fn sentence<'r>(&self, hypothesis: &str, references: impl IntoIterator<Item = &'r str>) -> f64 {
        self.score(&self.counts(hypothesis, references))
    }

    /// chrF of hypotheses with their references (sacrebleu's `corpus_score`). Texts may differ in the number of their
    /// references.
    pub fn corpus<'t, R: IntoIterator<Item = &'t str>>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, R)>,
    ) -> f64 {
        let counts =
            texts.into_iter().map(|(hypothesis, references)| self.counts(hypothesis, references)).sum();
        self.score(&counts)
    }

    /// The counts of one text against its best reference, which add up.
    pub fn counts<'r>(&self, hypothesis: &str, references: impl IntoIterator<Item = &'r str>) -> ChrfCounts {
        let hypothesis = Units::of(hypothesis, *self);
        let mut best: Option<(f64, ChrfCounts)> = None;
        for reference in references {
            let counts = self.against(&hypothesis, &Units::of(reference, *self));
            let score = self.score(&counts);
            // Of equal references the first stays.
            if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                best = Some((score, counts));
            }
        }
        best.map(|(_, counts)| counts).unwrap_or_default()
    }

    /// The F-score of mean precision and mean recall over the n-gram lengths that occur on both sides.
    #[expect(clippy::cast_precision_loss, reason = "no corpus has 2^52 characters")]
    pub fn score(&self, counts: &ChrfCounts) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for counts in &counts.orders {
            if counts.hypothesis > 0 && counts.reference > 0 {
                precision += counts.matches as f64 / counts.hypothesis as f64;
                recall += counts.matches as f64 / counts.reference as f64;
                orders += 1.0;
            }
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        let factor = f64::from(self.beta).powi(2);
        100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall))
    }

    fn against(self, hypothesis: &Units, reference: &Units) -> ChrfCounts {
        let characters = (1..=self.character_order.into())
            .map(|order| NgramCounts::of(&hypothesis.characters, &reference.characters, order));
        let words = (1..=self.word_order.into())
            .map(|order| NgramCounts::of(&hypothesis.words, &reference.words, order));
        ChrfCounts { orders: characters.chain(words).collect() }
    }
}

/// What n-grams of a text are made of.
struct Units {
    characters: Vec<char>,
    words: Vec<String>,
}

impl Units {
    fn of(text: &str, options: Chrf) -> Self {
        let text = if options.lowercase { text.to_lowercase() } else { text.to_owned() };
        let characters =
            text.chars().filter(|character| options.whitespace || !is_space(*character)).collect();
        Self { characters, words: if options.word_order > 0 { words(&text) } else { Vec::new() } }
    }
}

/// Words with one ASCII punctuation mark split off: the last character, else the first.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        let is_mark = |character: &char| character.is_ascii_punctuation();
        let (first, last) = (word.chars().next().filter(is_mark), word.chars().next_back().filter(is_mark));
        let cut = match (first, last) {
            _ if word.chars().nth(1).is_none() => 0,
            // ASCII is one byte long.
            (_, Some(_)) => word.len() - 1,
            (Some(_), None) => 1,
            (None, None) => 0,
        };
        let (left, right) = word.split_at(cut);
        words.extend([left, right].iter().filter(|part| !part.is_empty()).map(|part| (*part).to_owned()));
    }
    words
}

impl NgramCounts {
    fn of<T: Eq + std::hash::Hash>(hypothesis: &[T], reference: &[T], order: usize) -> Self {
        let hypothesis = ngram::count(hypothesis, order);
        let reference = ngram::count(reference, order);
        Self {
            hypothesis: if reference.is_empty() { 0 } else { hypothesis.values().sum() },
            reference: reference.values().sum(),
            matches: ngram::common(&hypothesis, &reference),
        }
    }
}

impl AddAssign<&ChrfCounts> for ChrfCounts {
    fn add_assign(&mut self, other: &Self) {
        if self.orders.len() < other.orders.len() {
            self.orders.resize(other.orders.len(), NgramCounts::default());
        }
        for (counts, other) in self.orders.iter_mut().zip(&other.orders) {
            counts.hypothesis += other.hypothesis;
            counts.reference += other.reference;
            counts.matches += other.matches;
        }
    }
}

impl Sum for ChrfCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum += &counts;
            sum
        })
    }
}
