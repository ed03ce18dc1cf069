//! The data files of plugins: unpacked from an archive, kept by component and content, opened for guests.
//!
//! ```text
//! data/<component's sha256>/<digest>/SHA256SUMS     a line a file, as `sha256sum` prints it; the digest is its SHA-256
//! data/<component's sha256>/<digest>/files/<name>
//! ```
//! A folder appears by renaming and is never changed.

mod archive;
mod open;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use llm_bench_core::Result;
use llm_bench_core::plugin::DataFiles;
use tempfile::TempDir;

use crate::admission::{blocking, digest, private_folder, unusable};

pub(crate) use open::{MOST_READ, OpenFiles};

const SUMS: &str = "SHA256SUMS";
const FILES: &str = "files";

/// The folder of all data files.
pub(crate) struct DataLibrary {
    folder: PathBuf,
    most_bytes: u64,
    /// What somebody reads, by folder: looking whether it is whole reads all of it.
    open: Mutex<HashMap<PathBuf, Weak<OpenFiles>>>,
}

/// A file of an archive, as it was written.
struct Written {
    bytes: u64,
    /// In hexadecimal.
    sha256: String,
}

impl DataLibrary {
    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// `plugin-folder` when it cannot be made.
    pub(crate) fn open(folder: &Path, most_bytes: u64) -> Result<Self> {
        let folder = folder.join("data");
        private_folder(&folder)?;
        Ok(Self { folder, most_bytes, open: Mutex::default() })
    }

    /// Unpacks an archive with exactly the files of these names.
    pub(crate) async fn keep(&self, component: &str, archive: &Path, names: &[String]) -> Result<DataFiles> {
        let (folder, parent) = (self.folder.clone(), self.folder.join(component));
        let most_bytes = self.most_bytes;
        let (archive, names) = (archive.to_owned(), names.to_vec());
        blocking(move || {
            private_folder(&parent)?;
            let broken = |error| unusable(&parent, error);
            // Not beside what is kept, where `forget` would find it.
            let bench = TempDir::new_in(&folder).map_err(broken)?;
            let root = Dir::open_ambient_dir(bench.path(), ambient_authority()).map_err(broken)?;
            root.create_dir(FILES).map_err(broken)?;
            let written =
                archive::unpack(&archive, &names, most_bytes, &root.open_dir(FILES).map_err(broken)?)?;
            let sums = sums(&written);
            root.write(SUMS, &sums).and_then(|()| root.open(SUMS)?.sync_all()).map_err(broken)?;
            let digest = digest(sums.as_bytes());
            let place = parent.join(&digest);
            if OpenFiles::open(&place, &digest).is_err() {
                install(bench, &place).map_err(broken)?;
            }
            Ok(DataFiles {
                digest,
                files: written.into_iter().map(|(name, file)| (name, file.bytes)).collect(),
            })
        })
        .await
    }

    /// The files of that digest, whole.
    ///
    /// # Errors
    /// `data-files-not-found`; `data-files-damaged` where they are not what was kept.
    pub(crate) async fn find(&self, component: &str, digest: &str) -> Result<Arc<OpenFiles>> {
        let place = self.folder.join(component).join(digest);
        if let Some(open) = self.is_open(&place) {
            return Ok(open);
        }
        let (folder, wanted) = (place.clone(), digest.to_owned());
        let open = Arc::new(blocking(move || OpenFiles::open(&folder, &wanted)).await?);
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, files| files.strong_count() > 0);
        all.insert(place, Arc::downgrade(&open));
        Ok(open)
    }

    fn is_open(&self, place: &Path) -> Option<Arc<OpenFiles>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(place)?.upgrade()
    }

    /// Removes all files of a component but those of the digest that stays. Whoever reads them goes on.
    pub(crate) async fn forget(&self, component: &str, stays: Option<&str>) -> Result<()> {
        let (parent, stays) = (self.folder.join(component), stays.map(str::to_owned));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|place, _| {
            !place.starts_with(&parent) || stays.as_ref().is_some_and(|stays| place.ends_with(stays))
        });
        blocking(move || {
            let entries = match std::fs::read_dir(&parent) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(unusable(&parent, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| unusable(&parent, error))?;
                if stays.as_ref().is_none_or(|stays| entry.file_name() != stays.as_str()) {
                    let gone = std::fs::remove_dir_all(entry.path());
                    gone.map_err(|error| unusable(&entry.path(), error))?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// What `sha256sum` prints of the files.
fn sums(files: &BTreeMap<String, Written>) -> String {
    let mut sums = String::new();
    for (name, Written { sha256, .. }) in files {
        // Writing to a string does not fail.
        let _ = writeln!(sums, "{sha256}  {name}");
    }
    sums
}

/// Moves a folder that is finished to its place, where nothing is, or what was damaged.
fn install(bench: TempDir, place: &Path) -> io::Result<()> {
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::rename(bench.path(), place)?;
    // It is where nobody looks for it any more.
    let _ = bench.keep();
    if let Some(parent) = place.parent() {
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}
