//! Files in temporary folders, and the reader's answers about them.

use std::fs;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use llm_bench_core::dataset::{
    Dataset, DatasetFiles, DatasetReader, NumberedRow, RowResult, Split, UnreadableRow,
};
use llm_bench_core::model::Origin;
use llm_bench_core::{Error, Json, Result};
use llm_bench_datasets::FileDatasetReader;
use tempfile::TempDir;

/// A folder that is gone when the test ends.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) async fn inspect(&self) -> Result<Dataset> {
        FileDatasetReader::new().inspect_folder(self.path(), Origin::Local).await
    }
}

/// Inspects one loose file as split `test`.
pub(crate) async fn inspect_file(path: &Path) -> Result<Split> {
    let splits = vec![("test".to_owned(), path.to_owned())];
    let files = DatasetFiles { name: "loose".to_owned(), origin: Origin::Local, splits };
    Ok(FileDatasetReader::new().inspect_files(files).await?.splits.remove(0))
}

/// Writes and inspects one loose file; the refusal.
pub(crate) async fn refusal(name: &str, content: impl AsRef<[u8]>) -> Error {
    let folder = Folder::new();
    inspect_file(&folder.file(name, content)).await.unwrap_err()
}

pub(crate) async fn all_rows(split: &Split, start: u64) -> Vec<RowResult> {
    FileDatasetReader::new().rows(split, start).collect().await
}

/// Rows of a file that holds nothing else than rows.
pub(crate) async fn good_rows(split: &Split, start: u64) -> Vec<NumberedRow> {
    let rows: Vec<_> = FileDatasetReader::new().rows(split, start).try_collect().await.unwrap();
    rows.into_iter().map(std::result::Result::unwrap).collect()
}

/// What one row came to: index and JSON text, or index and message.
pub(crate) async fn outcomes(split: &Split) -> Vec<(u64, String)> {
    all_rows(split, 0)
        .await
        .into_iter()
        .map(|row| match row.unwrap() {
            Ok(NumberedRow { index, row }) => (index, Json::Object(row).to_string()),
            Err(UnreadableRow { index, error }) => (index, error.message),
        })
        .collect()
}
