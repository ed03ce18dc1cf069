//! Opening a file of rows: only regular files, only UTF-8 text, never more than the size that was looked up.

use std::fs::{File, Metadata};
use std::io::{self, Chain, Cursor, Read};
use std::path::Path;

use llm_bench_core::{Error, Result};

/// A file's text behind its byte order mark.
pub(crate) type Text<R> = Chain<Cursor<Vec<u8>>, R>;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How files that are no UTF-8 text start. UTF-32 stands before UTF-16, whose mark it starts with.
const OTHER_CONTENTS: &[(&[u8], &str, &str)] = &[
    (b"\xff\xfe\0\0", "UTF-32 text", "save it as UTF-8"),
    (b"\0\0\xfe\xff", "UTF-32 text", "save it as UTF-8"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"\x1f\x8b", "gzip data", "unpack it first"),
    (b"PK\x03\x04", "a zip archive (or a spreadsheet)", "unpack it, or save it as CSV, first"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first"),
    (b"\xfd7zXZ\0", "xz data", "unpack it first"),
    (b"BZh", "bzip2 data", "unpack it first"),
    (b"PAR1", "Parquet data", "convert it to JSON Lines first"),
    (b"ARROW1", "Arrow data", "convert it to JSON Lines first"),
];

/// Opens a regular file by its path.
///
/// # Errors
/// As [`check_regular`] and [`cannot_open`] say.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let shown = path.display().to_string();
    let open = || {
        // Looked up before opening: opening a pipe waits for its writer.
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok((metadata, None));
        }
        let file = File::open(path)?;
        Ok((file.metadata()?, Some(file)))
    };
    let (metadata, file) = open().map_err(|error| cannot_open(&shown, error))?;
    let bytes = check_regular(&shown, &metadata)?;
    file.map(|file| (file, bytes)).ok_or_else(|| not_regular(&shown))
}

/// # Errors
/// `dataset-file-not-regular` for folders, pipes and devices.
pub(crate) fn check_regular(shown: &str, metadata: &Metadata) -> Result<u64> {
    if metadata.is_dir() {
        return Err(Error::invalid(
            "dataset-file-not-regular",
            format!("`{shown}` is a folder where a file of rows is wanted"),
        ));
    }
    if metadata.is_file() { Ok(metadata.len()) } else { Err(not_regular(shown)) }
}

pub(crate) fn not_regular(shown: &str) -> Error {
    Error::invalid(
        "dataset-file-not-regular",
        format!("`{shown}` is a pipe, a socket or a device; rows are read from regular files only"),
    )
}

/// `dataset-file-not-found`, or `dataset-file-unreadable` with the system's reason.
pub(crate) fn cannot_open(shown: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found("dataset-file-not-found", format!("there is no file `{shown}`")).because(error)
        }
        _ => cannot_read(shown, error),
    }
}

pub(crate) fn cannot_read(shown: &str, error: io::Error) -> Error {
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
    Error::unavailable("dataset-file-unreadable", format!("`{shown}` cannot be read: {reason}"))
        .because(error)
}

/// Drops the byte order mark of UTF-8; its length comes second.
///
/// # Errors
/// `dataset-file-empty`, and `dataset-file-encoding` for what is known to be no UTF-8 text.
pub(crate) fn text<R: Read>(mut input: R, shown: &str) -> Result<(Text<R>, u64)> {
    let mut head = Vec::new();
    input.by_ref().take(8).read_to_end(&mut head).map_err(|error| cannot_read(shown, error))?;
    let refuse = |content: &str, way_out: &str| {
        Error::unsupported("dataset-file-encoding", format!("`{shown}` holds {content}; {way_out}"))
    };
    for (start, content, way_out) in OTHER_CONTENTS {
        if head.starts_with(start) {
            return Err(refuse(content, way_out));
        }
    }
    if head.iter().take(4).any(|byte| *byte == 0) {
        return Err(refuse(
            "binary data (or UTF-16 text without a mark)",
            "rows are read from UTF-8 text only",
        ));
    }
    let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    if head.len() == mark {
        return Err(Error::invalid("dataset-file-empty", format!("`{shown}` is empty")));
    }
    let mut head = Cursor::new(head);
    head.set_position(mark as u64);
    Ok((head.chain(input), mark as u64))
}
