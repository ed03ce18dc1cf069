//! JSON Lines: one object a line. Blank lines are passed over.

use std::io::{self, BufRead, BufReader, Read};

use llm_bench_core::{Error, Json, Result, Row};

use crate::row_reader::{MAX_ROW_BYTES, RowReader, too_long, unreadable};

/// Larger buffers are given back before the next row.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// Reads JSON Lines.
pub(crate) struct JsonLines<R> {
    input: BufReader<R>,
    shown: String,
    /// Number of the line in `buffer`, from 1.
    line: u64,
    buffer: Vec<u8>,
    bytes_read: u64,
}

enum Line {
    /// It lies in the buffer.
    Whole,
    /// It was passed over.
    TooLong,
}

impl<R: Read> JsonLines<R> {
    pub(crate) fn new(text: R, bytes_read: u64, shown: &str) -> Self {
        Self { input: BufReader::new(text), shown: shown.to_owned(), line: 0, buffer: Vec::new(), bytes_read }
    }

    /// Reads up to the next line that is not blank.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_BUFFER_BYTES);
            let limit = MAX_ROW_BYTES as u64 + 1;
            let mut read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let too_long = self.buffer.len() > MAX_ROW_BYTES && self.buffer.last() != Some(&b'\n');
            if too_long {
                read += self.input.skip_until(b'\n')?;
            }
            self.bytes_read += read as u64;
            if too_long {
                return Ok(Some(Line::TooLong));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(Line::Whole));
            }
        }
    }

    fn parse(&self) -> Result<Row> {
        let text = std::str::from_utf8(&self.buffer).map_err(|error| {
            self.unreadable(&format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1))
        })?;
        match serde_json::from_str(text) {
            Ok(Json::Object(row)) => Ok(row),
            Ok(Json::Array(_)) => Err(self
                .unreadable("a JSON array where an object is wanted; write one object a line, without `[`")),
            Ok(other) => Err(self.unreadable(&format!("{} where a JSON object is wanted", kind(&other)))),
            Err(error) if text.trim() == "[" => Err(self
                .unreadable("a JSON array where an object is wanted; write one object a line, without `[`")
                .because(error)),
            Err(error) => Err(self.unreadable(&reason(&error)).because(error)),
        }
    }

    fn unreadable(&self, reason: &str) -> Error {
        unreadable(&self.shown, self.line, reason)
    }
}

impl<R: Read + Send> RowReader for JsonLines<R> {
    fn next_row(&mut self) -> io::Result<Option<Result<Row>>> {
        Ok(self.next_line()?.map(|line| match line {
            Line::Whole => self.parse(),
            Line::TooLong => Err(too_long(&self.shown, self.line)),
        }))
    }

    fn skip_row(&mut self) -> io::Result<bool> {
        Ok(self.next_line()?.is_some())
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

/// The parser's reason without its place, which it takes to be the first line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    let way_out = if error.is_eof() { "; a row must stand whole on one line" } else { "" };
    format!("{reason} at column {}{way_out}", error.column())
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
