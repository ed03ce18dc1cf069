use std::borrow::Cow;

use llm_bench_plugin_sdk::text::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Undoes what a dataset's tokenizer did to its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detokenizer {
    /// The text as it is.
    #[default]
    None,
    /// `WikiText`, as lm-evaluation-harness does it (`preprocess_wikitext.py`).
    Wikitext,
}

impl Detokenizer {
    /// The text as the model should see it.
    pub(crate) fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(text),
            Self::Wikitext => Cow::Owned(wikitext(text)),
        }
    }
}

/// The reference's steps in its order; later ones see what earlier ones left.
fn wikitext(text: &str) -> String {
    let mut text = text.replace("s '", "s'");
    // The slashes are the reference's: a slip there, kept for equal numbers.
    text = sub(&text, "/' [0-9]/", "/'[0-9]/");
    for (from, to) in [
        (" @-@ ", "-"),
        (" @,@ ", ","),
        (" @.@ ", "."),
        (" : ", ": "),
        (" ; ", "; "),
        (" . ", ". "),
        (" ! ", "! "),
        (" ? ", "? "),
        (" , ", ", "),
    ] {
        text = text.replace(from, to);
    }
    for (pattern, to) in [
        (r"\(\s*([^\)]*?)\s*\)", r"(\1)"),
        (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
        (r"\{\s*([^}]*?)\s*\}", r"{\1}"),
        (r#""\s*([^"]*?)\s*""#, r#""\1""#),
        (r"'\s*([^']*?)\s*'", r"'\1'"),
    ] {
        text = sub(&text, pattern, to);
    }
    for (from, to) in [
        ("= = = =", "===="),
        ("= = =", "==="),
        ("= =", "=="),
        (" ° ", "°"),
        (" \n", "\n"),
        ("\n ", "\n"),
        (" N ", " 1 "),
        (" 's", "'s"),
    ] {
        text = text.replace(from, to);
    }
    text
}

fn sub(text: &str, pattern: &str, replacement: &str) -> String {
    Pattern::parse(pattern).expect("a constant pattern").replace_all(text, replacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wikitext_reads_as_the_reference_makes_it() {
        // Made by wikitext_detokenizer of lm-evaluation-harness 0.4.13.
        let cases = include!("detokenizer_golden.rs");
        for (text, expected) in cases {
            assert_eq!(wikitext(text), expected);
        }
    }
}
