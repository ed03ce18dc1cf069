//! Folders that bear a `dataset.toml`.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Folder, good_rows};
use llm_bench_core::dataset::{DatasetReader, Format};
use llm_bench_core::model::Origin;
use llm_bench_datasets::FileDatasetReader;

const CARD: &str = "name = 'colours'\ndescription = 'Two colours'\nlicence = 'CC0-1.0'\ngold = ['answer']\n\
                    [splits]\ntrain = 'data/train.csv'\ntest = 'test.jsonl'\n";

fn colours() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    folder.file("dataset.toml", CARD);
    folder.file("data/train.csv", "question,answer\nsky,blue\ngrass,green\n");
    folder.file("test.jsonl", "{\"question\": \"snow\", \"answer\": \"white\"}\n");
    folder
}

#[tokio::test]
async fn a_folder_is_known_by_its_card_and_its_files() {
    let folder = colours();
    let dataset = folder.inspect().await.unwrap();
    assert_eq!((dataset.name.as_str(), dataset.origin), ("colours", Origin::Local));
    assert_eq!((dataset.description.as_str(), dataset.licence.as_deref()), ("Two colours", Some("CC0-1.0")));
    assert_eq!(dataset.gold, ["answer"]);
    assert_eq!(dataset.splits.iter().map(|split| split.name.as_str()).collect::<Vec<_>>(), ["train", "test"]);

    let train = dataset.split("train").unwrap();
    assert_eq!((train.format, train.rows, train.bytes), (Format::Csv, 2, 37));
    assert_eq!(train.columns, ["question", "answer"]);
    assert_eq!(train.digest, "f18ffa09d5f1230692e6448cefbff30a6eef02ee7d98851b52a9259ba1335857");
    assert_eq!(train.path, folder.path().canonicalize().unwrap().join("data/train.csv"));
    assert_eq!(good_rows(train, 0).await[1].row["answer"], "green");
    assert_eq!(dataset.split("test").unwrap().format, Format::JsonLines);
}

#[tokio::test]
async fn the_bundled_datasets_read_well_to_their_last_row() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/datasets");
    for (name, columns) in [
        ("arithmetic", vec!["question", "choices", "answer"]),
        ("capitals", vec!["question", "choices", "answer"]),
        ("opposites", vec!["question", "choices", "answer"]),
        ("reading", vec!["context", "question", "answer"]),
        ("stories", vec!["text"]),
    ] {
        let dataset =
            FileDatasetReader::new().inspect_folder(&assets.join(name), Origin::Bundled).await.unwrap();
        assert_eq!(dataset.name, name);
        assert!(dataset.licence.is_some() && !dataset.description.is_empty());
        assert_eq!(dataset.default_split().unwrap().name, "test");
        for split in &dataset.splits {
            assert_eq!(split.columns, columns);
            let rows = good_rows(split, 0).await;
            assert_eq!(rows.len() as u64, split.rows);
            assert!(rows.iter().all(|row| row.row.keys().eq(columns.iter())), "{name}");
        }
    }
}

#[tokio::test]
async fn a_file_outside_the_folder_is_refused_however_it_is_named() {
    let outside = Folder::new();
    let secret = outside.file("secret.jsonl", "{\"a\": 1}\n");
    let folder = Folder::new();
    symlink(&secret, folder.path().join("link.jsonl")).unwrap();
    symlink(outside.path(), folder.path().join("door")).unwrap();
    let up = format!("../{}/secret.jsonl", outside.path().file_name().unwrap().to_str().unwrap());
    for file in ["link.jsonl", "door/secret.jsonl", secret.to_str().unwrap(), &up] {
        folder.file("dataset.toml", format!("name = 'x'\n[splits]\ntest = '{file}'\n"));
        let error = folder.inspect().await.unwrap_err();
        assert_eq!(error.code, "dataset-path-outside", "{file}: {error}");
        assert!(error.message.contains(file), "{error}");
    }
    // The card itself must lie inside as well.
    std::fs::remove_file(folder.path().join("dataset.toml")).unwrap();
    symlink(outside.file("dataset.toml", "name = 'x'\n"), folder.path().join("dataset.toml")).unwrap();
    assert_eq!(folder.inspect().await.unwrap_err().code, "dataset-path-outside");
}

#[tokio::test]
async fn a_link_that_stays_inside_is_followed() {
    let folder = Folder::new();
    let real = folder.file("real.txt", "{\"a\": 1}\n");
    symlink("real.txt", folder.path().join("test.jsonl")).unwrap();
    folder.file("dataset.toml", "name = 'x'\n[splits]\ntest = 'test.jsonl'\n");
    let dataset = folder.inspect().await.unwrap();
    assert_eq!(dataset.splits[0].path, real.canonicalize().unwrap());
    assert_eq!(good_rows(&dataset.splits[0], 0).await.len(), 1);
}

#[tokio::test]
async fn a_gold_column_that_no_split_has_is_refused() {
    let folder = colours();
    folder.file("dataset.toml", CARD.replace("['answer']", "['anwser']"));
    let error = folder.inspect().await.unwrap_err();
    assert_eq!(error.code, "dataset-card-invalid");
    assert!(error.message.contains("`anwser`") && error.message.contains("question, answer"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let folder = Folder::new();
    let error = folder.inspect().await.unwrap_err();
    assert_eq!(error.code, "dataset-card-not-found");

    let file = folder.file("dataset.toml", "name = 'x'\n[splits]\ntest = 'test.jsonl'\n");
    let error = folder.inspect().await.unwrap_err();
    assert_eq!(error.code, "dataset-file-not-found");
    assert!(error.message.contains("test.jsonl"), "{error}");

    let reader = FileDatasetReader::new();
    let error = reader.inspect_folder(&file, Origin::Local).await.unwrap_err();
    assert!(error.message.ends_with("is not a folder"), "{error}");
    let error = reader.inspect_folder(&folder.path().join("none"), Origin::Local).await.unwrap_err();
    assert_eq!(error.code, "dataset-folder-not-found");
}

#[tokio::test]
async fn a_mistake_in_the_card_is_named_with_file_and_line() {
    let folder = colours();
    let card = folder.file("dataset.toml", CARD.replace("licence", "license"));
    let error = folder.inspect().await.unwrap_err();
    assert!(error.message.starts_with(&format!("{}, line 3, column 1: ", card.display())), "{error}");
    assert!(error.message.contains("`license`"), "{error}");
}
