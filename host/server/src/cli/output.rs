//! What the commands print.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use llm_bench_core::{Error, Result};
use serde::Serialize;

use super::plain::{self, plain};

/// Prints text to standard output, what would steer a terminal shown instead. A reader that has gone away, as `head`
/// does, is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(plain(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::unavailable("cannot-print", format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says to standard error what went wrong.
pub(super) fn complain(message: &str) {
    // Nothing is left to tell it to when standard error is gone.
    let _ = writeln!(std::io::stderr(), "error: {}", plain::message(message));
}

/// A note for the person who waits, on standard error.
pub(super) fn note(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain::message(message));
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("not-json", "cannot write a result as JSON").because(error))?;
    text.push('\n');
    Ok(text)
}

/// Writes a result as it would be printed into a file, whole or not at all.
pub(super) fn write_file(path: &Path, text: &str) -> Result<()> {
    let mut file = ResultFile::create(path)?;
    file.write(&plain(text))?;
    file.finish()
}

/// A result's file. A regular one appears under its name only once it is complete; a device or a pipe is written as
/// it stands.
pub(super) struct ResultFile<'a> {
    path: &'a Path,
    sink: Sink,
}

enum Sink {
    Regular(BufWriter<tempfile::NamedTempFile>),
    Special(BufWriter<File>),
}

impl<'a> ResultFile<'a> {
    pub(super) fn create(path: &'a Path) -> Result<Self> {
        let failed = |error| cannot_write(path, &error);
        let sink = match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(failed(ErrorKind::IsADirectory.into())),
            Ok(there) if !there.is_file() => {
                Sink::Special(BufWriter::new(File::options().write(true).open(path).map_err(failed)?))
            }
            _ => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let mut builder = tempfile::Builder::new();
                #[cfg(unix)]
                builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
                let file = builder.tempfile_in(parent.unwrap_or(Path::new("."))).map_err(failed)?;
                Sink::Regular(BufWriter::new(file))
            }
        };
        Ok(Self { path, sink })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Regular(file) => file.write_all(text.as_bytes()),
            Sink::Special(file) => file.write_all(text.as_bytes()),
        };
        written.map_err(|error| cannot_write(self.path, &error))
    }

    pub(super) fn finish(self) -> Result<()> {
        let path = self.path;
        match self.sink {
            Sink::Special(mut file) => file.flush().map_err(|error| cannot_write(path, &error)),
            Sink::Regular(file) => {
                let file = file.into_inner().map_err(|error| cannot_write(path, error.error()))?;
                // A link stays one: what it points to is replaced.
                let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
                file.persist(target).map_err(|error| cannot_write(path, &error.error))?;
                Ok(())
            }
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable("cannot-write", format!("cannot write {}: {error}", path.display()))
}
