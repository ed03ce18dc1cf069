//! Loose files: what is accepted, and the sentence for what is not.

use std::path::Path;
use std::process::Command;

use crate::support::{Folder, good_rows, inspect_file, outcomes, refusal};
use llm_bench_core::ErrorKind;
use llm_bench_core::dataset::{DatasetFiles, DatasetReader, Format};
use llm_bench_core::model::Origin;
use llm_bench_datasets::FileDatasetReader;

#[tokio::test]
async fn each_ending_has_its_format() {
    let folder = Folder::new();
    for name in ["a.jsonl", "a.ndjson", "a.json", "A.JSONL"] {
        let split = inspect_file(&folder.file(name, "{\"b\": 1, \"a\": 2}")).await.unwrap();
        assert_eq!((split.format, split.rows), (Format::JsonLines, 1), "{name}");
        assert_eq!(split.columns, ["b", "a"]);
    }
    let split = inspect_file(&folder.file("a.csv", "b,a\n1,2")).await.unwrap();
    assert_eq!((split.format, split.rows), (Format::Csv, 1));

    for (name, way_out) in [
        ("a.jsonl.gz", "unpack it first"),
        ("a.parquet", "convert it to JSON Lines"),
        ("a.tsv", "convert it to JSON Lines"),
        ("a.txt", ".jsonl, .ndjson and .json"),
        ("a", ".csv as comma-separated values"),
    ] {
        let error = refusal(name, "anything").await;
        assert_eq!(error.code, "dataset-format-unsupported");
        assert!(error.message.contains(&format!("{name}` ")) && error.message.contains(way_out), "{error}");
    }
}

#[tokio::test]
async fn loose_files_make_a_dataset_without_gold() {
    let folder = Folder::new();
    let train = folder.file("a.jsonl", "{\"a\": 1}\n");
    let test = folder.file("b.csv", "a\n1\n");
    let files = |splits: &[(&str, &Path)]| DatasetFiles {
        name: "a.jsonl,b.csv".to_owned(),
        origin: Origin::Path,
        splits: splits.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect(),
    };
    let reader = FileDatasetReader::new();
    let dataset = reader.inspect_files(files(&[("train", &train), ("test", &test)])).await.unwrap();
    assert_eq!(
        (dataset.name.as_str(), dataset.origin, dataset.gold.len()),
        ("a.jsonl,b.csv", Origin::Path, 0)
    );
    assert_eq!(dataset.splits.len(), 2);

    let error = reader.inspect_files(files(&[("test", &train), ("test", &test)])).await.unwrap_err();
    assert_eq!(error.code, "split-named-twice");
    assert_eq!(reader.inspect_files(files(&[])).await.unwrap_err().code, "dataset-without-files");
}

#[tokio::test]
async fn a_byte_order_mark_is_dropped_and_other_encodings_are_named() {
    let folder = Folder::new();
    for (name, content) in [("a.jsonl", "\u{feff}{\"a\": \"1\"}\n"), ("a.csv", "\u{feff}\"a\"\n1\n")] {
        let split = inspect_file(&folder.file(name, content)).await.unwrap();
        assert_eq!(split.columns, ["a"]);
        assert_eq!(split.bytes, content.len() as u64);
        assert_eq!(good_rows(&split, 0).await[0].row["a"], "1");
    }
    let utf16 =
        |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    for (content, name) in [
        (utf16(u16::to_le_bytes, "\u{feff}{\"a\": 1}"), "UTF-16"),
        (utf16(u16::to_be_bytes, "\u{feff}{\"a\": 1}"), "UTF-16"),
        (utf16(u16::to_le_bytes, "{\"a\": 1}"), "UTF-16"),
        (b"\x1f\x8b\x08\0\0\0".to_vec(), "gzip"),
        (b"PK\x03\x04....".to_vec(), "zip"),
        (b"PAR1....".to_vec(), "Parquet"),
        (vec![0; 4096], "binary"),
    ] {
        let error = refusal("data.jsonl", content).await;
        assert_eq!(error.code, "dataset-file-encoding");
        assert!(error.message.contains(name) && error.message.contains("data.jsonl"), "{error}");
    }
}

#[tokio::test]
async fn a_file_without_rows_is_refused() {
    for (name, content, reason) in [
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\u{feff}", "is empty"),
        ("a.jsonl", "\n \r\n\n", "holds no row"),
        ("a.csv", "a,b\n", "holds no row"),
        ("a.csv", "a,b", "holds no row"),
        ("a.csv", "\n\n", "holds no row"),
    ] {
        let error = refusal(name, content).await;
        assert_eq!(error.code, "dataset-file-empty", "{content:?}");
        assert!(error.message.contains(reason), "{content:?}: {error}");
    }
}

#[tokio::test]
async fn only_regular_files_are_opened() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe.jsonl");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, reason) in
        [(folder.path(), "is a folder"), (&*pipe, "is a pipe"), (Path::new("/dev/zero"), "a device")]
    {
        let error = inspect_file(path).await.unwrap_err();
        assert_eq!(error.code, "dataset-file-not-regular", "{error}");
        assert!(error.message.contains(reason), "{error}");
    }
    folder.file("dataset.toml", "name = 'x'\n[splits]\ntest = 'pipe.jsonl'\n");
    assert_eq!(folder.inspect().await.unwrap_err().code, "dataset-file-not-regular");

    let error = inspect_file(&folder.path().join("none.jsonl")).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::NotFound, "dataset-file-not-found"));
    assert!(error.message.contains("none.jsonl"), "{error}");
}

#[tokio::test]
async fn the_first_row_must_be_readable_and_the_error_says_why_it_is_not() {
    for (name, content, place, reason) in [
        ("a.json", "[{\"a\": 1}, {\"a\": 2}]", "line 1", "write one object a line"),
        ("a.json", "[\n  {\"a\": 1}\n]\n", "line 1", "write one object a line"),
        ("a.jsonl", "\n\n{\n\"a\": 1\n}\n", "line 3", "whole on one line"),
        ("a.jsonl", "{\"a\": nope}\n", "line 1", "expected ident at column 8"),
        ("a.jsonl", "42\n", "line 1", "a number where a JSON object is wanted"),
        ("a.csv", "\na,b\n1,2,3\n", "line 3", "number of values is 3"),
        ("a.csv", "a,b\n\"1,2\n3,4\n", "line 2", "never closed"),
    ] {
        let error = refusal(name, content).await;
        assert_eq!(error.code, "unreadable-row", "{content:?}");
        assert!(error.message.contains(place) && error.message.contains(reason), "{content:?}: {error}");
        assert!(error.message.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_csv_header_must_name_each_column_once() {
    for (content, reason) in [("a,b,a\n1,2,3\n", "names column `a` twice"), ("a,\"b\n1,2\n", "never closed")]
    {
        let error = refusal("a.csv", content).await;
        assert_eq!(error.code, "dataset-header-invalid");
        assert!(error.message.contains("line 1") && error.message.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn an_unreadable_row_behind_the_first_does_not_stop_a_registration() {
    let folder = Folder::new();
    let split = inspect_file(&folder.file("a.jsonl", "{\"a\": 1}\nbroken\n{\"a\": 3}\n")).await.unwrap();
    assert_eq!(split.rows, 3);
    let outcomes = outcomes(&split).await;
    assert_eq!(outcomes[0], (0, "{\"a\":1}".to_owned()));
    assert_eq!(outcomes[1], (1, "a.jsonl, line 2: expected value at column 1".to_owned()));
    assert_eq!(outcomes[2], (2, "{\"a\":3}".to_owned()));
}
