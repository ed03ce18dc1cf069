//! What becomes of versions that are here.

use llm_bench_core::audit::AuditEntry;
use llm_bench_core::plugin::{Decisions, Plugin};
use llm_bench_core::{Error, Result};
use sqlx::{Sqlite, Transaction};

use super::{PluginRow, Status, select};
use crate::column::{Document, Word};
use crate::error::database_error;
use crate::{Storage, audit, commit};

pub(super) async fn decide(
    storage: &Storage,
    plugin: &Plugin,
    decisions: &Decisions,
    entries: &[AuditEntry],
) -> Result<()> {
    const UPDATE: &str =
        "UPDATE plugins SET status = ?, reason = ?, grants = ? WHERE name = ? AND version = ?";
    let mut transaction = storage.write().await?;
    ensure_unchanged(&mut transaction, plugin).await?;
    let status = if decisions.enabled { Status::Enabled } else { Status::Disabled };
    sqlx::query(UPDATE)
        .bind(Word(status))
        .bind(&decisions.reason)
        .bind(Document(&decisions.grants))
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .execute(&mut *transaction)
        .await
        .map_err(database_error)?;
    if decisions.is_default && !plugin.is_default {
        make_default(&mut transaction, plugin, true).await?;
    }
    for entry in entries {
        audit::record(&mut transaction, entry).await?;
    }
    commit(transaction).await
}

pub(super) async fn remove(
    storage: &Storage,
    plugin: &Plugin,
    force: bool,
    entry: &AuditEntry,
) -> Result<()> {
    const REFERENCES: &str = "SELECT count(*) FROM benchmarks WHERE task_digest = ?";
    const DELETE: &str = "DELETE FROM plugins WHERE name = ? AND version = ?";
    const KEEP: &str = "UPDATE plugins SET status = 'removed', reason = NULL, is_default = 0, is_chosen = 0
        WHERE name = ? AND version = ?";
    const SUCCEED: &str = "UPDATE plugins SET is_default = 1 WHERE rowid = (
            SELECT rowid FROM plugins WHERE name = ? AND status <> 'removed'
            ORDER BY status = 'enabled' DESC, created_at DESC LIMIT 1)";
    let mut transaction = storage.write().await?;
    ensure_unchanged(&mut transaction, plugin).await?;
    let references: i64 = sqlx::query_scalar(REFERENCES)
        .bind(&plugin.digest)
        .fetch_one(&mut *transaction)
        .await
        .map_err(database_error)?;
    if references > 0 && !force {
        return Err(Error::conflict(
            "plugin-referenced",
            format!(
                "{references} benchmarks pin plugin `{}`: removing it by force keeps them and forgets its code; \
                 disabling it keeps both",
                plugin.reference()
            ),
        ));
    }
    sqlx::query(if references > 0 { KEEP } else { DELETE })
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .execute(&mut *transaction)
        .await
        .map_err(database_error)?;
    if plugin.is_default {
        sqlx::query(SUCCEED)
            .bind(plugin.name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
    }
    audit::record(&mut transaction, entry).await?;
    commit(transaction).await
}

/// Takes the default from the other versions of the name. `is_chosen` says that a person did so.
pub(super) async fn make_default(
    transaction: &mut Transaction<'_, Sqlite>,
    plugin: &Plugin,
    is_chosen: bool,
) -> Result<()> {
    // One after the other: there is never more than one.
    const DEMOTE: &str = "UPDATE plugins SET is_default = 0, is_chosen = 0 WHERE name = ?";
    const PROMOTE: &str = "UPDATE plugins SET is_default = 1, is_chosen = ? WHERE name = ? AND version = ?";
    sqlx::query(DEMOTE)
        .bind(plugin.name.as_str())
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    sqlx::query(PROMOTE)
        .bind(is_chosen)
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

/// A decision is about what its maker saw.
async fn ensure_unchanged(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<()> {
    let row: Option<PluginRow> = sqlx::query_as(concat!(select!(), " WHERE name = ? AND version = ?"))
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(database_error)?;
    if row.map(Plugin::try_from).transpose()?.as_ref() == Some(plugin) {
        return Ok(());
    }
    Err(Error::conflict(
        "plugin-changed",
        format!("plugin `{}` was changed meanwhile; look at it and try again", plugin.reference()),
    ))
}
