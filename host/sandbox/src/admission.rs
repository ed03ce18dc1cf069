//! How a component becomes a plugin: it is inspected, compiled by a child process, and kept by its digest.

mod child;
mod compiler;
mod inspection;
mod library;
mod signature;

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};

pub use child::{CompileLimits, compile_in_child};
pub use compiler::CompilerCommand;
pub(crate) use library::Library;

use inspection::Inspection;
pub(crate) use inspection::VERSION as CONTRACT_VERSION;

/// A component that passed inspection.
pub(crate) struct Candidate {
    /// SHA-256 of the bytes, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) inspection: Inspection,
}

impl Candidate {
    /// Reads and inspects a file of at most so many bytes.
    ///
    /// # Errors
    /// `plugin-file` when it cannot be read, `plugin-too-large`, and what [`inspection`] refuses.
    pub(crate) async fn read(path: &Path, most_bytes: u64) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || {
            let bytes = read(&path, most_bytes)?;
            let inspection = inspection::inspect(&bytes)?;
            Ok(Self { digest: digest(&bytes), bytes, inspection })
        })
        .await
    }
}

/// Whether the bytes pass inspection.
pub(crate) fn inspect(bytes: &[u8]) -> Result<()> {
    inspection::inspect(bytes).map(drop)
}

fn read(path: &Path, most_bytes: u64) -> Result<Vec<u8>> {
    let unreadable = |error| {
        Error::invalid("plugin-file", format!("cannot read the component {}", path.display())).because(error)
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a file that grows meanwhile is caught as well.
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found("plugin-file", format!("there is no file {}", path.display()))
        }
        _ => unreadable(error),
    })?;
    (&mut file).take(most_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most_bytes {
        let most = most_bytes >> 20;
        return Err(Error::too_large("plugin-too-large", format!("a component has at most {most} MiB")));
    }
    Ok(bytes)
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256, in hexadecimal, of all that is left to read.
pub(crate) fn hash(reader: impl Read) -> io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut hasher = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Makes a folder where it is missing, and closes it to other users.
///
/// # Errors
/// `plugin-folder` when it cannot be made.
pub(crate) fn private_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
        .map_err(|error| unusable(folder, error))
}

pub(crate) fn unusable(path: &Path, error: io::Error) -> Error {
    Error::unavailable("plugin-folder", format!("cannot use {}: {error}", path.display())).because(error)
}

/// Runs what reads, writes or hashes large files on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("sandbox-defect", "admitting a plugin broke off").because(error))?
}

/// Where a component's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Compiled {
    code: PathBuf,
    /// Holds the SHA-256 of `code`.
    seal: PathBuf,
}
