//! What the commands print.

use std::io::{ErrorKind, Write};
use std::path::Path;

use llm_bench_core::{Error, Result};
use serde::Serialize;

/// Prints text to standard output. A reader that has gone away, as `head` does, is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::unavailable("cannot-print", format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says to standard error what went wrong.
pub(super) fn complain(message: &str) {
    // Nothing is left to tell it to when standard error is gone.
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// A note for the person who waits, on standard error.
pub(super) fn note(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("not-json", "cannot write a result as JSON").because(error))?;
    text.push('\n');
    Ok(text)
}

/// Writes a result file whole or not at all.
pub(super) fn write_file(path: &Path, text: &str) -> Result<()> {
    let mut file = ResultFile::create(path)?;
    file.write(text)?;
    file.finish()
}

/// A file that appears under its name only once it is complete.
pub(super) struct ResultFile<'a> {
    path: &'a Path,
    file: std::io::BufWriter<tempfile::NamedTempFile>,
}

impl<'a> ResultFile<'a> {
    pub(super) fn create(path: &'a Path) -> Result<Self> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path, file: std::io::BufWriter::new(file) })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|error| cannot_write(self.path, &error))
    }

    pub(super) fn finish(self) -> Result<()> {
        let path = self.path;
        let file = self.file.into_inner().map_err(|error| cannot_write(path, error.error()))?;
        file.persist(path).map_err(|error| cannot_write(path, &error.error))?;
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable("cannot-write", format!("cannot write {}: {error}", path.display()))
}
