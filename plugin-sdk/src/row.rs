use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A row whose columns the config names: a JSON object that says which column is wrong.
///
/// A path may reach into a column: `choices.text` is the entry `text` of the column `choices`, `options.0` the first
/// of its list. A column whose own name contains dots is found first.
///
/// ```
/// use llm_bench_plugin_sdk::Row;
///
/// let row: Row = serde_json::from_str(r#"{"question": "2 + 2?", "choices": {"text": ["3", "4"]}}"#)?;
/// assert_eq!(row.text("question")?, "2 + 2?");
/// assert_eq!(row.texts("choices.text")?, ["3", "4"]);
/// assert_eq!(
///     row.text("answer").unwrap_err().to_string(),
///     "column `answer`: missing; the row has `question`, `choices`"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row(pub Map<String, Value>);

impl Row {
    /// The value at a path.
    ///
    /// # Errors
    /// `invalid-sample` where there is none.
    pub fn value(&self, path: &str) -> Result<&Value> {
        self.find(path).ok_or_else(|| {
            let columns: Vec<String> = self.0.keys().map(|column| format!("`{column}`")).collect();
            let columns = if columns.is_empty() { "no columns".into() } else { columns.join(", ") };
            Error::invalid_sample(format!("column `{path}`: missing; the row has {columns}"))
        })
    }

    /// The text at a path.
    ///
    /// # Errors
    /// `invalid-sample` where there is none, or something else.
    pub fn text(&self, path: &str) -> Result<&str> {
        match self.value(path)? {
            Value::String(text) => Ok(text),
            other => Err(unexpected(path, "text", other)),
        }
    }

    /// The list of texts at a path.
    ///
    /// # Errors
    /// `invalid-sample` where there is none, or something else.
    pub fn texts(&self, path: &str) -> Result<Vec<&str>> {
        let value = self.value(path)?;
        value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_str).collect())
            .ok_or_else(|| unexpected(path, "a list of texts", value))
    }

    /// The number at a path.
    ///
    /// # Errors
    /// `invalid-sample` where there is none, or something else.
    pub fn number(&self, path: &str) -> Result<f64> {
        let value = self.value(path)?;
        value.as_f64().ok_or_else(|| unexpected(path, "a number", value))
    }

    fn find(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let (column, rest) = path.split_once('.')?;
        rest.split('.').try_fold(self.0.get(column)?, |value, key| match value {
            Value::Array(list) => list.get(key.parse::<usize>().ok()?),
            other => other.get(key),
        })
    }
}

impl Deref for Row {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

fn unexpected(path: &str, expected: &str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "nothing (null)",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Error::invalid_sample(format!("column `{path}`: expected {expected}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        serde_json::from_str(r#"{"a.b": 1, "a": {"b": 2, "list": ["x", "y"]}, "mixed": ["x", 1]}"#).unwrap()
    }

    #[test]
    fn a_column_with_a_dot_in_its_name_wins_over_a_path() {
        assert_eq!(row().number("a.b").unwrap(), 1.0);
    }

    #[test]
    fn a_path_reaches_into_lists() {
        assert_eq!(row().text("a.list.1").unwrap(), "y");
        assert!(row().text("a.list.2").is_err());
    }

    #[test]
    fn a_value_of_another_shape_is_named() {
        let row = row();
        assert_eq!(
            row.texts("mixed").unwrap_err().message,
            "column `mixed`: expected a list of texts, found a list"
        );
        assert_eq!(row.text("a").unwrap_err().message, "column `a`: expected text, found an object");
    }
}
