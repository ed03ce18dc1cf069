//! Everything that outlives the process, in one `SQLite` file.
//!
//! [`Storage`] implements the repositories of the domain. Several handles, in one process or in several, may
//! share one file: a running server and a command beside it see the same benchmarks.
//!
//! How it holds together:
//! - The file is in write-ahead mode: readers never wait, and what is committed survives a process that is
//!   killed. Commits are not forced to the disk one by one (`synchronous = NORMAL`), so a power failure may take
//!   the last moments of a benchmark, never its consistency; a resumed benchmark then does those samples again.
//! - A handle writes through one connection, in transactions that take the write lock at their start. So writers
//!   queue up instead of failing: inside the process at the pool, between processes at the lock.
//! - Other code must not open and close the file while this process has it open: that would drop `SQLite`'s locks
//!   (a trait of POSIX locks).

mod audit;
mod benchmark;
mod column;
mod dataset;
mod error;
mod hardware;
mod json;
mod model;
mod open;
mod page;
mod plugin;
mod response_cache;
mod sample;
mod text;
mod token;
mod verification;

use llm_bench_core::Result;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::database_error;

/// The program's database. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Storage {
    /// One connection, so that this process's writers queue up here.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Storage {
    /// Waits for running statements, moves what is in the write-ahead log into the database and closes it.
    /// Dropping the storage instead loses nothing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Starts a transaction that may write. Dropped without a commit, it changes nothing.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(database_error)
    }
}

async fn commit(transaction: Transaction<'static, Sqlite>) -> Result<()> {
    transaction.commit().await.map_err(database_error)
}

#[cfg(test)]
mod tests {
    use llm_bench_core::ErrorKind;
    use llm_bench_core::dataset::{Dataset, DatasetRepository};
    use llm_bench_core::model::Origin;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_said_and_once_there_is_space_again_work_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&folder.path().join("llm-bench.sqlite")).await.unwrap();
        let dataset = |number: usize| Dataset {
            name: format!("dataset-{number}"),
            origin: Origin::Local,
            description: "x".repeat(100_000),
            licence: None,
            gold: Vec::new(),
            splits: Vec::new(),
        };

        // The limit belongs to the connection, so a full disk is one that the pool still holds.
        sqlx::query("PRAGMA max_page_count = 100").execute(&storage.writer).await.unwrap();
        let mut stored = 0;
        let error = loop {
            match DatasetRepository::save(&storage, &dataset(stored)).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "storage-full"));
        assert!(stored > 0 && stored < 5, "{stored}");

        DatasetRepository::save(&storage, &dataset(stored)).await.unwrap();
        assert_eq!(DatasetRepository::list(&storage).await.unwrap().len(), stored + 1);
    }
}
