//! Comparing texts as the reference implementations do: lm-evaluation-harness, `SQuAD`'s scorer, sacrebleu, rouge-score.

mod bleu;
mod chrf;
mod contains;
mod exact_match;
mod mteval;
mod ngram;
mod pattern;
mod rouge;
mod squad;
mod white_space;

pub use bleu::{Bleu, BleuCounts, BleuTokenizer};
pub use chrf::{Chrf, ChrfCounts, NgramCounts};
pub use contains::contains;
pub use exact_match::ExactMatch;
pub use pattern::Pattern;
pub use rouge::{Rouge, RougeScore};
pub use squad::{squad_exact_match, squad_f1, squad_normalize};
pub use white_space::{count_words, is_space, strip};
