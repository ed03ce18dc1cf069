//! The text of a generation while it grows, and where it ends.

use llm_bench_core::Result;

use crate::tokenizer::TextTokenizer;

/// The tokens written so far and as much of their text as finding a stop string takes.
///
/// A token's text depends on the tokens before it (a character may be spread over several), so a short window is
/// decoded again with each token: from `window`, with the text up to `settled` being final.
pub(crate) struct Completion {
    ids: Vec<u32>,
    /// The final text, special tokens included, as far as later stop strings may begin in it.
    tail: String,
    window: usize,
    settled: usize,
}

impl Completion {
    pub(crate) fn new() -> Self {
        Self { ids: Vec::new(), tail: String::new(), window: 0, settled: 0 }
    }

    /// Adds a token and says whether one of `stops` now stands in the text.
    pub(crate) fn push(&mut self, id: u32, stops: &[String], tokenizer: &TextTokenizer) -> Result<bool> {
        self.ids.push(id);
        let Some(longest) = stops.iter().map(String::len).max() else { return Ok(false) };
        let before = tokenizer.decode(&self.ids[self.window..self.settled], false)?;
        let after = tokenizer.decode(&self.ids[self.window..], false)?;
        let new = after.get(before.len()..).unwrap_or_default();
        let is_whole = !new.is_empty() && !new.ends_with(char::REPLACEMENT_CHARACTER);
        let text = format!("{}{new}", self.tail);
        if stops.iter().any(|stop| text.contains(stop.as_str())) {
            return Ok(true);
        }
        if is_whole {
            self.window = self.settled;
            self.settled = self.ids.len();
            self.tail = keep_end(text, longest);
        }
        Ok(false)
    }

    /// The text without special tokens, [cut](cut) at `stops`.
    pub(crate) fn text(&self, stops: &[String], tokenizer: &TextTokenizer) -> Result<String> {
        let mut text = tokenizer.decode(&self.ids, true)?;
        cut(&mut text, stops);
        Ok(text)
    }
}

/// Cuts a text at one stop string after the other, as the reference does: of those that overlap in the text, the one that
/// comes first in the list decides.
fn cut(text: &mut String, stops: &[String]) {
    for stop in stops {
        if let Some(end) = text.find(stop.as_str()) {
            text.truncate(end);
        }
    }
}

/// The last `bytes` of a text, or a little more where that would split a character.
fn keep_end(mut text: String, bytes: usize) -> String {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    text.drain(..start);
    text
}

#[cfg(test)]
mod tests {
    use super::{cut, keep_end};

    #[test]
    fn a_text_is_cut_at_one_stop_string_after_the_other() {
        let cut = |text: &str, stops: &[&str]| {
            let mut text = text.to_owned();
            cut(&mut text, &stops.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>());
            text
        };
        assert_eq!(cut("one\n\ntwo.", &[".", "\n"]), "one");
        assert_eq!(cut("one", &["two"]), "one");
        // The first takes a part of what the second would have found earlier.
        assert_eq!(cut("4\nQuestion: 5", &["Question:", "\nQuestion:"]), "4\n");
        assert_eq!(cut("x abc", &["bc", "abc"]), "x a");
        assert_eq!(cut("x abc", &["abc", "bc"]), "x ");
    }

    #[test]
    fn the_end_of_a_text_is_kept_in_whole_characters() {
        assert_eq!(keep_end("abcd".to_owned(), 2), "cd");
        assert_eq!(keep_end("aé".to_owned(), 1), "é");
        assert_eq!(keep_end("a".to_owned(), 5), "a");
    }
}
