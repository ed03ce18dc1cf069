use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pattern;

/// Whether an answer is one of the right ones, after both lost what does not matter. In the order of
/// lm-evaluation-harness: expressions, case, punctuation, digits. White space stays: [`strip`](super::strip) first
/// where it should not count.
///
/// ```
/// use llm_bench_plugin_sdk::text::ExactMatch;
///
/// assert!(ExactMatch::default().matches("Paris", ["Paris", "paris"]));
/// let lenient = ExactMatch { ignore_case: true, ignore_punctuation: true, ..ExactMatch::default() };
/// assert!(lenient.matches("paris!", ["Paris"]));
/// assert!(!lenient.matches("in Paris", ["Paris"]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExactMatch {
    /// Compare in lower case.
    #[serde(default)]
    pub ignore_case: bool,
    /// Leave out ASCII punctuation.
    #[serde(default)]
    pub ignore_punctuation: bool,
    /// Leave out the digits 0 to 9.
    #[serde(default)]
    pub ignore_numbers: bool,
    /// Leave out what these regular expressions match, one after the other.
    #[serde(default)]
    pub regexes_to_ignore: Vec<Pattern>,
}

impl ExactMatch {
    /// Whether the answer equals any target.
    pub fn matches<'t>(&self, answer: &str, targets: impl IntoIterator<Item = &'t str>) -> bool {
        let answer = self.reduce(answer);
        targets.into_iter().any(|target| self.reduce(target) == answer)
    }

    /// The text without what does not matter: two that match have the same.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::text::ExactMatch;
    ///
    /// let lenient = ExactMatch { ignore_case: true, ignore_punctuation: true, ..ExactMatch::default() };
    /// assert_eq!(lenient.reduce("In Paris!"), "in paris");
    /// ```
    pub fn reduce(&self, text: &str) -> String {
        let mut text = self
            .regexes_to_ignore
            .iter()
            .fold(text.to_owned(), |text, pattern| pattern.replace_all(&text, ""));
        if self.ignore_case {
            text = text.to_lowercase();
        }
        text.retain(|character| {
            let ignored = (self.ignore_punctuation && character.is_ascii_punctuation())
                || (self.ignore_numbers && character.is_ascii_digit());
            !ignored
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_see_the_text_before_its_case_and_punctuation_go() {
        let rule = ExactMatch {
            ignore_case: true,
            ignore_punctuation: true,
            regexes_to_ignore: vec![Pattern::parse(r"(?s).*#### ").unwrap(), Pattern::parse(r"\.$").unwrap()],
            ..ExactMatch::default()
        };
        assert!(rule.matches("reasons\n#### 1,234.", ["1234"]));
    }

    #[test]
    fn digits_can_be_ignored() {
        let rule = ExactMatch { ignore_numbers: true, ..ExactMatch::default() };
        assert!(rule.matches("item 7", ["item 12"]));
        assert!(!rule.matches("item seven", ["item 12"]));
    }

    #[test]
    fn no_target_is_no_match() {
        assert!(!ExactMatch::default().matches("", []));
    }
}
