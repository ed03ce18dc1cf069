use std::fmt;

use regex_lite::{Captures, Regex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A regular expression; in a config it is a string.
///
/// The syntax is that of the crate `regex-lite`: no look-around, no back-references; `\d`, `\w` and `\b` know ASCII
/// only. `\s` is what Python means by it. Two things are not as in Python: `$` is the very end of the text, and does not match
/// before a last line break (write `\n?$`); and there is no empty match right behind another match.
///
/// ```
/// use llm_bench_plugin_sdk::text::Pattern;
///
/// let number = Pattern::parse(r"#### (-?[0-9.,]+)")?;
/// assert_eq!(number.find_all("so #### 42."), ["42."]);
/// assert_eq!(Pattern::parse(r"\((\d)\)")?.replace_all("(1) (2)", r"[\1]"), "[1] [2]");
/// # Ok::<(), llm_bench_plugin_sdk::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// `invalid-config`, with the expression, where it is none.
    pub fn parse(pattern: &str) -> Result<Self> {
        let regex = Regex::new(&with_python_space(pattern)).map_err(|error| {
            Error::invalid_config(format!("not a regular expression: `{pattern}`: {error}"))
        })?;
        Ok(Self { source: pattern.into(), regex })
    }

    /// How many groups the expression has.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// All matches from left to right, as Python's `re.findall` gives them: the match, or its one group. Of several
    /// groups the first that is not empty; an empty text where all are.
    pub fn find_all<'t>(&self, text: &'t str) -> Vec<&'t str> {
        self.regex
            .captures_iter(text)
            .map(|captures| {
                let first = usize::from(captures.len() > 1);
                (first..captures.len())
                    .filter_map(|group| captures.get(group))
                    .map(|group| group.as_str())
                    .find(|group| !group.is_empty())
                    .unwrap_or_default()
            })
            .collect()
    }

    /// Python's `re.sub`: `\1` to `\9` stand for the groups.
    pub fn replace_all(&self, text: &str, replacement: &str) -> String {
        self.regex.replace_all(text, |captures: &Captures<'_>| expand(replacement, captures)).into_owned()
    }
}

/// The white space of [`is_space`](super::is_space), as the inside of a class.
const SPACE: &str =
    r"\t-\r\x1C-\x20\x85\xA0\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}";

/// Spells `\s` and `\S` out, which `regex-lite` takes for ASCII's. `\S` inside a class stays ASCII's.
fn with_python_space(pattern: &str) -> String {
    let mut spelt = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match (rest.next(), in_class) {
                (Some('s'), true) => spelt.push_str(SPACE),
                (Some('s'), false) => spelt.extend(["[", SPACE, "]"]),
                (Some('S'), false) => spelt.extend(["[^", SPACE, "]"]),
                (escaped, _) => spelt.extend(Some('\\').into_iter().chain(escaped)),
            },
            '[' if !in_class => {
                in_class = true;
                spelt.push('[');
                // A bracket that opens a class may be its first member.
                if let Some(tail) = rest.as_str().strip_prefix('^') {
                    spelt.push('^');
                    rest = tail.chars();
                }
                if let Some(tail) = rest.as_str().strip_prefix(']') {
                    spelt.push(']');
                    rest = tail.chars();
                }
            }
            ']' => {
                in_class = false;
                spelt.push(']');
            }
            other => spelt.push(other),
        }
    }
    spelt
}

fn expand(replacement: &str, captures: &Captures<'_>) -> String {
    let mut expanded = String::new();
    let mut rest = replacement.chars();
    while let Some(character) = rest.next() {
        let group = rest.as_str().chars().next().and_then(|digit| digit.to_digit(10));
        match group {
            Some(group) if character == '\\' => {
                rest.next();
                expanded.push_str(captures.get(group as usize).map_or("", |group| group.as_str()));
            }
            _ => expanded.push(character),
        }
    }
    expanded
}

impl TryFrom<String> for Pattern {
    type Error = Error;

    fn try_from(pattern: String) -> Result<Self> {
        Self::parse(&pattern)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pattern").field(&self.source).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use super::super::is_space;
    use super::*;

    #[test]
    fn white_space_is_pythons_inside_and_outside_of_a_class() {
        let all = ('\0'..=char::MAX).filter(|character| is_space(*character)).collect::<String>();
        for pattern in [r"^\s+$", r"^[\s]+$", r"^[x\s]+$", r"^[]\s]+$"] {
            assert_eq!(Pattern::parse(pattern).unwrap().find_all(&all), [all.as_str()], "{pattern}");
        }
        assert_eq!(Pattern::parse(r"\S").unwrap().replace_all("a\u{1f}b", "x"), "x\u{1f}x");
        assert_eq!(Pattern::parse(r"[^\s]").unwrap().replace_all("a\u{1f}b", "x"), "x\u{1f}x");
        assert_eq!(Pattern::parse(r"\\s").unwrap().replace_all(r"\s s", "x"), "x s");
    }

    #[test]
    fn of_several_groups_the_first_that_is_not_empty_is_found() {
        let pattern = Pattern::parse(r"(a)|(b)|()c").unwrap();
        assert_eq!(pattern.find_all("bac"), ["b", "a", ""]);
    }

    #[test]
    fn the_end_and_empty_matches_are_not_pythons() {
        let found = |pattern, text| Pattern::parse(pattern).unwrap().find_all(text).len();
        assert_eq!((found("5$", "5\n"), found("5\\n?$", "5\n")), (0, 1));
        assert_eq!(found(".*", "abc"), 1);
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_text() {
        assert!(Pattern::parse("(").unwrap_err().message.starts_with("not a regular expression: `(`"));
    }
}
