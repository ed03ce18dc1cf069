//! Tokens of lines that recur: a block of few-shot examples stands before every question and choice.
//!
//! A text is cut before each letter or digit that begins a line, where no other white space stands before the line feed.
//! For the tokenizers that [`Lines::of`] accepts, the tokens of the pieces are the tokens of the text: their
//! pre-tokenizers never join a line feed to a letter or digit after it, look at nothing before a match, and merges stay
//! inside of what a pre-tokenizer gives. Of several white spaces GPT-2's expression leaves the last to what follows, if
//! anything does, so a row of them is never the end of a piece.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer, pre_tokenizers::split::SplitPattern};

/// What the kept lines and tokens may take.
const MAX_BYTES: usize = 32 << 20;

/// The regular expressions of Llama 3 and of Qwen 2, which were looked at; the one of GPT-2 is `ByteLevel`'s own.
const KNOWN_PATTERNS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The tokens of lines, for a tokenizer that may be given a text line by line.
pub(super) struct Lines {
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    ids: HashMap<String, Arc<[u32]>>,
    bytes: usize,
}

impl Lines {
    /// None for a tokenizer that has to see a text as a whole.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let is_normalized_by_characters =
            matches!(tokenizer.get_normalizer(), None | Some(NormalizerWrapper::NFC(_)));
        let splits =
            tokenizer.get_pre_tokenizer().is_some_and(|splitter| is_local(splitter) && parts_lines(splitter));
        let reaches_over = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .any(|token| token.lstrip || token.rstrip || token.single_word || token.content.contains('\n'));
        let is_accepted = is_normalized_by_characters && splits && !reaches_over;
        is_accepted.then(|| Self { kept: RefCell::default() })
    }

    /// The tokens of a text without special ones; `encode` is asked for the lines that are not there.
    pub(super) fn encode<E>(
        &self,
        text: &str,
        mut encode: impl FnMut(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, E> {
        let mut kept = self.kept.borrow_mut();
        let mut ids = Vec::with_capacity(text.len() / 3);
        for line in lines(text) {
            if let Some(there) = kept.ids.get(line) {
                ids.extend_from_slice(there);
                continue;
            }
            let new: Arc<[u32]> = encode(line)?.into();
            ids.extend_from_slice(&new);
            kept.bytes += line.len() + 4 * new.len();
            if kept.bytes > MAX_BYTES {
                *kept = Kept::default();
            } else {
                kept.ids.insert(line.to_owned(), new);
            }
        }
        Ok(ids)
    }
}

/// The pieces of a text: a new one begins with each letter or digit after a lone line feed.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .match_indices('\n')
            .filter(|&(place, _)| {
                !rest[..place].ends_with(|before: char| before.is_whitespace() || before.is_control())
            })
            .map(|(place, _)| place + 1)
            .find(|&place| rest[place..].chars().next().is_some_and(char::is_alphanumeric))
            .unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

/// Whether what a splitter makes of a place depends on nothing before the split that it lies in.
fn is_local(splitter: &PreTokenizerWrapper) -> bool {
    match splitter {
        PreTokenizerWrapper::ByteLevel(bytes) => !bytes.add_prefix_space,
        PreTokenizerWrapper::Digits(_) => true,
        PreTokenizerWrapper::Split(split) => {
            !split.invert
                && split.behavior == SplitDelimiterBehavior::Isolated
                && matches!(&split.pattern, SplitPattern::Regex(regex) if KNOWN_PATTERNS.contains(&regex.as_str()))
        }
        PreTokenizerWrapper::Sequence(sequence) => sequence.as_ref().iter().all(is_local),
        _ => false,
    }
}

/// Whether a splitter always parts a line feed from a letter or digit after it.
fn parts_lines(splitter: &PreTokenizerWrapper) -> bool {
    match splitter {
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.use_regex,
        PreTokenizerWrapper::Split(_) => true,
        PreTokenizerWrapper::Sequence(sequence) => sequence.as_ref().iter().any(parts_lines),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;
    use serde_json::json;
    use tokenizers::Tokenizer;

    use super::{KNOWN_PATTERNS, Lines, lines};

    /// A fixture's tokenizer with another pre-tokenizer, and with tokens for two white spaces in a row: without them it
    /// would not matter where such a row is cut.
    fn tokenizer(pre_tokenizer: &serde_json::Value) -> Tokenizer {
        let path = format!("{}/tests/fixtures/qwen2/tokenizer.json", env!("CARGO_MANIFEST_DIR"));
        let mut tokenizer: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        tokenizer["pre_tokenizer"] = pre_tokenizer.clone();
        for (first, second) in [("Ċ", "Ċ"), ("Ġ", "Ċ"), ("Ċ", "Ġ"), ("Ġ", "Ġ"), ("č", "Ċ")] {
            let id = 10_000 + tokenizer["model"]["merges"].as_array().unwrap().len();
            tokenizer["model"]["vocab"][format!("{first}{second}")] = json!(id);
            tokenizer["model"]["merges"].as_array_mut().unwrap().push(json!([first, second]));
        }
        Tokenizer::from_str(&tokenizer.to_string()).unwrap()
    }

    fn byte_level(use_regex: bool, add_prefix_space: bool) -> serde_json::Value {
        json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex})
    }

    fn sequence(first: &serde_json::Value, use_regex: bool) -> serde_json::Value {
        json!({"type": "Sequence", "pretokenizers": [first, byte_level(use_regex, false)]})
    }

    fn accepted() -> Vec<Tokenizer> {
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        vec![
            tokenizer(&byte_level(true, false)),
            tokenizer(&sequence(&split(KNOWN_PATTERNS[0]), false)),
            tokenizer(&sequence(&split(KNOWN_PATTERNS[1]), false)),
            tokenizer(&sequence(&json!({"type": "Digits", "individual_digits": true}), true)),
        ]
    }

    #[test]
    fn a_tokenizer_that_has_to_see_the_whole_is_not_given_lines() {
        for refused in [
            byte_level(true, true),
            byte_level(false, false),
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
            json!({"type": "Split", "pattern": {"Regex": "\\n\\w"}, "behavior": "Isolated", "invert": false}),
        ] {
            assert!(Lines::of(&tokenizer(&refused)).is_none(), "{refused}");
        }
        let mut greedy = tokenizer(&byte_level(true, false));
        let token = tokenizers::AddedToken::from("<gap>", true).lstrip(true);
        greedy.add_special_tokens([token]).unwrap();
        assert!(Lines::of(&greedy).is_none());
    }

    #[test]
    fn a_line_begins_with_a_letter_or_digit_after_a_lone_line_feed() {
        let pieces: Vec<&str> = lines("a\nb\n c\n\nd\n1\r\n2\n-x\n").collect();
        assert_eq!(pieces, ["a\n", "b\n c\n\nd\n", "1\r\n2\n-x\n"]);
        assert_eq!(lines("").count(), 0);
    }

    proptest! {
        #[test]
        fn tokens_of_the_lines_are_the_tokens_of_the_text(
            text in r"[\n\r \ta-dA1२é,.'/<|\u{301}\u{a0}東-]{0,60}",
            special in prop::sample::select(vec!["", "<|im_end|>", "\n<|im_start|>", "<|im_end|>\n"]),
            place in 0_usize..60,
        ) {
            let mut text = text;
            let place = (0..=place.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap();
            text.insert_str(place, special);
            for tokenizer in accepted() {
                let whole = tokenizer.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
                let lines = Lines::of(&tokenizer).unwrap();
                let encode = |line: &str| {
                    tokenizer.encode_fast(line, false).map(|encoding| encoding.get_ids().to_vec())
                };
                prop_assert_eq!(&lines.encode(&text, encode).unwrap(), &whole, "{:?}", text);
                prop_assert_eq!(&lines.encode(&text, encode).unwrap(), &whole, "{:?} again", text);
            }
        }
    }
}
