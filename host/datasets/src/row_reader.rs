//! What the two formats have in common.

use std::io::{self, Read};
use std::path::Path;

use llm_bench_core::dataset::Format;
use llm_bench_core::{Error, Result, Row};

use crate::csv_rows::CsvRows;
use crate::file::text;
use crate::json_lines::JsonLines;

/// A longer row is unreadable: the largest share of a file that is ever in memory.
pub(crate) const MAX_ROW_BYTES: usize = 16 << 20;

/// Reads rows one after the other, blocking.
pub(crate) trait RowReader: Send {
    /// The next row, `None` at the end. The inner error is of this row alone: the next call goes on behind it.
    fn next_row(&mut self) -> io::Result<Option<Result<Row>>>;

    /// Passes over a row, readable or not; false at the end.
    fn skip_row(&mut self) -> io::Result<bool>;

    /// Bytes of the file that have been used up.
    fn bytes_read(&self) -> u64;
}

/// Starts at the first row. `shown` names the file in errors.
///
/// # Errors
/// As [`text`] says, and `dataset-header-invalid` for CSV.
pub(crate) fn row_reader<'a, R: Read + Send + 'a>(
    format: Format,
    input: R,
    shown: &str,
) -> Result<Box<dyn RowReader + 'a>> {
    let (text, mark) = text(input, shown)?;
    Ok(match format {
        Format::JsonLines => Box::new(JsonLines::new(text, mark, shown)),
        Format::Csv => Box::new(CsvRows::new(text, mark, shown)?),
    })
}

/// The format that a file's name promises.
///
/// # Errors
/// `dataset-format-unsupported` names the endings that there are.
pub(crate) fn format_of(path: &Path) -> Result<Format> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let way_out = match ending.as_str() {
        "jsonl" | "ndjson" | "json" => return Ok(Format::JsonLines),
        "csv" => return Ok(Format::Csv),
        "gz" | "tgz" | "zip" | "zst" | "xz" | "bz2" | "7z" => "is packed; unpack it first",
        "parquet" | "arrow" | "feather" | "xlsx" | "xls" | "ods" | "tsv" => {
            "is in a format that is not read; convert it to JSON Lines or CSV first"
        }
        _ => {
            "does not tell by its name how its rows are written; .jsonl, .ndjson and .json are read as JSON Lines, \
             .csv as comma-separated values"
        }
    };
    Err(Error::unsupported("dataset-format-unsupported", format!("`{}` {way_out}", path.display())))
}

/// `unreadable-row`, with its place.
pub(crate) fn unreadable(shown: &str, line: u64, reason: &str) -> Error {
    Error::invalid("unreadable-row", format!("{shown}, line {line}: {reason}"))
}

pub(crate) fn too_long(shown: &str, line: u64) -> Error {
    Error::too_large(
        "unreadable-row",
        format!("{shown}, line {line}: the row is longer than {} MiB", MAX_ROW_BYTES >> 20),
    )
}
