//! BM25, as Lucene defines it since its version 8: Σ idf · tf / (tf + k1 · (1 − b + b · length / mean length)) over the
//! words of the query, with idf = ln(1 + (N − n + ½) / (n + ½)). N is the number of documents, n of those with the word,
//! tf how often it stands in the document. Kamphuis et al., "Which BM25 Do You Mean?" (2020), has the variants.
#![expect(clippy::cast_precision_loss, reason = "no text has 2^52 words")]

use std::collections::BTreeMap;

/// How words are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bm25 {
    /// How much it counts that a word stands there again; 0: not at all.
    pub(crate) k1: f64,
    /// How much a document's length is held against it, 0 to 1.
    pub(crate) b: f64,
}

impl Bm25 {
    /// The score of each document for a query. A word that stands twice in the query counts twice; a document that shares
    /// no word with it has 0.
    pub(crate) fn scores(self, query: &[String], documents: &[Vec<String>]) -> Vec<f64> {
        let counts: Vec<_> = documents.iter().map(|words| counts(words)).collect();
        let total: usize = documents.iter().map(Vec::len).sum();
        let mean = total as f64 / documents.len() as f64;
        let mut scores = vec![0.0; documents.len()];
        for word in query {
            let occurrences: Vec<u32> =
                counts.iter().map(|counts| counts.get(word.as_str()).copied().unwrap_or(0)).collect();
            let n = occurrences.iter().filter(|occurrences| **occurrences > 0).count() as f64;
            let idf = (1.0 + (documents.len() as f64 - n + 0.5) / (n + 0.5)).ln();
            for ((score, tf), words) in scores.iter_mut().zip(occurrences).zip(documents) {
                if tf > 0 {
                    let length = 1.0 - self.b + self.b * words.len() as f64 / mean;
                    *score += idf * f64::from(tf) / (f64::from(tf) + self.k1 * length);
                }
            }
        }
        scores
    }
}

fn counts(words: &[String]) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.as_str()).or_default() += 1;
    }
    counts
}

/// The words of a text in lower case: letters and digits that stand together.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
