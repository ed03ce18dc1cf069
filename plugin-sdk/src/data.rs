//! Files that an administrator gives a plugin beside its component: word lists, tables, prompts.
//!
//! A plugin names them in its [`Description`](crate::Description); the administrator gives all of them, as a tar archive,
//! before the plugin is used. They are there in `solve`, in `score` and in an aggregator, the same for every sample.
//!
//! ```
//! use llm_bench_plugin_sdk::prelude::*;
//! use llm_bench_plugin_sdk::{data, testing};
//!
//! fn is_word(answer: &str) -> Result<bool> {
//!     Ok(data::text("words.txt")?.lines().any(|word| word == answer))
//! }
//!
//! // In a test:
//! let _words = testing::give_file("words.txt", "cat\ndog\n");
//! assert!(is_word("dog")?);
//! assert!(data::text("other.txt").is_err());
//! # Ok::<(), Error>(())
//! ```
//!
//! A large file need not be read whole for every sample: [`DataFile`] reads from where it is told.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Error, Result};

/// Bytes that the host gives at once, at most.
const MOST_READ: u32 = 1 << 20;

/// All bytes of a file.
///
/// # Errors
/// `denied` for a file that the plugin does not name.
pub fn bytes(name: &str) -> Result<Vec<u8>> {
    let size = usize::try_from(host::size(name)?).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let piece = host::read(name, bytes.len() as u64, MOST_READ)?;
        if piece.is_empty() {
            return Err(Error::other(format!(
                "the data file `{name}` ends after {} of {size} bytes",
                bytes.len()
            )));
        }
        bytes.extend(piece);
    }
    Ok(bytes)
}

/// The text of a file in UTF-8.
///
/// # Errors
/// `denied` for a file that the plugin does not name, `other` for one that is no UTF-8.
pub fn text(name: &str) -> Result<String> {
    String::from_utf8(bytes(name)?)
        .map_err(|error| Error::other(format!("the data file `{name}` is no UTF-8: {error}")))
}

/// A file that is read piece by piece. Put it into a [`BufReader`](std::io::BufReader) to read lines: every read here is
/// a call of the host.
#[derive(Debug)]
pub struct DataFile {
    name: String,
    size: u64,
    position: u64,
}

impl DataFile {
    /// # Errors
    /// `denied` for a file that the plugin does not name.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self { name: name.into(), size: host::size(name)?, position: 0 })
    }

    /// Bytes that the file has.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for DataFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(MOST_READ).min(MOST_READ);
        let bytes = host::read(&self.name, self.position, length).map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for DataFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the file begins");
        self.position = position.ok_or_else(before)?;
        Ok(self.position)
    }
}

#[cfg(target_arch = "wasm32")]
mod host {
    use crate::Result;
    use crate::bindings::data_files;

    pub(super) fn size(name: &str) -> Result<u64> {
        Ok(data_files::size(name)?)
    }

    pub(super) fn read(name: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        Ok(data_files::read(name, offset, length)?)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod host {
    use crate::Result;
    use crate::testing::with_file;

    pub(super) fn size(name: &str) -> Result<u64> {
        with_file(name, |bytes| bytes.len() as u64)
    }

    pub(super) fn read(name: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        with_file(name, |bytes| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(length.min(super::MOST_READ) as usize).min(bytes.len());
            bytes[from..to].to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::{ErrorCode, testing};

    #[test]
    fn a_file_longer_than_one_read_comes_whole() {
        let long: Vec<u8> = (0..3 * MOST_READ / 2).map(|index| (index % 251) as u8).collect();
        let _file = testing::give_file("long.bin", long.clone());
        assert_eq!(bytes("long.bin").unwrap(), long);
        let mut read = Vec::new();
        assert_eq!(DataFile::open("long.bin").unwrap().read_to_end(&mut read).unwrap(), long.len());
        assert_eq!(read, long);
    }

    #[test]
    fn a_file_is_read_from_where_one_seeks() {
        let _file = testing::give_file("words.txt", "cat\ndog\nemu\n");
        let mut file = DataFile::open("words.txt").unwrap();
        assert_eq!(file.seek(SeekFrom::End(-4)).unwrap(), 8);
        assert_eq!(BufReader::new(&mut file).lines().next().unwrap().unwrap(), "emu");
        assert_eq!(file.seek(SeekFrom::Start(99)).unwrap(), 99);
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
        assert!(file.seek(SeekFrom::End(-99)).is_err());
    }

    #[test]
    fn a_file_that_was_not_given_is_denied_and_one_that_is_no_text_says_so() {
        assert_eq!(bytes("gone.txt").unwrap_err().code, ErrorCode::Denied);
        let _file = testing::give_file("latin.txt", b"caf\xe9".to_vec());
        assert!(text("latin.txt").unwrap_err().message.contains("`latin.txt` is no UTF-8"));
        assert_eq!(bytes("latin.txt").unwrap(), b"caf\xe9");
    }
}
