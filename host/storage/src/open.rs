//! Opening the database: making it if it is missing, refusing what is not ours, bringing it up to date.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_bench_core::{Error, Result};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::Storage;
use crate::error::{database_error, is_no_database};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `LLMB` in ASCII; the first migration writes it.
const APPLICATION_ID: i64 = 0x4c4c_4d42;

/// How long a writer waits for the writers of other processes. Their transactions take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// The write-ahead log is cut back to this once its content has moved into the database.
const JOURNAL_SIZE_LIMIT_BYTES: &str = "67108864";

const READERS: u32 = 4;

impl Storage {
    /// Opens the database in a file, which is made if it is missing, as is its folder: both for their owner alone.
    /// A file `<name>.lock` beside it keeps two processes from setting it up at once.
    ///
    /// # Errors
    /// `not-a-database` for a file of something else, `database-too-new` for one that a newer version of this
    /// program wrote, `database-incompatible` for one of a development build, `storage-unwritable` and
    /// `storage-full`; each names the file.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|error| unwritable(path, &error))?;
        let _lock = prepare(path.clone()).await?;
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(BUSY_TIMEOUT);
        check_is_ours(&path, &options).await?;

        let options = options
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT_BYTES);
        let storage = Self {
            writer: connect_writer(&options).await.map_err(|error| naming(&path, database_error(error)))?,
            readers: unaging(SqlitePoolOptions::new())
                .max_connections(READERS)
                .connect_lazy_with(options.pragma("query_only", "ON")),
        };
        storage.migrate(&path).await?;
        Ok(storage)
    }

    async fn migrate(&self, path: &Path) -> Result<()> {
        MIGRATIONS.run(&self.writer).await.map_err(|error| match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => {
                naming(path, database_error(cause))
            }
            other => Error::unsupported(
                "database-incompatible",
                format!(
                    "`{}` was made by a development version of this program: move it away, or name another file",
                    path.display()
                ),
            )
            .because(other),
        })?;
        // A file that cannot be written is found out here, not when the first sample is finished.
        self.write().await.map_err(|error| naming(path, error))?;
        Ok(())
    }
}

/// Makes the folder and an empty file, and waits until no other process is doing so. The lock lives as long as the
/// file that is returned.
async fn prepare(path: PathBuf) -> Result<File> {
    let preparing = tokio::task::spawn_blocking(move || {
        let prepare = || {
            if let Some(folder) = path.parent() {
                private_folder().create(folder)?;
            }
            let mut lock_path = path.clone().into_os_string();
            lock_path.push(".lock");
            let lock = private_file().truncate(false).create(true).open(lock_path)?;
            lock.lock()?;
            match private_file().create_new(true).open(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(lock),
            }
        };
        prepare().map_err(|error| unwritable(&path, &error))
    });
    preparing.await.map_err(|error| {
        Error::internal("storage-failed", "opening the database was interrupted").because(error)
    })?
}

/// The log and its index get the permissions of the database file from `SQLite`.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Looks into the file before anything is written to it.
async fn check_is_ours(path: &Path, options: &SqliteConnectOptions) -> Result<()> {
    let mut connection = options.connect().await.map_err(|error| not_opened(path, error))?;
    let newest = newest_migration(path, &mut connection).await;
    connection.close().await.map_err(|error| not_opened(path, error))?;

    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    match newest? {
        Some(newest) if Some(newest) > known => Err(Error::unsupported(
            "database-too-new",
            format!(
                "`{}` was written by a newer version of this program (schema {newest}, this one knows {}): \
                 update the program, or name another file",
                path.display(),
                known.unwrap_or_default()
            ),
        )),
        _ => Ok(()),
    }
}

/// The newest migration that was applied; none in an empty file.
async fn newest_migration(path: &Path, connection: &mut SqliteConnection) -> Result<Option<i64>> {
    const APPLICATION: &str = "PRAGMA application_id";
    const TABLES: &str = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";
    const NEWEST: &str = "SELECT max(version) FROM _sqlx_migrations";

    let failed = |error| not_opened(path, error);
    let application: i64 =
        sqlx::query_scalar(APPLICATION).fetch_one(&mut *connection).await.map_err(failed)?;
    if application == APPLICATION_ID {
        return sqlx::query_scalar(NEWEST).fetch_one(connection).await.map_err(failed);
    }
    let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(connection).await.map_err(failed)?;
    if application == 0 && tables == 0 { Ok(None) } else { Err(not_ours(path)) }
}

async fn connect_writer(options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    unaging(SqlitePoolOptions::new())
        .max_connections(1)
        // On a full disk `SQLite` rolls back by itself. The driver, told by nobody, still counts a transaction and
        // would never begin another one on that connection.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await
}

/// Connections to a file need no renewal.
fn unaging(options: SqlitePoolOptions) -> SqlitePoolOptions {
    options.max_lifetime(None).idle_timeout(None)
}

fn not_opened(path: &Path, error: sqlx::Error) -> Error {
    if is_no_database(&error) { not_ours(path).because(error) } else { naming(path, database_error(error)) }
}

fn not_ours(path: &Path) -> Error {
    Error::invalid(
        "not-a-database",
        format!(
            "`{}` is not a database of this program, or it is damaged: move it away, or name another file",
            path.display()
        ),
    )
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let (code, reason) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ("storage-full", "the disk is full".into())
        }
        _ => ("storage-unwritable", error.to_string()),
    };
    Error::unavailable(code, format!("the database `{}` cannot be made or written: {reason}", path.display()))
}

fn naming(path: &Path, error: Error) -> Error {
    let message = format!("`{}`: {}", path.display(), error.message);
    Error::new(error.kind, error.code.clone(), message).because(error)
}
