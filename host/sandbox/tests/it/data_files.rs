//! Files that a plugin is given: how an archive becomes them, what a guest reads, and that it reads nothing else.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{DataFiles, GuestCall, LoadedPlugin, Sandbox};
use llm_bench_core::sample::{FailureKind, Solution};
use llm_bench_core::{ErrorKind, Result};
use llm_bench_sandbox::WasmSandbox;
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::TempDir;

use crate::isolation;
use crate::support::{Scripted, call, compiler, plugin, sample, sandbox_with};

/// Bytes in an order that shows where they were read.
fn content(bytes: usize) -> Vec<u8> {
    (0..251).cycle().step_by(7).take(bytes).collect()
}

fn entry(kind: EntryType, name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    // Written as it is: `set_path` would refuse what a stranger writes.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o777);
    header.set_cksum();
    let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
    [header.as_bytes(), bytes, &padding].concat()
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, name, bytes)
}

/// A sandbox with the hostile plugin.
struct Fixture {
    sandbox: WasmSandbox,
    digest: String,
    folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self::of(sandbox_with(folder.path(), compiler()), folder).await
    }

    async fn of(sandbox: WasmSandbox, folder: TempDir) -> Self {
        let digest = sandbox.admit(&plugin("hostile")).await.unwrap().digest;
        Self { sandbox, digest, folder }
    }

    async fn keep_bytes(&self, archive: &[u8], names: &[&str]) -> Result<DataFiles> {
        let path = self.folder.path().join("upload.tar");
        fs::write(&path, archive).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.sandbox.keep_data_files(&self.digest, &path, &names).await
    }

    async fn keep(&self, entries: &[Vec<u8>], names: &[&str]) -> Result<DataFiles> {
        self.keep_bytes(&[entries.concat(), vec![0; 1024]].concat(), names).await
    }

    /// Why an archive of which `data.bin` is wanted is refused. Nothing of it is left.
    async fn refusal(&self, archive: &[u8]) -> String {
        let error = self.keep_bytes(archive, &["data.bin"]).await.unwrap_err();
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "invalid-data-files"), "{error}");
        assert!(fs::read_dir(self.data()).is_ok_and(|mut left| left.next().is_none()), "{error}");
        error.message
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data").join(&self.digest)
    }

    async fn load(&self, files: &DataFiles) -> Arc<dyn LoadedPlugin> {
        self.sandbox.load(&self.digest, Some(&files.digest)).await.unwrap()
    }
}

fn trying(behaviour: &str, amount: u64, limits: Limits) -> GuestCall {
    let config = json!({"behaviour": behaviour, "amount": amount});
    GuestCall { limits, ..call(config, Scripted::subject()) }
}

async fn answer(plugin: &dyn LoadedPlugin, call: GuestCall) -> Result<String, (FailureKind, String)> {
    let outcome = plugin.solve(call, &sample(json!({"question": "?"}))).await;
    match outcome.result {
        Ok(Solution { answer, .. }) => Ok(answer.unwrap()),
        Err(failure) => Err((failure.kind, failure.message)),
    }
}

#[tokio::test]
async fn an_archive_becomes_the_files_that_are_named_and_their_digest_is_that_of_sha256sum() {
    let fixture = Fixture::new().await;
    let (words, table) = (b"cat\ndog\n".as_slice(), content(700));
    let archive = [
        entry(EntryType::Directory, "tables/", b""),
        file("./words.txt", words),
        file("tables/a.bin", &table),
    ];
    let files = fixture.keep(&archive, &["words.txt", "tables/a.bin"]).await.unwrap();
    assert_eq!(files.files, [("tables/a.bin".to_owned(), 700), ("words.txt".to_owned(), 8)].into());
    let sum = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let sums = format!("{}  tables/a.bin\n{}  words.txt\n", sum(&table), sum(words));
    assert_eq!(files.digest, sum(sums.as_bytes()));
    // In another order it is the same content.
    let turned = [file("tables/a.bin", &table), file("words.txt", words)];
    assert_eq!(fixture.keep(&turned, &["tables/a.bin", "words.txt"]).await.unwrap(), files);
    let kept: Vec<_> = fs::read_dir(fixture.data()).unwrap().map(|kept| kept.unwrap().file_name()).collect();
    assert_eq!(kept, [files.digest.as_str()]);
}

#[tokio::test]
async fn an_archive_with_anything_else_is_refused_with_the_entry_and_the_reason() {
    let fixture = Fixture::new().await;
    let good = || file("data.bin", b"7");
    let link = |kind, target: &str| {
        let mut entry = entry(kind, "data.bin", b"");
        entry[157..157 + target.len()].copy_from_slice(target.as_bytes());
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&entry);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    for (archive, reason) in [
        (file("../data.bin", b"7"), "`../data.bin` leads out of its folder"),
        (file("/data.bin", b"7"), "`/data.bin` leads out of its folder"),
        (file("a/../../data.bin", b"7"), "leads out of its folder"),
        (entry(EntryType::Directory, "../up/", b""), "leads out of its folder"),
        (link(EntryType::Symlink, "/etc/passwd"), "`data.bin` is a link"),
        (link(EntryType::Link, "/etc/passwd"), "`data.bin` is a link"),
        (entry(EntryType::Fifo, "data.bin", b""), "`data.bin` is no plain file"),
        (entry(EntryType::Char, "data.bin", b""), "`data.bin` is no plain file"),
        (entry(EntryType::GNUSparse, "data.bin", b""), "`data.bin` is no plain file"),
        ([good(), good()].concat(), "it has the file `data.bin` twice"),
        (
            [good(), file("more.bin", b"7")].concat(),
            "the plugin reads no file `more.bin`; it reads `data.bin`",
        ),
        (file("\u{1b}[2Jdata.bin", b"7"), "the plugin reads no file `\u{fffd}[2Jdata.bin`"),
        (vec![0; 1024], "it lacks `data.bin`"),
        (vec![], "it lacks `data.bin`"),
        (good()[..512].to_vec(), "it is no tar archive, or a broken one"),
        (file("data.bin", &content(5000))[..2000].to_vec(), "it is no tar archive, or a broken one"),
        (content(3000), "it is no tar archive, or a broken one"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "it is compressed with gzip; send the plain .tar"),
    ] {
        let message = fixture.refusal(&archive).await;
        assert!(message.contains(reason), "{message:?} for {reason:?}");
    }
    assert!(!Path::new(fixture.folder.path()).join("data.bin").exists());
}

#[tokio::test]
async fn what_headers_say_of_the_next_entry_is_not_obeyed() {
    let fixture = Fixture::new().await;
    let pax = entry(EntryType::XHeader, "pax", b"22 path=../escaped.bin\n");
    let long = entry(EntryType::GNULongName, "././@LongLink", b"../escaped.bin\0");
    for header in [pax, long] {
        let files = fixture.keep(&[header, file("data.bin", b"7")], &["data.bin"]).await.unwrap();
        assert_eq!(files.files, [("data.bin".to_owned(), 1)].into());
    }
}

#[tokio::test]
async fn files_of_more_bytes_than_are_allowed_are_refused_and_none_is_left() {
    let fixture = Fixture::new().await;
    let most = 4 << 20;
    let parts = |second: usize| [file("a", &content(most / 2)), file("b", &content(second))];
    fixture.keep(&parts(most / 2), &["a", "b"]).await.unwrap();
    fixture.sandbox.forget_data_files(&fixture.digest, None).await.unwrap();
    let error = fixture.keep(&parts(most / 2 + 1), &["a", "b"]).await.unwrap_err();
    assert_eq!(error.code, "data-files-too-large");
    assert!(error.message.ends_with("more than 4 MiB together"), "{error}");
    assert_eq!(fs::read_dir(fixture.data()).unwrap().count(), 0);
    // One that claims more than there is does not make room for it either.
    let mut lying = Header::new_ustar();
    lying.as_mut_bytes()[..8].copy_from_slice(b"data.bin");
    lying.set_entry_type(EntryType::Regular);
    lying.set_size(1 << 32);
    lying.set_cksum();
    assert!(fixture.refusal(lying.as_bytes()).await.contains("broken"));
}

#[tokio::test]
async fn a_guest_reads_what_it_was_given_wherever_it_runs() {
    let here = Fixture::new().await;
    let folder = TempDir::new().unwrap();
    let there = Fixture::of(isolation::sandbox_in(folder.path()), folder).await;
    let bytes = content((5 << 19) + 3);
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    for fixture in [here, there] {
        let files = fixture.keep(&[file("data.bin", &bytes)], &["data.bin"]).await.unwrap();
        let plugin = fixture.load(&files).await;
        let read = |amount| trying("data-bytes", amount, Limits::default());
        assert_eq!(answer(&*plugin, read(0)).await.unwrap(), "0 bytes, 0");
        assert_eq!(answer(&*plugin, read(3)).await.unwrap(), "3 bytes, 21");
        // In three pieces, and to the end of the file.
        let all = format!("{} bytes, {sum}", bytes.len());
        assert_eq!(answer(&*plugin, read(bytes.len() as u64)).await.unwrap(), all);
        assert_eq!(answer(&*plugin, read(1 << 30)).await.unwrap(), all);

        // By other names it gets at nothing.
        let other = fixture.keep(&[file("words.txt", b"cat")], &["words.txt"]).await.unwrap();
        let other = fixture.load(&other).await;
        for plugin in [&other, &fixture.sandbox.load(&fixture.digest, None).await.unwrap()] {
            let (kind, message) =
                answer(&**plugin, trying("data-file", 0, Limits::default())).await.unwrap_err();
            assert_eq!(kind, FailureKind::Denied);
            assert!(message.starts_with("there is no data file `data.bin` here"), "{message}");
        }
        // What a config means must not depend on files.
        let error = plugin.metrics(&json!({"behaviour": "data-file-in-metrics"}), &Limits::default()).await;
        assert!(error.unwrap_err().message.contains("there is no data file `data.bin` here"));
    }
}

#[tokio::test]
async fn bytes_that_are_read_are_counted() {
    let here = Fixture::new().await;
    let folder = TempDir::new().unwrap();
    let there = Fixture::of(isolation::sandbox_in(folder.path()), folder).await;
    for fixture in [here, there] {
        let files = fixture.keep(&[file("data.bin", &content(3 << 20))], &["data.bin"]).await.unwrap();
        let plugin = fixture.load(&files).await;
        for most in [1000, (2 << 20) + 9] {
            let limits = Limits { data_bytes: most, ..Limits::default() };
            assert!(answer(&*plugin, trying("data-bytes", most, limits)).await.is_ok());
            let ended = answer(&*plugin, trying("data-bytes", most + 1, limits)).await.unwrap_err();
            let message =
                format!("the plugin read {} bytes of its data files; the limit is {most}", most + 1);
            assert_eq!(ended, (FailureKind::CallLimit, message));
        }
    }
}

#[tokio::test]
async fn files_are_kept_by_their_digest_until_they_are_forgotten() {
    let fixture = Fixture::new().await;
    let first = fixture.keep(&[file("data.bin", b"\x01")], &["data.bin"]).await.unwrap();
    let second = fixture.keep(&[file("data.bin", b"\x02")], &["data.bin"]).await.unwrap();
    let (one, two) = (fixture.load(&first).await, fixture.load(&second).await);
    let read = || trying("data-bytes", 9, Limits::default());
    assert_eq!(answer(&*one, read()).await.unwrap(), "1 bytes, 1");
    assert_eq!(answer(&*two, read()).await.unwrap(), "1 bytes, 2");

    fixture.sandbox.forget_data_files(&fixture.digest, Some(&second.digest)).await.unwrap();
    let load = |files: &DataFiles| {
        let digest = files.digest.clone();
        let fixture = &fixture;
        async move { fixture.sandbox.load(&fixture.digest, Some(&digest)).await.map(drop) }
    };
    load(&second).await.unwrap();
    assert_eq!(load(&first).await.unwrap_err().code, "data-files-not-found");
    // Who reads them goes on.
    assert_eq!(answer(&*one, read()).await.unwrap(), "1 bytes, 1");

    fixture.sandbox.forget(&fixture.digest).await.unwrap();
    assert!(!fixture.data().join(&second.digest).exists());
}

#[tokio::test]
async fn files_that_were_changed_on_disk_are_not_read() {
    let fixture = Fixture::new().await;
    let files = fixture.keep(&[file("data.bin", b"7")], &["data.bin"]).await.unwrap();
    let path = fixture.data().join(&files.digest).join("files/data.bin");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"8").unwrap();
    let error = fixture.sandbox.load(&fixture.digest, Some(&files.digest)).await.map(drop).unwrap_err();
    assert_eq!(error.code, "data-files-damaged");
    assert!(error.message.contains("`data.bin` was changed"), "{error}");
    // Given again, they are whole.
    assert_eq!(fixture.keep(&[file("data.bin", b"7")], &["data.bin"]).await.unwrap(), files);
    let plugin = fixture.load(&files).await;
    assert_eq!(
        answer(&*plugin, trying("data-bytes", 9, Limits::default())).await.unwrap(),
        format!("1 bytes, {}", b'7')
    );
}
