//! The plugins that are admitted, and what administrators decided about them.

mod admit;
mod block;
mod decide;
mod statistics;

use async_trait::async_trait;
use llm_bench_core::audit::AuditEntry;
use llm_bench_core::model::Origin;
use llm_bench_core::name::Name;
use llm_bench_core::plugin::{
    Block, Decisions, Descriptor, Exports, Grants, Plugin, PluginReference, PluginRepository,
    PluginStatistics, Standing,
};
use llm_bench_core::{Error, Result};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::Storage;
use crate::column::{Count, Document, Moment, Word};
use crate::error::database_error;

/// Versions with how they stand. A macro, since `concat!` takes literals alone.
macro_rules! select {
    () => {
        "SELECT plugins.*, CASE WHEN plugin_blocks.digest IS NULL THEN plugins.status ELSE 'blocked' END AS standing,
            coalesce(plugin_blocks.reason, plugins.reason) AS standing_reason
        FROM plugins LEFT JOIN plugin_blocks ON plugin_blocks.digest = plugins.digest"
    };
}

use select;

#[async_trait]
impl PluginRepository for Storage {
    async fn insert(&self, plugin: &Plugin, entry: Option<&AuditEntry>) -> Result<()> {
        admit::insert(self, plugin, entry).await
    }

    async fn find(&self, reference: &PluginReference) -> Result<Option<Plugin>> {
        const SELECT: &str = concat!(
            select!(),
            " WHERE name = ?1 AND CASE WHEN ?2 IS NULL THEN is_default = 1 ELSE version = ?2 END"
        );
        let row: Option<PluginRow> = sqlx::query_as(SELECT)
            .bind(reference.name.as_str())
            .bind(&reference.version)
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        row.map(Plugin::try_from).transpose()
    }

    async fn find_by_digest(&self, digest: &str) -> Result<Option<Plugin>> {
        const SELECT: &str = concat!(select!(), " WHERE plugins.digest = ? ORDER BY created_at LIMIT 1");
        let row: Option<PluginRow> = sqlx::query_as(SELECT)
            .bind(digest)
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        row.map(Plugin::try_from).transpose()
    }

    async fn list(&self) -> Result<Vec<Plugin>> {
        const SELECT: &str = concat!(select!(), " ORDER BY name, created_at DESC, version DESC");
        let rows: Vec<PluginRow> =
            sqlx::query_as(SELECT).fetch_all(&self.readers).await.map_err(database_error)?;
        rows.into_iter().map(Plugin::try_from).collect()
    }

    async fn decide(&self, plugin: &Plugin, decisions: &Decisions, entries: &[AuditEntry]) -> Result<()> {
        decide::decide(self, plugin, decisions, entries).await
    }

    async fn remove(&self, plugin: &Plugin, force: bool, entry: &AuditEntry) -> Result<()> {
        decide::remove(self, plugin, force, entry).await
    }

    async fn block(&self, block: &Block, entry: &AuditEntry) -> Result<()> {
        block::insert(self, block, entry).await
    }

    async fn unblock(&self, digest: &str, entry: &AuditEntry) -> Result<()> {
        block::remove(self, digest, entry).await
    }

    async fn blocks(&self) -> Result<Vec<Block>> {
        block::list(self).await
    }

    async fn find_block(&self, digest: &str) -> Result<Option<Block>> {
        block::find(&self.readers, digest).await
    }

    async fn statistics(&self, digest: &str) -> Result<PluginStatistics> {
        statistics::statistics(self, digest).await
    }
}

/// What stands in the column of a version. That one is blocked is told by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Enabled,
    Disabled,
    Removed,
}

/// How a content stands.
#[derive(FromRow)]
pub(crate) struct StandingRow {
    standing: String,
    #[sqlx(rename = "standing_reason")]
    reason: Option<String>,
}

impl From<StandingRow> for Standing {
    fn from(StandingRow { standing, reason }: StandingRow) -> Self {
        match standing.as_str() {
            "blocked" => Self::Blocked { reason: reason.unwrap_or_default() },
            "removed" => Self::Removed,
            "disabled" => Self::Disabled { reason },
            _ => Self::Enabled,
        }
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
    contract: String,
    created_at: Moment,
    compile_ms: Option<Count>,
    is_default: bool,
    grants: Document<Grants>,
    #[sqlx(flatten)]
    standing: StandingRow,
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
            contract: row.contract,
            created_at: row.created_at.0,
            compile_ms: row.compile_ms.map(|count| count.0),
            is_default: row.is_default,
            standing: row.standing.into(),
            grants: row.grants.0,
        })
    }
}
