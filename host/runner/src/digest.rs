//! The digest of a model: which answers it gives is decided by the contents of its files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};

/// What tells that a file is still the one that was hashed.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FileKey {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// Hashes of files that were read before: weights are large, and a model is looked at often.
#[derive(Debug, Default)]
pub(crate) struct DigestCache {
    hashes: Mutex<HashMap<FileKey, [u8; 32]>>,
}

impl DigestCache {
    /// SHA-256 over the sorted (name, size, SHA-256 of the content) of `files`, in hexadecimal, and the sum of the sizes.
    ///
    /// `files` are names with forward slashes, relative to `folder`.
    pub(crate) fn digest(&self, folder: &Path, files: &[String]) -> Result<(String, u64)> {
        let mut names: Vec<&String> = files.iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut total = 0;
        let mut whole = Sha256::new();
        for name in names {
            let (bytes, hash) = self.file(&folder.join(name), name)?;
            total += bytes;
            whole.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes());
            whole.update(name);
            whole.update(bytes.to_le_bytes());
            whole.update(hash);
        }
        Ok((hex::encode(whole.finalize()), total))
    }

    fn file(&self, path: &Path, name: &str) -> Result<(u64, [u8; 32])> {
        let unreadable = |error: std::io::Error| {
            Error::invalid("model-file-broken", format!("`{name}` cannot be read: {error}")).because(error)
        };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let key = FileKey {
            path: path.to_owned(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            inode: inode(&metadata),
        };
        let bytes = key.bytes;
        if let Some(hash) = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok((bytes, *hash));
        }
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = reader.read(&mut buffer).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
        }
        let hash: [u8; 32] = hasher.finalize().into();
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(key, hash);
        Ok((bytes, hash))
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::DigestCache;

    #[test]
    fn the_digest_follows_names_and_contents_and_not_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        write("a", "one");
        write("b", "two");
        let digest = |files: [&str; 2]| {
            DigestCache::default().digest(folder.path(), &files.map(str::to_owned)).unwrap()
        };
        let (first, bytes) = digest(["a", "b"]);
        assert_eq!(bytes, 6);
        assert_eq!(digest(["b", "a"]).0, first);
        write("a", "two");
        write("b", "one");
        assert_ne!(digest(["a", "b"]).0, first);
    }

    #[test]
    fn a_changed_file_is_hashed_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DigestCache::default();
        let file = ["a".to_owned()];
        std::fs::write(folder.path().join("a"), "one").unwrap();
        let first = cache.digest(folder.path(), &file).unwrap();
        assert_eq!(cache.digest(folder.path(), &file).unwrap(), first);
        std::fs::write(folder.path().join("a"), "three").unwrap();
        assert_ne!(cache.digest(folder.path(), &file).unwrap(), first);
    }
}
