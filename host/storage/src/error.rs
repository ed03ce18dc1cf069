//! From database errors to errors of the domain.

use llm_bench_core::Error;

/// Result codes of `SQLite`: <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOTADB: i32 = 26;
    /// The index of the write-ahead log could not grow, which is how a full disk may show first.
    pub(super) const IOERR_SHMSIZE: i32 = 4874;
}

/// What a failed statement means to the rest of the program.
pub(crate) fn database_error(error: sqlx::Error) -> Error {
    let meaning = match &error {
        sqlx::Error::PoolTimedOut => busy(),
        sqlx::Error::PoolClosed => Error::unavailable("storage-closed", "the database is closed"),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Error::internal(
            "storage-unreadable",
            "a value in the database cannot be read: another version of this program may have written it",
        ),
        sqlx::Error::Encode(reason) => {
            Error::invalid("not-storable", format!("a value cannot be stored: {reason}"))
        }
        _ => result_code(&error).map_or_else(failed, meaning_of_code),
    };
    meaning.because(error)
}

/// Whether the file is no database of `SQLite`'s at all, or a broken one.
pub(crate) fn is_no_database(error: &sqlx::Error) -> bool {
    matches!(result_code(error).map(primary), Some(code::NOTADB | code::CORRUPT))
}

fn meaning_of_code(result_code: i32) -> Error {
    if result_code == code::IOERR_SHMSIZE {
        return full();
    }
    match primary(result_code) {
        code::FULL => full(),
        code::BUSY | code::LOCKED => busy(),
        code::CANTOPEN | code::PERM | code::READONLY => Error::unavailable(
            "storage-unwritable",
            "the database file cannot be opened for writing: check the permissions of the data folder",
        ),
        code::CORRUPT | code::NOTADB => Error::internal(
            "storage-corrupt",
            "the database file is damaged: restore it from a backup, or move it away to start anew",
        ),
        code::IOERR => Error::internal("storage-io", "the disk failed while the database was in use"),
        code::CONSTRAINT => Error::internal("storage-constraint", "a value breaks a rule of the database"),
        _ => failed(),
    }
}

fn result_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The low byte of an extended result code.
fn primary(result_code: i32) -> i32 {
    result_code & 0xff
}

fn full() -> Error {
    Error::unavailable("storage-full", "the disk is full: free some space in the data folder")
}

fn busy() -> Error {
    Error::unavailable("storage-busy", "the database is busy with another process: try again")
}

fn failed() -> Error {
    Error::internal("storage-failed", "the database could not do what it was asked")
}
