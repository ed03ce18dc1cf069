//! Datasets: splits of rows, some of whose columns are gold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::model::Origin;
use crate::{Error, Result, Row};

/// A named set of splits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// The registered name, or the text given on the command line for files that are not registered.
    pub name: String,
    pub origin: Origin,
    pub description: String,
    pub licence: Option<String>,
    /// Columns that hold the answer; a solver never sees them.
    pub gold: Vec<String>,
    pub splits: Vec<Split>,
}

/// One file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub name: String,
    pub path: PathBuf,
    pub format: Format,
    pub rows: u64,
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Columns of the first row, in order.
    pub columns: Vec<String>,
}

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// RFC 4180 with a header; every value is text.
    Csv,
}

/// A row with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedRow {
    /// Position in the split, from 0.
    pub index: u64,
    pub row: Row,
}

/// The row with columns under the names that a task knows: each name, and the column that it stands for. A column
/// that bears such a name already gives way.
pub(crate) fn rename(mut row: Row, columns: &BTreeMap<String, String>) -> Row {
    let renamed: Vec<_> =
        columns.iter().filter_map(|(name, column)| Some((name.clone(), row.shift_remove(column)?))).collect();
    for name in columns.keys() {
        row.shift_remove(name);
    }
    row.extend(renamed);
    row
}

/// A row that could not be read. The rest of the file still can be.
#[derive(Debug, Clone)]
pub struct UnreadableRow {
    pub index: u64,
    /// Says the file, the line and the reason.
    pub error: Error,
}

/// What a row stream yields: the outer error ends it, the inner one is of one row.
pub type RowResult = Result<std::result::Result<NumberedRow, UnreadableRow>>;

/// Files to be read as a dataset: `(split, path)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFiles {
    pub name: String,
    pub origin: Origin,
    pub splits: Vec<(String, PathBuf)>,
}

/// Reads datasets from where they lie.
#[async_trait]
pub trait DatasetReader: Send + Sync {
    /// Reads a folder that bears a `dataset.toml`.
    async fn inspect_folder(&self, folder: &Path, origin: Origin) -> Result<Dataset>;

    /// Reads loose files.
    async fn inspect_files(&self, files: DatasetFiles) -> Result<Dataset>;

    /// Rows of a split in order, from row `start`, read as they are asked for.
    ///
    /// # Errors
    /// The stream's first item is an error when the file is gone, or is not the one whose size was recorded.
    fn rows(&self, split: &Split, start: u64) -> BoxStream<'static, RowResult>;
}

/// The datasets that are registered by name.
#[async_trait]
pub trait DatasetRepository: Send + Sync {
    /// Inserts or replaces the dataset of that name.
    async fn save(&self, dataset: &Dataset) -> Result<()>;
    async fn find(&self, name: &str) -> Result<Option<Dataset>>;
    /// All datasets, ordered by name.
    async fn list(&self) -> Result<Vec<Dataset>>;
    async fn remove(&self, name: &str) -> Result<()>;
}

impl Dataset {
    /// # Errors
    /// `split-not-found` lists the splits that there are.
    pub fn split(&self, name: &str) -> Result<&Split> {
        self.splits.iter().find(|split| split.name == name).ok_or_else(|| {
            let known: Vec<_> = self.splits.iter().map(|split| split.name.as_str()).collect();
            Error::not_found(
                "split-not-found",
                format!("dataset `{}` has no split `{name}`; it has {}", self.name, known.join(", ")),
            )
        })
    }

    /// The split a benchmark uses when none is named: `test`, else `validation`, else the only one or the first.
    pub fn default_split(&self) -> Option<&Split> {
        ["test", "validation"]
            .iter()
            .find_map(|name| self.splits.iter().find(|split| split.name == *name))
            .or_else(|| self.splits.first())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Json;

    #[test]
    fn columns_are_renamed_at_once_so_that_two_can_change_places() {
        // The column `x` gives way even in a row that lacks what it would stand for.
        let row = json!({"a": 1, "b": 2, "c": 3, "x": 4}).as_object().cloned().unwrap_or_default();
        let columns = [("a", "b"), ("b", "a"), ("x", "missing")];
        let columns = columns.map(|(name, column)| (name.to_owned(), column.to_owned())).into();
        assert_eq!(Json::Object(rename(row, &columns)), json!({"a": 2, "b": 1, "c": 3}));
    }
}
