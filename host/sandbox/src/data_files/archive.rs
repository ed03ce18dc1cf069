//! A stranger's tar archive, of which files are taken, and nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};
use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use super::Written;
use crate::convert::lift::shown;

/// Chars of a name that an error shows.
const SHOWN: usize = 200;
/// Names that an error lists.
const LISTED: usize = 8;
/// How compressed files begin, and how they are called.
const COMPRESSED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "Zstandard")];

/// Writes the files of an archive below `root`. It has to have each of the names once, and no other file; folders are
/// passed over, links and devices refused.
///
/// # Errors
/// `invalid-data-files` with the entry and the reason, `data-files-too-large`.
pub(super) fn unpack(
    archive: &Path,
    names: &[String],
    most_bytes: u64,
    root: &Dir,
) -> Result<BTreeMap<String, Written>> {
    let unreadable = |error: io::Error| {
        Error::invalid("invalid-data-files", format!("cannot read {}: {error}", archive.display()))
    };
    let mut file = File::open(archive).map_err(unreadable)?;
    if let Some(kind) = compression(&mut file).map_err(unreadable)? {
        return Err(refused(&format!("it is compressed with {kind}; send the plain .tar")));
    }
    let mut archive = Archive::new(BufReader::new(file));
    // Raw: what other headers say of the next entry, such as a longer name, is not obeyed. It costs memory, and no file
    // that is wanted needs it.
    let entries = archive.entries().map_err(broken)?.raw(true);
    let mut written = BTreeMap::new();
    let mut left = most_bytes;
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let name = name(&entry.path_bytes())?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory
            | EntryType::XHeader
            | EntryType::XGlobalHeader
            | EntryType::GNULongName
            | EntryType::GNULongLink => continue,
            EntryType::Symlink | EntryType::Link => {
                return Err(refused(&format!("its entry `{name}` is a link")));
            }
            _ => return Err(refused(&format!("its entry `{name}` is no plain file"))),
        }
        if !names.contains(&name) {
            let listed = listed(names.iter());
            return Err(refused(&format!("the plugin reads no file `{name}`; it reads {listed}")));
        }
        if written.contains_key(&name) {
            return Err(refused(&format!("it has the file `{name}` twice")));
        }
        let file = write(&name, &mut entry, left, root)?;
        left = left.checked_sub(file.bytes).ok_or_else(|| {
            let most = most_bytes >> 20;
            Error::too_large("data-files-too-large", format!("the files have more than {most} MiB together"))
        })?;
        written.insert(name, file);
    }
    let missing: Vec<&String> = names.iter().filter(|name| !written.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(written);
    }
    Err(refused(&format!("it lacks {}", listed(missing.into_iter()))))
}

/// The name of an entry, by which it is shown and compared.
fn name(path: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(path);
    let name = text.strip_prefix("./").unwrap_or(&text);
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(refused(&format!("its entry `{}` leads out of its folder", shown(name, SHOWN))));
    }
    Ok(shown(name, SHOWN))
}

/// Writes as much of an entry as is left to be written, and one byte more where there is more.
fn write(name: &str, entry: &mut impl Read, left: u64, root: &Dir) -> Result<Written> {
    let cannot = |error: io::Error| {
        Error::unavailable("plugin-folder", format!("cannot store the data file `{name}`: {error}"))
            .because(error)
    };
    if let Some((folder, _)) = name.rsplit_once('/') {
        root.create_dir_all(folder).map_err(cannot)?;
    }
    let mut file = root.open_with(name, OpenOptions::new().write(true).create_new(true)).map_err(cannot)?;
    let (mut bytes, mut hasher, mut buffer) = (0, Sha256::new(), vec![0; 1 << 16]);
    let mut entry = entry.take(left.saturating_add(1));
    loop {
        let read = entry.read(&mut buffer).map_err(broken)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(cannot)?;
        bytes += read as u64;
    }
    file.sync_all().map_err(cannot)?;
    Ok(Written { bytes, sha256: hex::encode(hasher.finalize()) })
}

fn compression(file: &mut File) -> io::Result<Option<&'static str>> {
    let mut begin = Vec::new();
    Read::by_ref(file).take(8).read_to_end(&mut begin)?;
    file.rewind()?;
    Ok(COMPRESSED.iter().find(|(magic, _)| begin.starts_with(magic)).map(|(_, kind)| *kind))
}

fn broken(error: io::Error) -> Error {
    let reason = shown(&error.to_string(), SHOWN);
    refused(&format!("it is no tar archive, or a broken one: {reason}")).because(error)
}

fn refused(reason: &str) -> Error {
    Error::invalid("invalid-data-files", format!("the archive of data files is refused: {reason}"))
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let names: Vec<_> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}
