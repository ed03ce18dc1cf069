//! Names that people type and that appear in addresses: models, datasets, plugins.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A registered name: 1 to 128 characters of `A-Z a-z 0-9 . _ -`, starting with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub const MAX_LENGTH: usize = 128;

    /// # Errors
    /// `invalid-name` says which rule the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let first_is_fine = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let rest_is_fine = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if first_is_fine && rest_is_fine && text.len() <= Self::MAX_LENGTH {
            return Ok(Self(text));
        }
        let shown: String = text.chars().take(64).collect();
        Err(Error::invalid(
            "invalid-name",
            format!(
                "`{shown}` is not a name: 1 to {} letters, digits, dots, dashes and underscores, \
                 the first a letter or a digit",
                Self::MAX_LENGTH
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_cannot_leave_a_folder_or_break_an_address() {
        for bad in ["", "../x", "a/b", ".hidden", "-rf", "a b", "ü", "a\0", &"x".repeat(129)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new("tiny-llama_v1.2").is_ok());
    }
}
