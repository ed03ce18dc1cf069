//! The audit. Entries are stored by the changes themselves, in their transactions.

use async_trait::async_trait;
use llm_bench_core::audit::{Action, Actor, AuditEntry, AuditLog};
use llm_bench_core::benchmark::Page;
use llm_bench_core::id::AuditId;
use llm_bench_core::{Json, Result};
use sqlx::{FromRow, Sqlite, Transaction};

use crate::Storage;
use crate::column::{Document, Id, Moment, Word};
use crate::error::database_error;
use crate::page::{self, page};

/// Adds the entry of a change to the transaction that makes the change.
pub(crate) async fn record(transaction: &mut Transaction<'_, Sqlite>, entry: &AuditEntry) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO audit (id, recorded_at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)";
    sqlx::query(INSERT)
        .bind(Id(entry.id.0))
        .bind(Moment(entry.at))
        .bind(Document(&entry.actor))
        .bind(Word(entry.action))
        .bind(&entry.subject)
        .bind(Document(&entry.detail))
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

#[async_trait]
impl AuditLog for Storage {
    async fn list(&self, after: Option<AuditId>, limit: u32) -> Result<Page<AuditEntry, AuditId>> {
        const SELECT: &str = "SELECT * FROM audit WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2";
        let rows: Vec<EntryRow> = sqlx::query_as(SELECT)
            .bind(after.map(|id| Id(id.0)))
            .bind(page::rows_to_fetch(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(database_error)?;
        Ok(page(rows.into_iter().map(AuditEntry::from).collect(), limit, |entry| entry.id))
    }
}

#[derive(FromRow)]
struct EntryRow {
    id: Id,
    recorded_at: Moment,
    actor: Document<Actor>,
    action: Word<Action>,
    subject: String,
    detail: Document<Json>,
}

impl From<EntryRow> for AuditEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            id: AuditId(row.id.0),
            at: row.recorded_at.0,
            actor: row.actor.0,
            action: row.action.0,
            subject: row.subject,
            detail: row.detail.0,
        }
    }
}
