//! The plugins that are admitted.

use async_trait::async_trait;
use llm_bench_core::audit::AuditEntry;
use llm_bench_core::model::Origin;
use llm_bench_core::name::Name;
use llm_bench_core::plugin::{Descriptor, Exports, Plugin, PluginReference, PluginRepository};
use llm_bench_core::{Error, Result};
use sqlx::FromRow;

use crate::column::{Count, Document, Moment, Word};
use crate::error::database_error;
use crate::json::ensure_readable;
use crate::{Storage, audit, commit};

#[async_trait]
impl PluginRepository for Storage {
    async fn insert(&self, plugin: &Plugin, entry: Option<&AuditEntry>) -> Result<()> {
        const SELECT_KNOWN: &str =
            "SELECT digest, origin, is_default FROM plugins WHERE name = ? AND version = ?";
        const MAKE_ROOM: &str = "DELETE FROM plugins WHERE name = ? AND version = ?";
        const DEMOTE: &str = "UPDATE plugins SET is_default = 0 WHERE name = ?";
        const INSERT: &str =
            "INSERT INTO plugins (name, version, digest, bytes, origin, descriptor, exports, imports,
                created_at, is_default)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NOT EXISTS
                (SELECT 1 FROM plugins WHERE name = ?1 AND is_default = 1))";
        ensure_readable("the plugin's description of itself", &plugin.descriptor)?;

        let is_bundled = plugin.origin == Origin::Bundled;
        let mut transaction = self.write().await?;
        let known: Option<(String, Word<Origin>, bool)> = sqlx::query_as(SELECT_KNOWN)
            .bind(plugin.name.as_str())
            .bind(&plugin.version)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(database_error)?;
        match known {
            Some((digest, _, is_default)) if digest == plugin.digest && (is_default || !is_bundled) => {
                return Ok(());
            }
            Some((_, Word(Origin::Bundled), _)) if is_bundled => {
                sqlx::query(MAKE_ROOM)
                    .bind(plugin.name.as_str())
                    .bind(&plugin.version)
                    .execute(&mut *transaction)
                    .await
                    .map_err(database_error)?;
            }
            Some(_) => {
                return Err(Error::conflict(
                    "plugin-version-exists",
                    format!(
                        "plugin `{}@{}` is there already with other contents: give this one another version",
                        plugin.name, plugin.version
                    ),
                ));
            }
            None => {}
        }
        if is_bundled {
            sqlx::query(DEMOTE)
                .bind(plugin.name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(database_error)?;
        }
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
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        if let Some(entry) = entry {
            audit::record(&mut transaction, entry).await?;
        }
        commit(transaction).await
    }

    async fn find(&self, reference: &PluginReference) -> Result<Option<Plugin>> {
        const SELECT: &str = "SELECT * FROM plugins
            WHERE name = ?1 AND CASE WHEN ?2 IS NULL THEN is_default = 1 ELSE version = ?2 END";
        let row: Option<PluginRow> = sqlx::query_as(SELECT)
            .bind(reference.name.as_str())
            .bind(&reference.version)
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        row.map(Plugin::try_from).transpose()
    }

    async fn find_by_digest(&self, digest: &str) -> Result<Option<Plugin>> {
        const SELECT: &str = "SELECT * FROM plugins WHERE digest = ? ORDER BY created_at LIMIT 1";
        let row: Option<PluginRow> = sqlx::query_as(SELECT)
            .bind(digest)
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        row.map(Plugin::try_from).transpose()
    }

    async fn list(&self) -> Result<Vec<Plugin>> {
        const SELECT: &str = "SELECT * FROM plugins ORDER BY name, created_at DESC, version DESC";
        let rows: Vec<PluginRow> =
            sqlx::query_as(SELECT).fetch_all(&self.readers).await.map_err(database_error)?;
        rows.into_iter().map(Plugin::try_from).collect()
    }
}

#[derive(FromRow)]
struct PluginRow {
    name: String,
    version: String,
    digest: String,
    bytes: Count,
    origin: Word<Origin>,
    descriptor: Document<Descriptor>,
    exports: Document<Exports>,
    imports: Document<Vec<String>>,
    created_at: Moment,
    is_default: bool,
}

impl TryFrom<PluginRow> for Plugin {
    type Error = Error;

    fn try_from(row: PluginRow) -> Result<Self> {
        Ok(Self {
            name: Name::new(row.name)?,
            version: row.version,
            digest: row.digest,
            bytes: row.bytes.0,
            origin: row.origin.0,
            descriptor: row.descriptor.0,
            exports: row.exports.0,
            imports: row.imports.0,
            created_at: row.created_at.0,
            is_default: row.is_default,
        })
    }
}
