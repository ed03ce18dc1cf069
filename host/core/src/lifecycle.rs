//! What an administrator does with admitted plugins: enables, disables, grants, blocks and removes them, each change
//! with its entry in the audit.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::audit::{Action, Actor, AuditEntry};
use crate::benchmark::{Benchmark, BenchmarkFilter, BenchmarkRepository};
use crate::catalog::Catalog;
use crate::digest::is_digest;
use crate::id::BenchmarkId;
use crate::model::Origin;
use crate::orchestrator::Orchestrator;
use crate::plugin::{
    Block, DataFiles, Decisions, GRANTABLE_PARTS, Grants, GrantsChange, Plugin, PluginReference, Standing,
};
use crate::{Error, Json, Result};

/// Changes plugins, and sees to the benchmarks that pin them.
#[derive(Clone)]
pub struct Lifecycle {
    pub catalog: Catalog,
    pub benchmarks: Arc<dyn BenchmarkRepository>,
    pub orchestrator: Arc<Orchestrator>,
}

/// What becomes of benchmarks that have not ended and whose plugin may not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    /// They wait in the queue until it may be used again; what is finished of them stays.
    #[default]
    Hold,
    /// They end as cancelled.
    Cancel,
}

/// What is to change about a version of a plugin; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginChange {
    pub enabled: Option<bool>,
    /// Why it is disabled, for whoever meets it.
    pub reason: Option<String>,
    /// Make it the version that the bare name means.
    pub make_default: bool,
    pub grants: GrantsChange,
    pub unfinished: Unfinished,
}

/// The most that a reason may have, in bytes.
const MOST_REASON: usize = 1000;

impl Lifecycle {
    /// Changes a version, which is named with its version.
    ///
    /// # Errors
    /// `plugin-not-found`, `version-missing`; `plugin-removed`, `plugin-blocked`; `plugin-disabled` where it is to be
    /// the default; `unknown-limit`, `invalid-limit`, `unknown-part` for a grant; `plugin-changed`.
    pub async fn change(
        &self,
        reference: &PluginReference,
        change: PluginChange,
        actor: &Actor,
    ) -> Result<Plugin> {
        let plugin = self.changeable(reference).await?;
        let before = plugin.decisions();
        let after = decided(&before, &change)?;
        if change.make_default {
            after.standing(&plugin.standing).ensure_usable(plugin.reference())?;
        }
        self.check_grants(&plugin, &after.grants)?;
        self.decide(&plugin, &after, actor).await?;
        if !after.enabled && change.unfinished == Unfinished::Cancel {
            self.cancel_unfinished(&plugin.digest).await?;
        }
        self.catalog.plugin(&plugin.reference()).await
    }

    /// Gives a version the files that it reads: a tar archive with exactly those that it declares. The same files again
    /// change nothing.
    ///
    /// # Errors
    /// `plugin-not-found`, `version-missing`; `plugin-removed`, `plugin-blocked`; `no-data-files` where it reads none;
    /// those of [`Sandbox::keep_data_files`]; `data-files-pinned` where benchmarks used other ones; `plugin-changed`.
    ///
    /// [`Sandbox::keep_data_files`]: crate::plugin::Sandbox::keep_data_files
    pub async fn give_data_files(
        &self,
        reference: &PluginReference,
        archive: &Path,
        actor: &Actor,
    ) -> Result<Plugin> {
        let plugin = self.changeable(reference).await?;
        let names = &plugin.descriptor.data_files;
        if names.is_empty() {
            return Err(Error::invalid("no-data-files", format!("plugin `{reference}` reads no data files")));
        }
        let files = self.catalog.sandbox.keep_data_files(&plugin.digest, archive, names).await?;
        self.replace_data_files(&plugin, Some(files), actor).await
    }

    /// Takes the files of a version away.
    ///
    /// # Errors
    /// `plugin-not-found`, `version-missing`; `plugin-removed`, `plugin-blocked`; `data-files-pinned` where benchmarks
    /// used them; `plugin-changed`.
    pub async fn withdraw_data_files(&self, reference: &PluginReference, actor: &Actor) -> Result<Plugin> {
        let plugin = self.changeable(reference).await?;
        self.replace_data_files(&plugin, None, actor).await
    }

    /// What a benchmark was measured with stays: other files are for another version of the plugin.
    async fn replace_data_files(
        &self,
        plugin: &Plugin,
        files: Option<DataFiles>,
        actor: &Actor,
    ) -> Result<Plugin> {
        let (sandbox, before) = (&self.catalog.sandbox, plugin.decisions());
        let now = plugin.grants.data_files.as_ref();
        if now.is_some() && now != files.as_ref() && self.is_pinned(&plugin.digest).await? {
            sandbox.forget_data_files(&plugin.digest, now.map(|files| files.digest.as_str())).await?;
            let message = format!(
                "benchmarks were measured with the data files of plugin `{}`: give other files to a new version of it",
                plugin.reference()
            );
            return Err(Error::conflict("data-files-pinned", message));
        }
        let after = Decisions { grants: Grants { data_files: files, ..before.grants.clone() }, ..before };
        self.decide(plugin, &after, actor).await?;
        let stays = after.grants.data_files.as_ref().map(|files| files.digest.as_str());
        sandbox.forget_data_files(&plugin.digest, stays).await?;
        self.catalog.plugin(&plugin.reference()).await
    }

    async fn is_pinned(&self, digest: &str) -> Result<bool> {
        let filter = BenchmarkFilter { status: None, task_digest: Some(digest.to_owned()) };
        Ok(!self.benchmarks.list(&filter, None, 1).await?.items.is_empty())
    }

    /// Stores what differs of the decisions about a version, if anything does.
    async fn decide(&self, plugin: &Plugin, after: &Decisions, actor: &Actor) -> Result<()> {
        let entries = self.entries(plugin, &plugin.decisions(), after, actor);
        if entries.is_empty() {
            return Ok(());
        }
        self.catalog.plugins.decide(plugin, after, &entries).await
    }

    /// Refuses a content from now on, whether or not it is here.
    ///
    /// # Errors
    /// `invalid-digest`, `invalid-reason`.
    pub async fn block(
        &self,
        digest: &str,
        reason: &str,
        unfinished: Unfinished,
        actor: Actor,
    ) -> Result<Block> {
        let digest = checked_digest(digest)?;
        check_reason(reason)?;
        if reason.trim().is_empty() {
            return Err(Error::invalid(
                "invalid-reason",
                "a block needs a reason: whoever meets it asks for it",
            ));
        }
        let block = Block { digest, reason: reason.to_owned(), blocked_at: self.catalog.clock.now() };
        let detail = json!({ "digest": block.digest, "reason": reason });
        let entry = self.entry(self.subject(&block.digest).await?, Action::BlockPlugin, detail, actor);
        self.catalog.plugins.block(&block, &entry).await?;
        if unfinished == Unfinished::Cancel {
            self.cancel_unfinished(&block.digest).await?;
        }
        Ok(block)
    }

    /// # Errors
    /// `block-not-found`, `invalid-digest`.
    pub async fn unblock(&self, digest: &str, actor: Actor) -> Result<()> {
        let digest = checked_digest(digest)?;
        let detail = json!({ "digest": digest });
        let entry = self.entry(self.subject(&digest).await?, Action::UnblockPlugin, detail, actor);
        self.catalog.plugins.unblock(&digest, &entry).await
    }

    /// Removes a version and its code. With `force`, one that benchmarks pin: they stay and say what they used, those
    /// that have not ended are cancelled, and none of them can be judged anew until it is uploaded again.
    ///
    /// # Errors
    /// `plugin-not-found`, `version-missing`, `plugin-built-in`, `plugin-referenced`.
    pub async fn remove(&self, reference: &PluginReference, force: bool, actor: Actor) -> Result<()> {
        let plugin = self.version(reference).await?;
        if plugin.origin == Origin::Bundled {
            return Err(Error::conflict(
                "plugin-built-in",
                format!("plugin `{reference}` ships with the program, so it can be disabled, not removed"),
            ));
        }
        let detail = json!({ "digest": plugin.digest, "force": force });
        let entry = self.entry(plugin.reference().to_string(), Action::RemovePlugin, detail, actor);
        self.catalog.plugins.remove(&plugin, force, &entry).await?;
        self.cancel_unfinished(&plugin.digest).await?;
        // Last, so that a version that can be found can also be loaded.
        self.catalog.sandbox.forget(&plugin.digest).await
    }

    /// A change of one version must say which.
    async fn version(&self, reference: &PluginReference) -> Result<Plugin> {
        let plugin = self.catalog.plugin(reference).await?;
        if reference.version.is_none() {
            return Err(Error::invalid(
                "version-missing",
                format!("`{reference}` names no version; say which, such as `{}`", plugin.reference()),
            ));
        }
        Ok(plugin)
    }

    /// A version that decisions can be taken about.
    async fn changeable(&self, reference: &PluginReference) -> Result<Plugin> {
        let plugin = self.version(reference).await?;
        if matches!(plugin.standing, Standing::Removed | Standing::Blocked { .. }) {
            plugin.standing.ensure_usable(plugin.reference())?;
        }
        Ok(plugin)
    }

    fn check_grants(&self, plugin: &Plugin, grants: &Grants) -> Result<()> {
        if let Some(part) = grants.parts.iter().find(|part| !GRANTABLE_PARTS.contains(&part.as_str())) {
            let shown: String = part.chars().take(64).collect();
            let message =
                format!("there is no part `{shown}` to grant; the parts are {}", GRANTABLE_PARTS.join(", "));
            return Err(Error::invalid("unknown-part", message));
        }
        let granted = Plugin { grants: grants.clone(), ..plugin.clone() };
        self.orchestrator.limits_of(&granted).map(drop)
    }

    /// An entry for each decision that differs.
    fn entries(
        &self,
        plugin: &Plugin,
        before: &Decisions,
        after: &Decisions,
        actor: &Actor,
    ) -> Vec<AuditEntry> {
        let mut changes = Vec::new();
        if (before.enabled, &before.reason) != (after.enabled, &after.reason) {
            changes.push(if after.enabled {
                (Action::EnablePlugin, json!({ "digest": plugin.digest }))
            } else {
                (Action::DisablePlugin, json!({ "digest": plugin.digest, "reason": after.reason }))
            });
        }
        if before.is_default != after.is_default {
            changes.push((Action::ChooseDefault, json!({ "digest": plugin.digest })));
        }
        if before.grants != after.grants {
            let detail = json!({ "digest": plugin.digest, "before": before.grants, "after": after.grants });
            changes.push((Action::GrantPlugin, detail));
        }
        let subject = plugin.reference().to_string();
        let entry = |(action, detail)| self.entry(subject.clone(), action, detail, actor.clone());
        changes.into_iter().map(entry).collect()
    }

    fn entry(&self, subject: String, action: Action, detail: Json, actor: Actor) -> AuditEntry {
        AuditEntry::new(self.catalog.clock.now(), actor, action, subject, detail)
    }

    /// What the audit calls a content: its name and version where it is here, else its digest.
    async fn subject(&self, digest: &str) -> Result<String> {
        let plugin = self.catalog.plugins.find_by_digest(digest).await?;
        Ok(plugin.map_or_else(|| digest.to_owned(), |plugin| plugin.reference().to_string()))
    }

    async fn cancel_unfinished(&self, digest: &str) -> Result<()> {
        for id in self.benchmarks.unfinished(digest).await? {
            self.cancel(id).await?;
        }
        Ok(())
    }

    /// One that ended meanwhile is no failure.
    async fn cancel(&self, id: BenchmarkId) -> Result<Option<Benchmark>> {
        match self.orchestrator.cancel(id).await {
            Ok(benchmark) => Ok(Some(benchmark)),
            Err(error) if error.code == "benchmark-ended" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn decided(before: &Decisions, change: &PluginChange) -> Result<Decisions> {
    if let Some(reason) = &change.reason {
        check_reason(reason)?;
        if change.enabled != Some(false) {
            let message = "a reason goes with `enabled: false` alone: it says why the plugin is disabled";
            return Err(Error::invalid("invalid-reason", message));
        }
    }
    let (enabled, reason) = match change.enabled {
        Some(enabled) => (enabled, change.reason.clone()),
        None => (before.enabled, before.reason.clone()),
    };
    Ok(Decisions {
        enabled,
        reason,
        is_default: before.is_default || change.make_default,
        grants: change.grants.applied_to(&before.grants),
    })
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.len() <= MOST_REASON {
        return Ok(());
    }
    Err(Error::invalid("invalid-reason", format!("a reason has at most {MOST_REASON} bytes")))
}

fn checked_digest(digest: &str) -> Result<String> {
    if is_digest(digest) {
        return Ok(digest.to_ascii_lowercase());
    }
    let shown: String = digest.chars().take(80).collect();
    Err(Error::invalid(
        "invalid-digest",
        format!("`{shown}` is not a digest: the SHA-256 of a component, 64 hexadecimal digits"),
    ))
}
