//! Contents that are refused.

use llm_bench_core::audit::AuditEntry;
use llm_bench_core::plugin::Block;
use llm_bench_core::{Error, Result};
use sqlx::{Executor, FromRow, Sqlite};

use crate::column::Moment;
use crate::error::database_error;
use crate::{Storage, audit, commit};

pub(super) async fn insert(storage: &Storage, block: &Block, entry: &AuditEntry) -> Result<()> {
    const INSERT: &str = "INSERT INTO plugin_blocks (digest, reason, blocked_at) VALUES (?, ?, ?)
        ON CONFLICT (digest) DO UPDATE SET reason = excluded.reason, blocked_at = excluded.blocked_at";
    let mut transaction = storage.write().await?;
    sqlx::query(INSERT)
        .bind(&block.digest)
        .bind(&block.reason)
        .bind(Moment(block.blocked_at))
        .execute(&mut *transaction)
        .await
        .map_err(database_error)?;
    audit::record(&mut transaction, entry).await?;
    commit(transaction).await
}

pub(super) async fn remove(storage: &Storage, digest: &str, entry: &AuditEntry) -> Result<()> {
    const DELETE: &str = "DELETE FROM plugin_blocks WHERE digest = ?";
    let mut transaction = storage.write().await?;
    let done = sqlx::query(DELETE).bind(digest).execute(&mut *transaction).await.map_err(database_error)?;
    if done.rows_affected() == 0 {
        return Err(Error::not_found(
            "block-not-found",
            format!("no plugin is blocked by the digest `{digest}`"),
        ));
    }
    audit::record(&mut transaction, entry).await?;
    commit(transaction).await
}

pub(super) async fn list(storage: &Storage) -> Result<Vec<Block>> {
    const SELECT: &str = "SELECT * FROM plugin_blocks ORDER BY blocked_at DESC, digest";
    let rows: Vec<BlockRow> =
        sqlx::query_as(SELECT).fetch_all(&storage.readers).await.map_err(database_error)?;
    Ok(rows.into_iter().map(Block::from).collect())
}

pub(super) async fn find<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    digest: &str,
) -> Result<Option<Block>> {
    const SELECT: &str = "SELECT * FROM plugin_blocks WHERE digest = ?";
    let row: Option<BlockRow> =
        sqlx::query_as(SELECT).bind(digest).fetch_optional(executor).await.map_err(database_error)?;
    Ok(row.map(Block::from))
}

#[derive(FromRow)]
struct BlockRow {
    digest: String,
    reason: String,
    blocked_at: Moment,
}

impl From<BlockRow> for Block {
    fn from(row: BlockRow) -> Self {
        Self { digest: row.digest, reason: row.reason, blocked_at: row.blocked_at.0 }
    }
}
