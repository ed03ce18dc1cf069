//! CSV (RFC 4180) with a header. Every value is text. Empty lines are passed over.

use std::io::{self, BufRead, BufReader, Read};

use csv_core::ReadRecordResult;
use llm_bench_core::{Error, Json, Result, Row};

use crate::file::cannot_read;
use crate::row_reader::{MAX_ROW_BYTES, RowReader, too_long, unreadable};

/// Larger buffers are given back before the next row.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// More fields than this in one record are as good as a row that is too long.
const MAX_FIELDS: usize = 1 << 16;

/// Reads CSV.
///
/// Stands on the `csv` crate's parser rather than its reader, because that one keeps a whole record in memory,
/// however long it is, and takes a quote that nobody closes for the end of the file.
pub(crate) struct CsvRows<R> {
    input: BufReader<R>,
    parser: csv_core::Reader,
    shown: String,
    columns: Vec<String>,
    /// Values of the record that was read last, one behind the other.
    values: Vec<u8>,
    /// Where each value ends in `values`.
    ends: Vec<usize>,
    bytes_read: u64,
    at_end: bool,
}

/// What `read_record` found; `line` is where the record starts.
struct Record {
    line: u64,
    content: Content,
}

enum Content {
    Values(usize),
    TooLong,
    /// The file ends inside quotes.
    Unclosed,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// `dataset-header-invalid` where the header is unreadable or names a column twice.
    pub(crate) fn new(text: R, bytes_read: u64, shown: &str) -> Result<Self> {
        let mut reader = Self {
            input: BufReader::new(text),
            parser: csv_core::Reader::new(),
            shown: shown.to_owned(),
            columns: Vec::new(),
            values: vec![0; 4096],
            ends: vec![0; 64],
            bytes_read,
            at_end: false,
        };
        reader.columns = reader.read_header()?;
        Ok(reader)
    }

    fn read_header(&mut self) -> Result<Vec<String>> {
        let Some(record) = self.read_record().map_err(|error| cannot_read(&self.shown, error))? else {
            return Ok(Vec::new());
        };
        let invalid = |reason: &str| {
            Error::invalid(
                "dataset-header-invalid",
                format!("{}, line {}: {reason}", self.shown, record.line),
            )
        };
        let count = match record.content {
            Content::Values(count) => count,
            Content::TooLong => return Err(invalid("the header is too long")),
            Content::Unclosed => return Err(invalid("a quote in the header is never closed")),
        };
        let mut columns: Vec<String> = Vec::with_capacity(count);
        for (index, value) in self.fields(count).enumerate() {
            let Ok(column) = std::str::from_utf8(value) else {
                return Err(invalid(&format!("the name of column {} is not UTF-8", index + 1)));
            };
            if columns.iter().any(|known| known == column) {
                return Err(invalid(&format!("the header names column `{column}` twice")));
            }
            columns.push(column.to_owned());
        }
        Ok(columns)
    }

    /// Parses up to the end of the next record. One that is too long is read to its end but not kept.
    fn read_record(&mut self) -> io::Result<Option<Record>> {
        self.skip_line_ends()?;
        self.values.truncate(KEPT_BUFFER_BYTES);
        self.values.shrink_to(KEPT_BUFFER_BYTES);
        let line = self.parser.line();
        let (mut written, mut fields, mut too_long) = (0, 0, false);
        loop {
            let buffer = self.input.fill_buf()?;
            // One more line end closes the last record, but becomes part of a value when a quote is still open.
            let probing = buffer.is_empty();
            if probing && self.at_end {
                return Ok(None);
            }
            let input = if probing { b"\n".as_slice() } else { buffer };
            let (result, used, new_bytes, new_fields) =
                self.parser.read_record(input, &mut self.values[written..], &mut self.ends[fields..]);
            if probing {
                self.at_end = used > 0;
            } else {
                self.input.consume(used);
                self.bytes_read += used as u64;
            }
            written += new_bytes;
            fields += new_fields;
            match result {
                ReadRecordResult::InputEmpty if self.at_end => {
                    let content = if too_long { Content::TooLong } else { Content::Unclosed };
                    return Ok(Some(Record { line, content }));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if too_long || self.values.len() >= MAX_ROW_BYTES => {
                    (too_long, written) = (true, 0);
                }
                ReadRecordResult::OutputFull => self.values.resize(self.values.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if too_long || self.ends.len() >= MAX_FIELDS => {
                    (too_long, fields) = (true, 0);
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let content = if too_long { Content::TooLong } else { Content::Values(fields) };
                    return Ok(Some(Record { line, content }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Goes to where the next record starts, so that its line is known: the parser would count empty lines and
    /// the second half of CR LF to the record behind them.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let line_ends = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let lines = buffer[..line_ends].split(|byte| *byte == b'\n').count() - 1;
            let done = line_ends < buffer.len() || buffer.is_empty();
            if buffer.is_empty() {
                self.at_end = true;
            }
            self.input.consume(line_ends);
            self.bytes_read += line_ends as u64;
            self.parser.set_line(self.parser.line() + lines as u64);
            if done {
                return Ok(());
            }
        }
    }

    fn fields(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).take(count).map(|(start, end)| &self.values[start..*end])
    }

    fn row(&self, record: &Record) -> Result<Row> {
        let unreadable = |reason: &str| unreadable(&self.shown, record.line, reason);
        let count = match record.content {
            Content::Values(count) => count,
            Content::TooLong => return Err(too_long(&self.shown, record.line)),
            Content::Unclosed => return Err(unreadable("a quote that opens in this row is never closed")),
        };
        if count != self.columns.len() {
            let wanted = self.columns.len();
            let reason =
                format!("the header names {wanted} columns, but the row's number of values is {count}");
            return Err(unreadable(&reason));
        }
        self.columns
            .iter()
            .zip(self.fields(count))
            .map(|(column, value)| match std::str::from_utf8(value) {
                Ok(value) => Ok((column.clone(), Json::String(value.to_owned()))),
                Err(error) => Err(unreadable(&format!(
                    "byte {} of the value of column `{column}` is not UTF-8",
                    error.valid_up_to() + 1
                ))),
            })
            .collect()
    }
}

impl<R: Read + Send> RowReader for CsvRows<R> {
    fn next_row(&mut self) -> io::Result<Option<Result<Row>>> {
        Ok(self.read_record()?.map(|record| self.row(&record)))
    }

    fn skip_row(&mut self) -> io::Result<bool> {
        Ok(self.read_record()?.is_some())
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}
