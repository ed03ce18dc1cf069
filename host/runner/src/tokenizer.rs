//! Text to tokens and back, as the reference does it.

mod lines;

use std::path::Path;

use llm_bench_core::{Error, Result};
use tokenizers::Tokenizer;

use crate::folder::check_size;
use crate::prompt::{Piece, PromptText};
use crate::settings::ModelSettings;
use lines::Lines;

/// The largest vocabularies, of a million tokens, take half of it.
const MAX_BYTES: u64 = 128 << 20;

/// A model's tokenizer with the special tokens that its configuration names.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    /// The token that stands before a text without context: BOS, else EOS.
    prefix: Option<u32>,
    /// The prefix token's text; a text that starts with it gets no special tokens added.
    prefix_text: Option<String>,
    eos: Option<u32>,
    cleans_up_spaces: bool,
    /// Size of the model's vocabulary, where that is known.
    known: Option<usize>,
    /// Where a text may be encoded line by line.
    lines: Option<Lines>,
    /// The special tokens that the post-processor puts before a text; none where it puts some behind it too.
    leading: Option<Vec<u32>>,
}

impl TextTokenizer {
    /// # Errors
    /// `model-file-broken` for a `tokenizer.json` that is not a tokenizer, `model-file-too-large` for one of more than
    /// 128 MiB.
    pub(crate) fn open(folder: &Path, settings: &ModelSettings) -> Result<Self> {
        check_size(folder, "tokenizer.json", MAX_BYTES)?;
        let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| {
            Error::invalid("model-file-broken", format!("`tokenizer.json` is not a tokenizer: {error}"))
        })?;
        // Left over from training; lengths are this crate's affair.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| Error::internal("tokenizer-failed", error.to_string()))?;
        let tokens = &settings.tokens;
        let id = |name: &str| tokens.text(name).and_then(|text| tokenizer.token_to_id(text));
        let eos = id("eos_token").or(tokens.fallback_eos);
        let prefix = id("bos_token").or(tokens.fallback_bos).or(eos);
        let cleans_up_spaces = settings.cleans_up_spaces;
        let lines = Lines::of(&tokenizer);
        let mut opened = Self {
            tokenizer,
            prefix,
            prefix_text: None,
            eos,
            cleans_up_spaces,
            known: None,
            lines,
            leading: None,
        };
        opened.prefix_text = prefix.map(|id| opened.decode(&[id], false)).transpose()?;
        if opened.lines.is_some() {
            opened.leading = opened.find_leading()?;
        }
        Ok(opened)
    }

    pub(crate) fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Holds the tokenizer against the model's vocabulary. Added tokens may lie beyond it, as in text-only variants of
    /// models that also see images: from now on a text that holds one is refused.
    ///
    /// # Errors
    /// `tokenizer-mismatch` when a token of the tokenizer's own vocabulary lies beyond the model's.
    pub(crate) fn limit_to(&mut self, vocabulary: usize) -> Result<()> {
        self.known = Some(vocabulary);
        match self.tokenizer.get_vocab(false).into_iter().max_by_key(|&(_, id)| id) {
            Some((token, id)) if !self.knows(id) => Err(Error::invalid(
                "tokenizer-mismatch",
                format!(
                    "`tokenizer.json` is not the model's: its token `{}` has the id {id}, but the graph knows \
                     {vocabulary} tokens only",
                    token.escape_debug()
                ),
            )),
            _ => Ok(()),
        }
    }

    fn knows(&self, id: u32) -> bool {
        self.known.is_none_or(|known| usize::try_from(id).is_ok_and(|id| id < known))
    }

    pub(crate) fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// # Errors
    /// `no-prefix-token` when the tokenizer has neither BOS nor EOS.
    pub(crate) fn prefix(&self) -> Result<u32> {
        self.prefix.ok_or_else(|| {
            Error::unsupported(
                "no-prefix-token",
                "the tokenizer names neither a BOS nor an EOS token, so a text without context has no start",
            )
        })
    }

    /// The texts of special tokens, the longest first.
    pub(crate) fn special_texts(&self) -> Vec<String> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let mut texts: Vec<String> =
            added.into_values().filter(|token| token.special).map(|token| token.content).collect();
        texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        texts
    }

    /// Tokens with the special ones that the tokenizer's post-processor adds; none are added to a text that starts
    /// with the prefix token's text already.
    pub(crate) fn encode(&mut self, prompt: &PromptText) -> Result<Vec<u32>> {
        let adds_special = !self.prefix_text.as_ref().is_some_and(|text| prompt.starts_with(text));
        if let [Piece::Text(text)] = prompt.pieces.as_slice() {
            return self.encode_text(text, adds_special);
        }
        let mut ids = Vec::new();
        for (index, piece) in prompt.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => ids.extend(self.encode_text(text, adds_special && index == 0)?),
                Piece::Literal(text) => {
                    if adds_special && index == 0 {
                        ids.extend(self.encode_text("", true)?);
                    }
                    self.tokenizer.set_encode_special_tokens(true);
                    let literal = self.encode_whole(text, false);
                    self.tokenizer.set_encode_special_tokens(false);
                    ids.extend(literal?);
                }
            }
        }
        Ok(ids)
    }

    fn find_leading(&self) -> Result<Option<Vec<u32>>> {
        let leading = self.encode_whole("", true)?;
        let with_text = [&leading[..], &self.encode_whole("a", false)?].concat();
        Ok((self.encode_whole("a", true)? == with_text).then_some(leading))
    }

    /// Tokens of a text, with special ones before (and behind) it where they are asked for.
    ///
    /// # Errors
    /// `token-outside-vocabulary` for a text with a token that the model does not know.
    pub(crate) fn encode_text(&self, text: &str, adds_special: bool) -> Result<Vec<u32>> {
        match (&self.lines, &self.leading) {
            (Some(lines), Some(leading)) if text.contains('\n') => {
                let ids = lines.encode(text, |line| self.encode_whole(line, false))?;
                Ok(if adds_special { [&leading[..], &ids].concat() } else { ids })
            }
            _ => self.encode_whole(text, adds_special),
        }
    }

    fn encode_whole(&self, text: &str, adds_special: bool) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, adds_special)
            .map_err(|error| Error::internal("tokenizer-failed", format!("the tokenizer failed: {error}")))?;
        let ids = encoding.get_ids();
        match ids.iter().find(|&&id| !self.knows(id)) {
            None => Ok(ids.to_vec()),
            Some(&id) => Err(Error::invalid(
                "token-outside-vocabulary",
                format!(
                    "the text holds the token `{}` ({id}), which is not among the model's",
                    self.tokenizer.id_to_token(id).unwrap_or_default().escape_debug()
                ),
            )),
        }
    }

    pub(crate) fn decode(&self, ids: &[u32], skips_special: bool) -> Result<String> {
        let text = self
            .tokenizer
            .decode(ids, skips_special)
            .map_err(|error| Error::internal("tokenizer-failed", format!("the tokenizer failed: {error}")))?;
        Ok(if self.cleans_up_spaces { clean_up(text) } else { text })
    }
}

/// What transformers' `clean_up_tokenization` does: the replacements, in its order.
fn clean_up(text: String) -> String {
    const REPLACEMENTS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    REPLACEMENTS
        .iter()
        .fold(text, |text, (from, to)| if text.contains(from) { text.replace(from, to) } else { text })
}

#[cfg(test)]
mod tests {
    use super::clean_up;

    #[test]
    fn spaces_before_punctuation_and_contractions_go() {
        assert_eq!(clean_up("I 'm here , are n't you ?".to_owned()), "I'm here, aren't you?");
        assert_eq!(clean_up("plain".to_owned()), "plain");
    }
}
