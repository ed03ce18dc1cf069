//! Versions that come in.

use llm_bench_core::audit::AuditEntry;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::Plugin;
use llm_bench_core::{Error, Result};
use sqlx::{FromRow, Sqlite, Transaction};

use super::{Status, block};
use crate::column::{Count, Document, Moment, Word};
use crate::error::database_error;
use crate::json::ensure_readable;
use crate::{Storage, audit, commit};

/// What is there under a name and a version.
#[derive(FromRow)]
struct Known {
    digest: String,
    origin: Word<Origin>,
    status: Word<Status>,
    is_default: bool,
}

pub(super) async fn insert(storage: &Storage, plugin: &Plugin, entry: Option<&AuditEntry>) -> Result<()> {
    ensure_readable("the plugin's description of itself", &plugin.descriptor)?;
    let mut transaction = storage.write().await?;
    // Whoever blocked it while it was compiled comes first.
    if let Some(block) = block::find(&mut *transaction, &plugin.digest).await? {
        let standing = llm_bench_core::plugin::Standing::Blocked { reason: block.reason };
        standing.ensure_usable(plugin.reference())?;
    }
    let is_changed = match known(&mut transaction, plugin).await? {
        None => {
            add(&mut transaction, plugin).await?;
            true
        }
        Some(known) if known.digest == plugin.digest && known.status.0 == Status::Removed => {
            revive(&mut transaction, plugin).await?;
            true
        }
        Some(known) if known.digest == plugin.digest && (known.is_default || !is_bundled(plugin)) => false,
        Some(known) if known.origin.0 == Origin::Bundled && is_bundled(plugin) => {
            replace(&mut transaction, plugin).await?;
            true
        }
        Some(_) => {
            return Err(Error::conflict(
                "plugin-version-exists",
                format!(
                    "plugin `{}` is there already with other contents: give this one another version",
                    plugin.reference()
                ),
            ));
        }
    };
    if !is_changed {
        return Ok(());
    }
    if is_bundled(plugin) {
        prefer(&mut transaction, plugin).await?;
    }
    if let Some(entry) = entry {
        audit::record(&mut transaction, entry).await?;
    }
    commit(transaction).await
}

fn is_bundled(plugin: &Plugin) -> bool {
    plugin.origin == Origin::Bundled
}

async fn known(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<Option<Known>> {
    const SELECT: &str =
        "SELECT digest, origin, status, is_default FROM plugins WHERE name = ? AND version = ?";
    sqlx::query_as(SELECT)
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(database_error)
}

/// The first version of a name becomes its default.
async fn add(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO plugins (name, version, digest, bytes, origin, descriptor, exports, imports, created_at,
            compile_ms, grants, contract, is_default)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, NOT EXISTS
            (SELECT 1 FROM plugins WHERE name = ?1 AND is_default = 1))";
    sqlx::query(INSERT)
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .bind(&plugin.digest)
        .bind(Count(plugin.bytes))
        .bind(Word(plugin.origin))
        .bind(Document(&plugin.descriptor))
        .bind(Document(plugin.exports))
        .bind(Document(&plugin.imports))
        .bind(Moment(plugin.created_at))
        .bind(plugin.compile_ms.map(Count))
        .bind(Document(&plugin.grants))
        .bind(&plugin.contract)
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

/// Another content of a bundled version, which another build of the program brought. What was decided stays.
async fn replace(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<()> {
    const UPDATE: &str = "UPDATE plugins
        SET digest = ?3, bytes = ?4, descriptor = ?5, exports = ?6, imports = ?7, created_at = ?8, compile_ms = ?9,
            contract = ?10
        WHERE name = ?1 AND version = ?2";
    sqlx::query(UPDATE)
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .bind(&plugin.digest)
        .bind(Count(plugin.bytes))
        .bind(Document(&plugin.descriptor))
        .bind(Document(plugin.exports))
        .bind(Document(&plugin.imports))
        .bind(Moment(plugin.created_at))
        .bind(plugin.compile_ms.map(Count))
        .bind(&plugin.contract)
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

/// A removed content that comes again. Nothing of it was granted.
async fn revive(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<()> {
    const UPDATE: &str =
        "UPDATE plugins SET status = 'enabled', reason = NULL, grants = '{}', compile_ms = ?3,
        is_default = NOT EXISTS (SELECT 1 FROM plugins WHERE name = ?1 AND is_default = 1)
        WHERE name = ?1 AND version = ?2";
    sqlx::query(UPDATE)
        .bind(plugin.name.as_str())
        .bind(&plugin.version)
        .bind(plugin.compile_ms.map(Count))
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

/// Makes a bundled version the default, unless somebody chose another one.
async fn prefer(transaction: &mut Transaction<'_, Sqlite>, plugin: &Plugin) -> Result<()> {
    const CHOSEN: &str =
        "SELECT EXISTS (SELECT 1 FROM plugins WHERE name = ? AND is_default = 1 AND is_chosen = 1)";
    let is_chosen: bool = sqlx::query_scalar(CHOSEN)
        .bind(plugin.name.as_str())
        .fetch_one(&mut **transaction)
        .await
        .map_err(database_error)?;
    if is_chosen { Ok(()) } else { super::decide::make_default(transaction, plugin, false).await }
}
