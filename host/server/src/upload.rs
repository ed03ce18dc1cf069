//! Bodies that are too large for memory: streamed to a temporary file and hashed on the way.

use std::io::{ErrorKind, Write};
use std::path::Path;

use axum::body::Bytes;
use futures::{Stream, StreamExt};
use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// What somebody sent.
pub(crate) struct Received {
    /// Gone when the value is dropped.
    pub(crate) file: NamedTempFile,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// Writes a body, or a part of one, to a temporary file in `folder`.
///
/// # Errors
/// `upload-too-large` beyond `most_bytes`; `upload-broken` when the client goes away.
pub(crate) async fn receive<E>(
    mut chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
    folder: &Path,
    most_bytes: u64,
) -> Result<Received>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut file = NamedTempFile::new_in(folder).map_err(|error| cannot_store(&error))?;
    let (mut received, mut hasher) = (0_u64, Sha256::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Error::invalid("upload-broken", format!("the upload broke off after {received} bytes"))
                .because(error)
        })?;
        received += chunk.len() as u64;
        if received > most_bytes {
            return Err(Error::too_large(
                "upload-too-large",
                format!("the upload is larger than {} MiB, which is the most taken here", most_bytes >> 20),
            ));
        }
        hasher.update(&chunk);
        // A chunk is at most some KiB: the page cache takes it faster than another thread would.
        file.write_all(&chunk).map_err(|error| cannot_store(&error))?;
    }
    file.flush().map_err(|error| cannot_store(&error))?;
    Ok(Received { file, bytes: received, sha256: hasher.finalize().into() })
}

/// Keeps a received file under its final name.
pub(crate) fn keep(file: &NamedTempFile, path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::hard_link(file.path(), path))
        // Files are named by their content: one that is there is the same.
        .or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
        .map_err(|error| cannot_store(&error))
}

pub(crate) fn cannot_store(error: &std::io::Error) -> Error {
    Error::unavailable("cannot-store-upload", format!("cannot store the upload: {error}"))
}
