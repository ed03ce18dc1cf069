//! Reading a dataset's files once, to know what they hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use llm_bench_core::dataset::{Dataset, DatasetFiles, Format, Split};
use llm_bench_core::model::Origin;
use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};

use crate::blocking;
use crate::card::{self, Card};
use crate::file::{cannot_open, cannot_read, check_regular, not_regular, open};
use crate::row_reader::{format_of, row_reader};

/// A `dataset.toml` is a few lines; what is larger is something else.
const MAX_CARD_BYTES: u64 = 1 << 20;

pub(crate) async fn inspect_folder(folder: PathBuf, origin: Origin) -> Result<Dataset> {
    unless_dropped(move |stop| {
        let shown = folder.display().to_string();
        let dir =
            Dir::open_ambient_dir(&folder, ambient_authority()).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    Error::not_found("dataset-folder-not-found", format!("there is no folder `{shown}`"))
                        .because(error)
                }
                io::ErrorKind::NotADirectory => {
                    Error::invalid("dataset-folder-not-found", format!("`{shown}` is not a folder"))
                        .because(error)
                }
                _ => cannot_read(&shown, error),
            })?;
        let root = folder.canonicalize().map_err(|error| cannot_open(&shown, error))?;
        let card = read_card(&dir, &folder)?;
        let splits = card
            .splits
            .iter()
            .map(|(name, file)| {
                let shown = folder.join(file);
                let (opened, bytes, inside) = open_inside(&dir, Path::new(file), &shown)?;
                let format = format_of(&shown)?;
                inspect_split(
                    name.as_str(),
                    Opened { file: opened, bytes, shown, path: root.join(inside) },
                    format,
                    stop,
                )
            })
            .collect::<Result<Vec<_>>>()?;
        check_gold(&card, &splits, &folder)?;
        Ok(Dataset {
            name: card.name.into(),
            origin,
            description: card.description,
            licence: card.licence,
            gold: card.gold,
            splits,
        })
    })
    .await
}

pub(crate) async fn inspect_files(files: DatasetFiles) -> Result<Dataset> {
    unless_dropped(move |stop| {
        if files.splits.is_empty() {
            return Err(Error::invalid(
                "dataset-without-files",
                format!("dataset `{}` names no file", files.name),
            ));
        }
        let mut splits: Vec<Split> = Vec::with_capacity(files.splits.len());
        for (name, shown) in files.splits {
            if splits.iter().any(|split| split.name == name) {
                return Err(Error::invalid(
                    "split-named-twice",
                    format!("dataset `{}` names two files for split `{name}`", files.name),
                ));
            }
            let (file, bytes) = open(&shown)?;
            let path =
                shown.canonicalize().map_err(|error| cannot_open(&shown.display().to_string(), error))?;
            let format = format_of(&shown)?;
            splits.push(inspect_split(&name, Opened { file, bytes, shown, path }, format, stop)?);
        }
        Ok(Dataset {
            name: files.name,
            origin: files.origin,
            description: String::new(),
            licence: None,
            gold: Vec::new(),
            splits,
        })
    })
    .await
}

fn read_card(dir: &Dir, folder: &Path) -> Result<Card> {
    let shown = folder.join(card::FILE_NAME);
    let place = shown.display().to_string();
    let (file, bytes, _) = open_inside(dir, Path::new(card::FILE_NAME), &shown).map_err(|error| {
        if error.code == "dataset-file-not-found" {
            return Error::not_found(
                "dataset-card-not-found",
                format!("folder `{}` holds no {}, so it is not a dataset", folder.display(), card::FILE_NAME),
            );
        }
        error
    })?;
    if bytes > MAX_CARD_BYTES {
        return Err(card::invalid(format!("{place}: the file is larger than 1 MiB")));
    }
    let mut content = Vec::new();
    file.take(MAX_CARD_BYTES).read_to_end(&mut content).map_err(|error| cannot_read(&place, error))?;
    let text =
        String::from_utf8(content).map_err(|_| card::invalid(format!("{place}: the file is not UTF-8")))?;
    Card::parse(text.trim_start_matches('\u{feff}'), &place)
}

/// Opens a regular file that the folder holds. What leads out of the folder, by `..` or by a link, is refused.
fn open_inside(dir: &Dir, path: &Path, shown: &Path) -> Result<(File, u64, PathBuf)> {
    let shown = shown.display().to_string();
    let refuse = |error: io::Error| {
        // The system's own refusals bear an error number, those of the sandboxed folder do not.
        if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
            let message =
                format!("`{}` leads out of the dataset's folder; put the file inside", path.display());
            return Error::denied("dataset-path-outside", message).because(error);
        }
        cannot_open(&shown, error)
    };
    let metadata = dir.metadata(path).map_err(refuse)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(not_regular(&shown));
    }
    let file = dir.open(path).map_err(refuse)?.into_std();
    let bytes = check_regular(&shown, &file.metadata().map_err(|error| cannot_read(&shown, error))?)?;
    Ok((file, bytes, dir.canonicalize(path).map_err(refuse)?))
}

/// An opened file: as the user named it, and where it really lies.
struct Opened {
    file: File,
    bytes: u64,
    shown: PathBuf,
    path: PathBuf,
}

fn inspect_split(name: &str, opened: Opened, format: Format, stop: &AtomicBool) -> Result<Split> {
    let shown = opened.shown.display().to_string();
    let mut input = Digesting { file: opened.file.take(opened.bytes), digest: Sha256::new(), bytes: 0, stop };
    let failed = |error| cannot_read(&shown, error);
    let (columns, rows) = {
        let mut reader = row_reader(format, &mut input, &shown)?;
        let first = reader
            .next_row()
            .map_err(failed)?
            .ok_or_else(|| Error::invalid("dataset-file-empty", format!("`{shown}` holds no row")))??;
        let mut rows = 1;
        while reader.skip_row().map_err(failed)? {
            rows += 1;
        }
        (first.keys().cloned().collect(), rows)
    };
    if input.bytes != opened.bytes {
        return Err(Error::conflict(
            "dataset-file-changed",
            format!("`{shown}` became shorter while it was read; try again when it is written"),
        ));
    }
    Ok(Split {
        name: name.to_owned(),
        path: opened.path,
        format,
        rows,
        bytes: opened.bytes,
        digest: hex::encode(input.digest.finalize()),
        columns,
    })
}

/// A gold column that is misspelt would show the answer to the solver.
fn check_gold(card: &Card, splits: &[Split], folder: &Path) -> Result<()> {
    for gold in &card.gold {
        if !splits.iter().any(|split| split.columns.contains(gold)) {
            let columns = splits.first().map(|split| split.columns.join(", ")).unwrap_or_default();
            return Err(card::invalid(format!(
                "{}: gold column `{gold}` is not a column of any split; the columns are {columns}",
                folder.join(card::FILE_NAME).display()
            )));
        }
    }
    Ok(())
}

/// Digests what it reads.
struct Digesting<'a> {
    file: io::Take<File>,
    digest: Sha256,
    bytes: u64,
    stop: &'a AtomicBool,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Runs `work` on a blocking thread and sets its flag when the caller stops waiting: a file may take minutes.
async fn unless_dropped<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct StopOnDrop(Arc<AtomicBool>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let guard = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let stop = Arc::clone(&guard.0);
    blocking(move || work(&stop)).await?
}
