use std::fmt;
use std::ops::Range;

use regex_lite::{Captures, Regex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A regular expression; in a config it is a string.
///
/// The syntax is that of the crate `regex-lite`: no look-around, no back-references; `\d`, `\w` and `\b` know ASCII
/// only. `\s` is what Python means by it, and so are `$`, which matches before a last line break too, and empty matches, of
/// which one may stand right behind another match.
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
    /// Whether it has a `$`.
    asks_for_end: bool,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// `invalid-config`, with the expression, where it is none.
    pub fn parse(pattern: &str) -> Result<Self> {
        let Spelt { regex, asks_for_end } = Spelt::new(pattern);
        let regex = Regex::new(&regex).map_err(|error| {
            Error::invalid_config(format!("not a regular expression: `{pattern}`: {error}"))
        })?;
        Ok(Self { source: pattern.into(), regex, asks_for_end })
    }

    /// How many groups the expression has.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// All matches from left to right, as Python's `re.findall` gives them: the match, or its one group. Of several
    /// groups the first that is not empty; an empty text where all are.
    pub fn find_all<'t>(&self, text: &'t str) -> Vec<&'t str> {
        self.matches(text)
            .map(|(_, captures)| {
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
        let mut replaced = String::with_capacity(text.len());
        let mut copied = 0;
        for (place, captures) in self.matches(text) {
            replaced.push_str(&text[copied..place.start]);
            replaced.push_str(&expand(replacement, &captures));
            copied = place.end;
        }
        replaced.push_str(&text[copied..]);
        replaced
    }

    /// The matches and where they are, from left to right.
    fn matches<'t>(&self, text: &'t str) -> impl Iterator<Item = (Range<usize>, Captures<'t>)> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let captures = self.first_match(text, next?)?;
            let place = captures.get(0)?.range();
            next = if place.is_empty() {
                text[place.end..].chars().next().map(|character| place.end + character.len_utf8())
            } else {
                Some(place.end)
            };
            Some((place, captures))
        })
    }

    /// The first match that begins at `start` or behind it. Of two that begin together, one at a `$` before a last line
    /// break and one that goes on over it, that is the second.
    fn first_match<'t>(&self, text: &'t str, start: usize) -> Option<Captures<'t>> {
        let whole = self.regex.captures_at(text, start);
        let line = text.strip_suffix('\n').filter(|line| self.asks_for_end && start <= line.len());
        let Some(before_the_break) = line.and_then(|line| self.regex.captures_at(line, start)) else {
            return whole;
        };
        let begin = |captures: &Captures<'_>| captures.get(0).map(|found| found.start());
        match whole {
            Some(whole) if begin(&whole) <= begin(&before_the_break) => Some(whole),
            _ => Some(before_the_break),
        }
    }
}

/// The white space of [`is_space`](super::is_space), as the inside of a class.
const SPACE: &str =
    r"\t-\r\x1C-\x20\x85\xA0\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}";

/// An expression in the syntax of `regex-lite`.
struct Spelt {
    regex: String,
    asks_for_end: bool,
}

impl Spelt {
    /// Spells `\s` and `\S` out, which `regex-lite` takes for ASCII's. `\S` inside a class stays ASCII's.
    fn new(pattern: &str) -> Self {
        let mut spelt = String::with_capacity(pattern.len());
        let mut in_class = false;
        let mut asks_for_end = false;
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
                other => {
                    asks_for_end |= other == '$' && !in_class;
                    spelt.push(other);
                }
            }
        }
        Self { regex: spelt, asks_for_end }
    }
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
    fn the_end_and_empty_matches_are_pythons() {
        // What `re.findall` and `re.sub` of Python 3.11 give.
        for (pattern, text, found, replaced) in [
            ("5$", "5\n", vec!["5"], "-\n"),
            ("5$", "5\n5", vec!["5"], "5\n-"),
            ("$", "a\n", vec!["", ""], "a-\n-"),
            (r"\.$", "5.\n", vec!["."], "5-\n"),
            (r"\s*$", "5 \n", vec![" \n", ""], "5--"),
            (r"is (.*?)\.?$", "It is B.\n", vec!["B"], "It -\n"),
            ("[$]", "$\n", vec!["$"], "-\n"),
            (".*", "abc", vec!["abc", ""], "--"),
            ("[0-9]*", "é12", vec!["", "12", ""], "-é--"),
            ("", "é", vec!["", ""], "-é-"),
            ("x", "", vec![], ""),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.find_all(text), found, "{pattern} in {text:?}");
            assert_eq!(parsed.replace_all(text, "-"), replaced, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_text() {
        assert!(Pattern::parse("(").unwrap_err().message.starts_with("not a regular expression: `(`"));
    }
}
