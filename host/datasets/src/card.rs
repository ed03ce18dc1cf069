//! `dataset.toml`: what a folder says about its dataset.

use std::collections::BTreeMap;

use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result};
use serde::Deserialize;
use toml::Spanned;

/// The name of the file that makes a folder a dataset.
pub(crate) const FILE_NAME: &str = "dataset.toml";

/// The content of a `dataset.toml`, checked.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) name: Name,
    pub(crate) description: String,
    pub(crate) licence: Option<String>,
    pub(crate) gold: Vec<String>,
    /// Split and file, relative to the folder, in the order in which they are written.
    pub(crate) splits: Vec<(Name, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<Name>,
    #[serde(default)]
    description: String,
    licence: Option<String>,
    #[serde(default)]
    gold: Vec<String>,
    splits: Spanned<BTreeMap<Name, Spanned<String>>>,
}

impl Card {
    /// Reads the text of the card at `place`.
    ///
    /// # Errors
    /// `dataset-card-invalid` says the line, the column and what is wrong there.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let position = error.span().map(|span| position(text, span.start)).unwrap_or_default();
            let message = error.message().trim_end_matches('.').replace('\n', ", ");
            invalid(format!("{place}{position}: {message}"))
        })?;
        let splits_at = position(text, written.splits.span().start);
        let mut splits: Vec<_> = written.splits.into_inner().into_iter().collect();
        if splits.is_empty() {
            return Err(invalid(format!(
                "{place}{splits_at}: there is no split; name at least one, such as `test = \"test.jsonl\"`"
            )));
        }
        // A map of the format has no order, but the places in the text have.
        splits.sort_by_key(|(_, file)| file.span().start);
        Ok(Self {
            name: written.name.into_inner(),
            description: written.description,
            licence: written.licence,
            gold: written.gold,
            splits: splits.into_iter().map(|(split, file)| (split, file.into_inner())).collect(),
        })
    }
}

pub(crate) fn invalid(message: String) -> Error {
    Error::invalid("dataset-card-invalid", message)
}

/// `, line 3, column 7` of a byte offset; both count from 1, columns in characters.
fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(", line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::Card;

    fn refusal(text: &str) -> String {
        Card::parse(text, "dataset.toml").unwrap_err().message
    }

    #[test]
    fn splits_keep_the_order_in_which_they_are_written() {
        let card =
            Card::parse("name = 'x'\n[splits]\nzebra = 'z.csv'\nape = 'a.csv'\n", "dataset.toml").unwrap();
        let names: Vec<_> = card.splits.iter().map(|(name, file)| (name.as_str(), file.as_str())).collect();
        assert_eq!(names, [("zebra", "z.csv"), ("ape", "a.csv")]);
        assert!(card.gold.is_empty() && card.licence.is_none());
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let message = refusal("name = 'x'\ngolds = ['a']\n[splits]\ntest = 't.csv'\n");
        assert!(message.starts_with("dataset.toml, line 2, column 1: unknown field `golds`"), "{message}");
        assert!(message.contains("`gold`"), "{message}");

        let message = refusal("name = 'x'\ngold = 'a'\n[splits]\ntest = 't.csv'\n");
        assert!(message.starts_with("dataset.toml, line 2, column 8: invalid type: string"), "{message}");

        let message = refusal("name = '../x'\n[splits]\ntest = 't.csv'\n");
        assert!(message.starts_with("dataset.toml, line 1, column 8: `../x` is not a name"), "{message}");

        let message = refusal("name = 'x'\n");
        assert!(message.contains("missing field `splits`"), "{message}");

        let message = refusal("name = 'x'\n[splits]\n");
        assert!(message.starts_with("dataset.toml, line 2") && message.contains("no split"), "{message}");

        let message = refusal("name = 'x'\nname = 'y'\n");
        assert!(message.starts_with("dataset.toml, line 2"), "{message}");
    }
}
