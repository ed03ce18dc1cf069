//! Comparing texts as the reference implementations do.

mod exact_match;
mod pattern;
mod squad;
mod white_space;

pub use exact_match::ExactMatch;
pub use pattern::Pattern;
pub use squad::{squad_exact_match, squad_f1, squad_normalize};
pub use white_space::{count_words, is_space, strip};
