//! Opening files: new ones, old ones, and what is no database of ours.

use std::path::Path;

use llm_bench_core::ErrorKind;
use llm_bench_core::model::ModelRepository;
use llm_bench_storage::Storage;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::common::{Database, model};

async fn execute(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_folder_is_made_and_both_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/llm-bench.sqlite");
    let storage = Storage::open(&path).await.unwrap();
    storage.save(&model("a")).await.unwrap();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = entry.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn many_may_open_a_missing_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llm-bench.sqlite");
    let opened = futures::future::join_all((0..8).map(|_| Storage::open(&path))).await;
    for (number, storage) in opened.into_iter().enumerate() {
        ModelRepository::save(&storage.unwrap(), &model(&format!("m{number}"))).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let contents = "these are my notes, and there are a lot of them. ".repeat(100);
    std::fs::write(&path, &contents).unwrap();

    let error = Storage::open(&path).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "not-a-database"));
    assert!(error.message.contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), contents);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    execute(&path, "CREATE TABLE benchmarks (theirs TEXT)").await;
    let contents = std::fs::read(&path).unwrap();

    let error = Storage::open(&path).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "not-a-database"));
    assert_eq!(std::fs::read(&path).unwrap(), contents);
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_its_name() {
    let database = Database::new().await;
    database.storage.close().await;
    let mut contents = std::fs::read(&database.path).unwrap();
    contents[100..4096].fill(0xa5);
    std::fs::write(&database.path, contents).unwrap();

    let error = Storage::open(&database.path).await.unwrap_err();
    assert_eq!(error.code, "not-a-database");
    assert!(error.message.contains("llm-bench.sqlite"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_said_so() {
    let database = Database::new().await;
    database.storage.close().await;
    execute(
        &database.path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;

    let error = Storage::open(&database.path).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "database-too-new"));
    assert!(error.message.contains("9999") && error.message.contains("llm-bench.sqlite"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused() {
    let database = Database::new().await;
    database.storage.close().await;
    execute(&database.path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;

    let error = Storage::open(&database.path).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "database-incompatible"));
}

#[tokio::test]
async fn a_set_up_that_was_cut_off_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llm-bench.sqlite");
    execute(
        &path,
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
            installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
            checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
    )
    .await;
    let storage = Storage::open(&path).await.unwrap();
    ModelRepository::save(&storage, &model("a")).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();

    let error = Storage::open(&file.join("llm-bench.sqlite")).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "storage-unwritable"));
    assert!(error.message.contains("file/llm-bench.sqlite"), "{error}");
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llm-bench.sqlite");
    std::fs::create_dir(&path).unwrap();
    let error = Storage::open(&path).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "storage-unwritable"));
}
