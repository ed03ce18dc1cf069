//! Making a folder hold exactly a list of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a folder is to hold: each file's place in it, and the file to copy there.
#[derive(Default)]
pub(crate) struct Content {
    files: BTreeMap<PathBuf, PathBuf>,
    folders: Vec<PathBuf>,
}

impl Content {
    pub(crate) fn file(&mut self, place: impl Into<PathBuf>, source: impl Into<PathBuf>) {
        self.files.insert(place.into(), source.into());
    }

    /// All files below `source`, symbolic links followed. The folder is there even when `source` is not.
    ///
    /// Hidden files and what builds leave behind are not taken.
    pub(crate) fn folder(&mut self, place: impl Into<PathBuf>, source: &Path) -> Result<()> {
        let place = place.into();
        self.folders.push(place.clone());
        if !source.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(source).with_context(|| format!("cannot list {}", source.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') || name == "target" || name == "__pycache__" {
                continue;
            }
            if fs::metadata(entry.path())?.is_dir() {
                self.folder(place.join(name), &entry.path())?;
            } else {
                self.file(place.join(name), entry.path());
            }
        }
        Ok(())
    }

    /// The bytes of all files together.
    pub(crate) fn size_bytes(&self) -> Result<u64> {
        self.files.values().map(|source| Ok(fs::metadata(source)?.len())).sum()
    }

    /// Copies into `root` what is missing or changed, and removes from the top folders of the content what
    /// does not belong there. Other top folders of `root` are left alone.
    pub(crate) fn write(&self, root: &Path) -> Result<Changes> {
        let mut changes = Changes::default();
        let mut owned: Vec<_> = self.places().filter_map(|place| place.iter().next()).collect();
        owned.dedup();
        for folder in owned {
            self.remove_strangers(root, Path::new(folder), &mut changes)?;
        }
        for folder in &self.folders {
            fs::create_dir_all(root.join(folder))?;
        }
        for (place, source) in &self.files {
            let place = root.join(place);
            if !is_copy(&place, source)? {
                copy(source, &place).with_context(|| format!("cannot copy {}", source.display()))?;
                changes.copied += 1;
            }
        }
        Ok(changes)
    }

    fn places(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys().chain(&self.folders)
    }

    fn remove_strangers(&self, root: &Path, folder: &Path, changes: &mut Changes) -> Result<()> {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            let place = folder.join(entry.file_name());
            let is_file = self.files.contains_key(&place);
            if !entry.file_type()?.is_dir() {
                if !is_file {
                    fs::remove_file(entry.path())?;
                    changes.removed += 1;
                }
            } else if !is_file && self.places().any(|kept| kept.starts_with(&place)) {
                self.remove_strangers(root, &place, changes)?;
            } else {
                fs::remove_dir_all(entry.path())?;
                changes.removed += 1;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) copied: usize,
    pub(crate) removed: usize,
}

/// Whether a copy is up to date, by size and time of change, which `copy` preserves.
fn is_copy(place: &Path, source: &Path) -> Result<bool> {
    let Ok(place) = fs::metadata(place) else { return Ok(false) };
    let source = fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
    Ok(place.len() == source.len() && place.modified()? == source.modified()?)
}

/// Copies beside the place and renames, so that a server that runs from there never sees half a file.
fn copy(source: &Path, place: &Path) -> Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut partial = place.as_os_str().to_owned();
    partial.push(".partial");
    fs::copy(source, &partial)?;
    let modified = fs::metadata(source)?.modified()?;
    fs::File::options().write(true).open(&partial)?.set_modified(modified)?;
    fs::rename(&partial, place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(source: &Path) -> Content {
        let mut content = Content::default();
        content.folder("share/data", source).unwrap();
        content.folder("share/empty", &source.join("absent")).unwrap();
        content
    }

    #[test]
    fn a_second_write_copies_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (source, root) = (folder.path().join("source"), folder.path().join("root"));
        fs::create_dir_all(source.join("deep")).unwrap();
        fs::write(source.join("deep/file"), "1").unwrap();
        let content = content(&source);
        assert_eq!(content.write(&root).unwrap(), Changes { copied: 1, removed: 0 });
        assert_eq!(content.write(&root).unwrap(), Changes::default());
        assert_eq!(fs::read_to_string(root.join("share/data/deep/file")).unwrap(), "1");
        assert!(root.join("share/empty").is_dir());
    }

    #[test]
    fn what_is_gone_from_the_source_goes_and_other_folders_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (source, root) = (folder.path().join("source"), folder.path().join("root"));
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("kept"), "1").unwrap();
        for stranger in ["share/data/stale", "share/stale/deep/file", "debug/file"] {
            fs::create_dir_all(root.join(stranger).parent().unwrap()).unwrap();
            fs::write(root.join(stranger), "").unwrap();
        }
        content(&source).write(&root).unwrap();
        assert!(root.join("share/data/kept").exists());
        assert!(!root.join("share/data/stale").exists());
        assert!(!root.join("share/stale").exists());
        assert!(root.join("debug/file").exists());
    }
}
