//! Rows on demand: a batch is read on a blocking thread when the stream is asked for it, and no thread waits
//! between batches. So a stream that is dropped leaves nothing running.

use std::io::Read;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use llm_bench_core::dataset::{NumberedRow, RowResult, Split, UnreadableRow};
use llm_bench_core::{Error, Result};

use crate::blocking;
use crate::file::{cannot_read, open};
use crate::row_reader::{RowReader, row_reader};

/// A batch ends at whichever comes first.
const BATCH_ROWS: usize = 64;
const BATCH_BYTES: u64 = 1 << 20;

/// Rows of `split` from row `start`.
pub(crate) fn rows(split: Split, start: u64) -> BoxStream<'static, RowResult> {
    stream::unfold(Progress::Closed { split, start }, |progress| async {
        match blocking(move || progress.next_batch()).await {
            Ok(next) => next,
            Err(error) => Some((vec![Err(error)], Progress::Over)),
        }
    })
    .flat_map(stream::iter)
    .boxed()
}

/// Where a stream stands.
enum Progress {
    Closed { split: Split, start: u64 },
    Open(SplitRows),
    Over,
}

/// A split's file, opened.
struct SplitRows {
    reader: Box<dyn RowReader>,
    split: Split,
    /// The name of the file, without its folders.
    shown: String,
    next_index: u64,
    /// Rows before this one are passed over.
    start: u64,
}

impl Progress {
    /// The next rows (none of them, while passing over many) and where that leads; `None` at the end.
    fn next_batch(self) -> Option<(Vec<RowResult>, Self)> {
        let mut rows = match self {
            Self::Closed { split, start } => match SplitRows::open(split, start) {
                Ok(rows) => rows,
                Err(error) => return Some((vec![Err(error)], Self::Over)),
            },
            Self::Open(rows) => rows,
            Self::Over => return None,
        };
        let mut batch = Vec::new();
        match rows.fill(&mut batch) {
            Ok(true) => Some((batch, Self::Open(rows))),
            Ok(false) => Some((batch, Self::Over)),
            Err(error) => {
                batch.push(Err(error));
                Some((batch, Self::Over))
            }
        }
    }
}

impl SplitRows {
    fn open(split: Split, start: u64) -> Result<Self> {
        let (file, bytes) = open(&split.path)?;
        if bytes != split.bytes {
            return Err(changed(
                &split,
                &format!("has {bytes} bytes now, but had {} when the dataset was registered", split.bytes),
            ));
        }
        let shown = split.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reader = row_reader(split.format, file.take(bytes), &shown)?;
        Ok(Self { reader, split, shown, next_index: 0, start })
    }

    /// Appends a batch; false at the end of the file.
    fn fill(&mut self, batch: &mut Vec<RowResult>) -> Result<bool> {
        let until = self.reader.bytes_read() + BATCH_BYTES;
        while batch.len() < BATCH_ROWS && self.reader.bytes_read() < until {
            let index = self.next_index;
            if index < self.start {
                if !self.reader.skip_row().map_err(|error| cannot_read(&self.shown, error))? {
                    return self.end();
                }
            } else {
                match self.reader.next_row().map_err(|error| cannot_read(&self.shown, error))? {
                    None => return self.end(),
                    Some(Ok(row)) => batch.push(Ok(Ok(NumberedRow { index, row }))),
                    Some(Err(error)) => batch.push(Ok(Err(UnreadableRow { index, error }))),
                }
            }
            self.next_index += 1;
        }
        Ok(true)
    }

    /// # Errors
    /// `dataset-file-changed` when the file lost its end while it was read.
    fn end(&self) -> Result<bool> {
        if self.reader.bytes_read() == self.split.bytes {
            return Ok(false);
        }
        Err(changed(&self.split, "became shorter while it was read"))
    }
}

fn changed(split: &Split, how: &str) -> Error {
    Error::conflict(
        "dataset-file-changed",
        format!(
            "file `{}` of split `{}` {how}; register the dataset again",
            split.path.display(),
            split.name
        ),
    )
}
