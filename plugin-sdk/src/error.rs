use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: a kind for programs, a sentence for people.
///
/// ```
/// use llm_bench_plugin_sdk::{Error, ErrorCode};
///
/// let error = Error::invalid_sample("column `answer`: 7 is not a choice, there are 4");
/// assert_eq!(error.code, ErrorCode::InvalidSample);
/// assert_eq!(error.to_string(), "column `answer`: 7 is not a choice, there are 4");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// The kind.
    pub code: ErrorCode,
    /// The sentence: names the thing and what to do. Lower case, no final full stop.
    pub message: String,
    /// More for programs.
    pub detail: Option<Value>,
}

/// What kind of failure an [`Error`] is. The host counts failures by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The benchmark's config does not fit the plugin: the whole benchmark is wrong, not one sample.
    InvalidConfig,
    /// This row lacks a column or holds a value of another shape.
    InvalidSample,
    /// A model failed, or answered what can't be used.
    Model,
    /// The host refused.
    Denied,
    /// The model or this version of the host can't do what was asked.
    Unsupported,
    /// A budget is spent.
    Limit,
    /// Anything else.
    Other,
}

impl Error {
    /// An error without detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }

    /// The config does not fit: [`ErrorCode::InvalidConfig`].
    pub fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidConfig, message)
    }

    /// The row does not fit: [`ErrorCode::InvalidSample`]. Name the column.
    pub fn invalid_sample(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidSample, message)
    }

    /// A model's answer can't be used: [`ErrorCode::Model`].
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Model, message)
    }

    /// Anything else: [`ErrorCode::Other`].
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Other, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::other(error.to_string())
    }
}

/// Reads JSON into a type; an error names the place: "config: `until[0]`: invalid type …".
pub(crate) fn parse_json<T: DeserializeOwned>(code: ErrorCode, what: &str, json: &str) -> Result<T> {
    // By way of a value, so that a message tells the path and not a line of text that nobody wrote.
    let value: Value =
        serde_json::from_str(json).map_err(|error| Error::new(code, format!("{what}: not JSON: {error}")))?;
    parse_value(code, what, value)
}

pub(crate) fn parse_value<T: DeserializeOwned>(code: ErrorCode, what: &str, value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        let message =
            if path == "." { format!("{what}: {reason}") } else { format!("{what}: `{path}`: {reason}") };
        Error::new(code, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "read by serde alone")]
        until: Vec<String>,
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_path() {
        let error = parse_json::<Config>(ErrorCode::InvalidConfig, "config", r#"{"until": ["a", 1]}"#);
        assert_eq!(
            error.unwrap_err().message,
            "config: `until[1]`: invalid type: integer `1`, expected a string"
        );
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error =
            parse_json::<Config>(ErrorCode::InvalidConfig, "config", r#"{"untill": []}"#).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidConfig);
        assert!(error.message.contains("unknown field `untill`"), "{error}");
    }
}
