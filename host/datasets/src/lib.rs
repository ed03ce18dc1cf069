//! Datasets that lie in files: a folder with a `dataset.toml`, or loose JSON Lines and CSV files.
//!
//! Inspecting reads each file once, to its end, and keeps its size, digest, row count and columns. Reading rows
//! goes batch by batch as they are asked for, so its memory does not depend on the file's size.

mod card;
mod csv_rows;
mod file;
mod inspect;
mod json_lines;
mod row_reader;
mod row_stream;

use std::path::Path;

use async_trait::async_trait;
use futures::stream::BoxStream;
use llm_bench_core::dataset::{Dataset, DatasetFiles, DatasetReader, RowResult, Split};
use llm_bench_core::model::Origin;
use llm_bench_core::{Error, Result};

/// Whether a file's name promises rows that can be read. The case of its ending does not matter.
pub fn is_row_file(path: &Path) -> bool {
    row_reader::format_of(path).is_ok()
}

/// Reads datasets from files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileDatasetReader;

impl FileDatasetReader {
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl DatasetReader for FileDatasetReader {
    async fn inspect_folder(&self, folder: &Path, origin: Origin) -> Result<Dataset> {
        inspect::inspect_folder(folder.to_owned(), origin).await
    }

    async fn inspect_files(&self, files: DatasetFiles) -> Result<Dataset> {
        inspect::inspect_files(files).await
    }

    fn rows(&self, split: &Split, start: u64) -> BoxStream<'static, RowResult> {
        row_stream::rows(split.clone(), start)
    }
}

/// Runs file work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::internal("dataset-reader-stopped", "reading a dataset stopped").because(error)
    })
}
