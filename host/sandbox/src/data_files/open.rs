//! Data files that guests read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use llm_bench_core::{Error, Result};

use super::{FILES, SUMS};
use crate::admission::{digest, hash};

/// Bytes that one read gives, at most.
pub(crate) const MOST_READ: u32 = 1 << 20;

/// The files of one plugin. What was opened is read, whatever becomes of the folder.
pub(crate) struct OpenFiles(BTreeMap<String, OpenFile>);

struct OpenFile {
    file: File,
    bytes: u64,
}

impl OpenFiles {
    /// Opens the files in a folder, and looks whether they are those of the digest.
    pub(super) fn open(folder: &Path, wanted: &str) -> Result<Self> {
        let root = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| {
            let message =
                format!("the data files `{wanted}` of the plugin are not here; they were taken from it");
            match error.kind() {
                io::ErrorKind::NotFound => Error::not_found("data-files-not-found", message),
                _ => damaged(folder, &error),
            }
        })?;
        let sums = root.read_to_string(SUMS).map_err(|error| damaged(folder, &error))?;
        if digest(sums.as_bytes()) != wanted {
            return Err(damaged(folder, &format!("{SUMS} was changed")));
        }
        let files = root.open_dir(FILES).map_err(|error| damaged(folder, &error))?;
        let open = |line: &str| {
            let (sha256, name) =
                line.split_once("  ").ok_or_else(|| damaged(folder, &"a line without a name"))?;
            let file = OpenFile::open(&files, name, sha256).map_err(|error| damaged(folder, &error))?;
            Ok((name.to_owned(), file))
        };
        sums.lines().map(open).collect::<Result<_>>().map(Self)
    }

    /// The bytes of a file; none where there is no such file.
    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|file| file.bytes)
    }

    /// Bytes that [`Self::read`] gives.
    pub(crate) fn available(&self, name: &str, offset: u64, length: u32) -> u64 {
        let left = self.size(name).unwrap_or(0).saturating_sub(offset);
        left.min(length.min(MOST_READ).into())
    }

    /// The bytes from `offset` on; none where there is no such file.
    pub(crate) fn read(&self, name: &str, offset: u64, length: u32) -> Option<io::Result<Vec<u8>>> {
        let file = &self.0.get(name)?.file;
        // At most a mebibyte.
        let mut bytes = vec![0; usize::try_from(self.available(name, offset, length)).unwrap_or(0)];
        Some(file.read_exact_at(&mut bytes, offset).map(|()| bytes))
    }
}

impl OpenFile {
    fn open(files: &Dir, name: &str, sha256: &str) -> io::Result<Self> {
        let mut file = files.open(name)?.into_std();
        if hash(&file)? != sha256 {
            return Err(io::Error::other(format!("`{name}` was changed")));
        }
        let bytes = file.stream_position()?;
        Ok(Self { file, bytes })
    }
}

fn damaged(folder: &Path, error: &dyn std::fmt::Display) -> Error {
    let message = format!("the data files in {} are damaged ({error}): give them again", folder.display());
    Error::unavailable("data-files-damaged", message)
}
