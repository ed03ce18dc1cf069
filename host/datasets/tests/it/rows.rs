//! Streams of rows.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};

use crate::support::{Folder, all_rows, good_rows, inspect_file, outcomes};
use futures::StreamExt;
use llm_bench_core::dataset::{DatasetReader, Format, NumberedRow, Split};
use llm_bench_core::{Json, Row};
use llm_bench_datasets::FileDatasetReader;
use proptest::prelude::*;
use serde_json::json;

fn numbered_lines(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "{{\"number\": {number}, \"text\": \"{}\"}}", "x".repeat(80)).unwrap();
        text
    })
}

#[tokio::test]
async fn a_row_keeps_the_order_of_its_columns_and_its_values() {
    let folder = Folder::new();
    let line = r#"{"z":1,"a":[0.1,1e300,-0.0],"m":{"y":null,"b":"ü\u0000"},"big":18446744073709551615}"#;
    let split = inspect_file(&folder.file("a.jsonl", line)).await.unwrap();
    assert_eq!(split.columns, ["z", "a", "m", "big"]);
    assert_eq!(outcomes(&split).await[0].1, serde_json::from_str::<Json>(line).unwrap().to_string());
}

#[tokio::test]
async fn rows_are_read_as_they_are_asked_for() {
    let folder = Folder::new();
    let path = folder.file("a.jsonl", numbered_lines(200_000));
    let split = inspect_file(&path).await.unwrap();
    assert_eq!(split.rows, 200_000);
    let mut rows = FileDatasetReader::new().rows(&split, 0);
    for index in 0..3 {
        assert_eq!(rows.next().await.unwrap().unwrap().unwrap().index, index);
    }
    // Of what the file loses now, only what was read ahead can still come.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let rest: Vec<_> = rows.collect().await;
    assert!(rest.len() < 2_000, "{} rows were read ahead", rest.len());
    let error = rest.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.code, "dataset-file-changed");
    assert!(error.message.contains("became shorter"), "{error}");
}

#[tokio::test]
async fn every_row_of_a_long_file_comes_once_and_in_order() {
    let folder = Folder::new();
    let split = inspect_file(&folder.file("a.jsonl", numbered_lines(200_000))).await.unwrap();
    let mut rows = FileDatasetReader::new().rows(&split, 0);
    let mut expected = 0;
    while let Some(row) = rows.next().await {
        let NumberedRow { index, row } = row.unwrap().unwrap();
        assert_eq!((index, &row["number"]), (expected, &json!(expected)));
        expected += 1;
    }
    assert_eq!(expected, 200_000);
}

#[tokio::test]
async fn a_stream_starts_where_it_is_told_to() {
    let folder = Folder::new();
    let csv = (0..50_000).fold("number\n".to_owned(), |mut text, number| {
        writeln!(text, "{number}").unwrap();
        text
    });
    let lines = numbered_lines(50_000);
    for split in [
        inspect_file(&folder.file("a.jsonl", &lines)).await.unwrap(),
        inspect_file(&folder.file("a.csv", &csv)).await.unwrap(),
    ] {
        let rows = good_rows(&split, 49_998).await;
        assert_eq!(rows.iter().map(|row| row.index).collect::<Vec<_>>(), [49_998, 49_999]);
        assert_eq!(rows[0].row["number"].to_string().trim_matches('"'), "49998");
        assert!(good_rows(&split, 50_000).await.is_empty());
        assert!(good_rows(&split, u64::MAX).await.is_empty());
    }
}

#[tokio::test]
async fn blank_lines_count_as_lines_but_not_as_rows() {
    let folder = Folder::new();
    let content = "\n{\"a\": 1}\r\n\r\n   \n{\"a\": 2}\n\n{\"a\": \n{\"a\": 3}";
    let split = inspect_file(&folder.file("a.jsonl", content)).await.unwrap();
    assert_eq!(split.rows, 4);
    let outcomes = outcomes(&split).await;
    assert_eq!(outcomes.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(outcomes[2].1.starts_with("a.jsonl, line 7: "), "{}", outcomes[2].1);
    assert_eq!(outcomes[3].1, "{\"a\":3}");
}

#[tokio::test]
async fn unreadable_json_rows_are_told_apart_and_passed_over() {
    let folder = Folder::new();
    let mut content = b"{\"a\": 1}\n{\"a\": \"\xff\"}\n".to_vec();
    content.extend_from_slice(
        format!("{{\"a\": {}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000)).as_bytes(),
    );
    content.extend_from_slice(b"{\"a\": NaN}\n[1]\n{\"a\": 6}\n");
    let split = inspect_file(&folder.file("a.jsonl", content)).await.unwrap();
    let outcomes = outcomes(&split).await;
    let messages: Vec<_> = outcomes.iter().map(|(_, outcome)| outcome.as_str()).collect();
    assert_eq!(messages[1], "a.jsonl, line 2: byte 8 of the line is not UTF-8");
    assert!(messages[2].starts_with("a.jsonl, line 3: recursion limit exceeded"), "{}", messages[2]);
    assert!(messages[3].starts_with("a.jsonl, line 4: expected value at column 7"), "{}", messages[3]);
    assert!(messages[4].starts_with("a.jsonl, line 5: a JSON array"), "{}", messages[4]);
    assert_eq!(messages[5], "{\"a\":6}");
}

#[tokio::test]
async fn a_row_that_is_too_long_is_passed_over_in_both_formats() {
    let folder = Folder::new();
    let long = "x".repeat(17 << 20);
    for (name, content) in [
        ("a.jsonl", format!("{{\"a\": \"1\"}}\n{{\"a\": \"{long}\"}}\n{{\"a\": \"3\"}}\n")),
        ("a.csv", format!("a\n1\n\"{long}\"\n3\n")),
    ] {
        let split = inspect_file(&folder.file(name, content)).await.unwrap();
        assert_eq!(split.rows, 3);
        let outcomes = outcomes(&split).await;
        let line = if name == "a.csv" { 3 } else { 2 };
        assert_eq!(outcomes[1].1, format!("{name}, line {line}: the row is longer than 16 MiB"));
        assert_eq!(outcomes[2], (2, "{\"a\":\"3\"}".to_owned()));
    }
}

#[tokio::test]
async fn csv_values_are_text_and_may_hold_quotes_commas_and_lines() {
    let folder = Folder::new();
    let content = "id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n\r\n2,\r\n3,4,5\r\n4\r\n5,\"\"\n6,last";
    let split = inspect_file(&folder.file("a.csv", content)).await.unwrap();
    assert_eq!(split.rows, 6);
    let outcomes = outcomes(&split).await;
    let texts: Vec<_> = outcomes.iter().map(|(_, outcome)| outcome.as_str()).collect();
    assert_eq!(
        texts,
        [
            r#"{"id":"1","text":"a, \"b\"\r\nc"}"#,
            r#"{"id":"2","text":""}"#,
            "a.csv, line 6: the header names 2 columns, but the row's number of values is 3",
            "a.csv, line 7: the header names 2 columns, but the row's number of values is 1",
            r#"{"id":"5","text":""}"#,
            r#"{"id":"6","text":"last"}"#,
        ]
    );
}

#[tokio::test]
async fn a_quote_that_is_never_closed_fails_its_row() {
    let folder = Folder::new();
    let split = inspect_file(&folder.file("a.csv", "a,b\n1,2\n3,\"4\n5,6\n7,8\n")).await.unwrap();
    let outcomes = outcomes(&split).await;
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1].1, "a.csv, line 3: a quote that opens in this row is never closed");

    // A value may end in a line end, and the file in a quote.
    let split = inspect_file(&folder.file("b.csv", "a\n\"1\n\"")).await.unwrap();
    assert_eq!(good_rows(&split, 0).await[0].row["a"], "1\n");
}

#[tokio::test]
async fn csv_text_that_is_not_utf8_fails_its_row() {
    let folder = Folder::new();
    let split = inspect_file(&folder.file("a.csv", b"a,b\n1,2\n3,x\xe9\n5,6\n")).await.unwrap();
    let outcomes = outcomes(&split).await;
    assert_eq!(outcomes[1].1, "a.csv, line 3: byte 2 of the value of column `b` is not UTF-8");
    assert_eq!(outcomes.len(), 3);
}

#[tokio::test]
async fn a_file_that_is_gone_or_changed_ends_the_stream_at_once() {
    let folder = Folder::new();
    let path = folder.file("a.jsonl", "{\"a\": 1}\n");
    let split = inspect_file(&path).await.unwrap();
    fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
    let rows = all_rows(&split, 0).await;
    assert_eq!(rows.len(), 1);
    let error = rows[0].as_ref().unwrap_err();
    assert_eq!(error.code, "dataset-file-changed");
    assert!(error.message.contains("18 bytes") && error.message.contains("had 9"), "{error}");

    fs::remove_file(&path).unwrap();
    let rows = all_rows(&split, 0).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].as_ref().unwrap_err().code, "dataset-file-not-found");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |number| number.is_finite())
            .prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_row() -> impl Strategy<Value = Row> {
    prop::collection::vec((any::<String>(), any_json()), 0..5).prop_map(|fields| fields.into_iter().collect())
}

fn read_back(name: &str, content: &[u8]) -> (Split, Vec<Row>) {
    let folder = Folder::new();
    let path = folder.file(name, content);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let split = inspect_file(&path).await.unwrap();
        let rows = good_rows(&split, 0).await.into_iter().map(|row| row.row).collect();
        (split, rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_lines_that_are_written_read_back(rows in prop::collection::vec(any_row(), 1..100), end in "(\n|\r\n|\n\n)") {
        let content: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + &end).collect();
        let (split, read) = read_back("a.jsonl", content.as_bytes());
        prop_assert_eq!(split.format, Format::JsonLines);
        prop_assert_eq!(split.rows, rows.len() as u64);
        prop_assert_eq!(json!(read).to_string(), json!(rows).to_string());
    }

    #[test]
    fn csv_that_is_written_reads_back(
        columns in prop::collection::hash_set("[^\u{feff}\0]{1,5}", 2..5),
        values in prop::collection::vec(prop::collection::vec(any::<String>(), 5), 1..50),
    ) {
        let columns: HashSet<String> = columns;
        let columns: Vec<String> = columns.into_iter().collect();
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        writer.write_record(&columns).unwrap();
        for row in &values {
            writer.write_record(&row[..columns.len()]).unwrap();
        }
        let (split, read) = read_back("a.csv", &writer.into_inner().unwrap());
        prop_assert_eq!(split.rows, values.len() as u64);
        for (row, values) in read.iter().zip(&values) {
            let expected: Row = columns.iter().cloned().zip(values.iter().cloned().map(Json::from)).collect();
            prop_assert_eq!(row, &expected);
        }
    }
}
