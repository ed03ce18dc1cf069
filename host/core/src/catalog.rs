//! What is registered: models, datasets and plugins found by name, plugins admitted.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::audit::{Action, Actor, AuditEntry};
use crate::clock::Clock;
use crate::dataset::{Dataset, DatasetRepository};
use crate::model::{Model, ModelRepository, Origin};
use crate::name::Name;
use crate::plugin::{Grants, Plugin, PluginReference, PluginRepository, Sandbox, Standing, blocked};
use crate::{Error, Result};

/// Finds registered things, with errors that say what there is instead.
#[derive(Clone)]
pub struct Catalog {
    pub models: Arc<dyn ModelRepository>,
    pub datasets: Arc<dyn DatasetRepository>,
    pub plugins: Arc<dyn PluginRepository>,
    pub sandbox: Arc<dyn Sandbox>,
    pub clock: Arc<dyn Clock>,
    /// Names that uploads may not take: those of the built-in plugins.
    pub reserved: Arc<[String]>,
}

impl Catalog {
    /// # Errors
    /// `model-not-found` lists the models that there are.
    pub async fn model(&self, name: &str) -> Result<Model> {
        if let Some(model) = self.models.find(name).await? {
            return Ok(model);
        }
        let known = self.models.list().await?;
        Err(not_found("model", name, known.iter().map(|model| model.name.as_str())))
    }

    /// # Errors
    /// `dataset-not-found` lists the datasets that there are.
    pub async fn dataset(&self, name: &str) -> Result<Dataset> {
        if let Some(dataset) = self.datasets.find(name).await? {
            return Ok(dataset);
        }
        let known = self.datasets.list().await?;
        Err(not_found("dataset", name, known.iter().map(|dataset| dataset.name.as_str())))
    }

    /// # Errors
    /// `plugin-not-found` lists the plugins that there are.
    pub async fn plugin(&self, reference: &PluginReference) -> Result<Plugin> {
        if let Some(plugin) = self.plugins.find(reference).await? {
            return Ok(plugin);
        }
        let known = self.plugins.list().await?;
        let mut known: Vec<_> =
            known.iter().map(|plugin| format!("{}@{}", plugin.name, plugin.version)).collect();
        // A built-in plugin that was not needed yet is not registered, but can be named.
        let missing = |name: &&String| !known.iter().any(|known| known.starts_with(&format!("{name}@")));
        let built_in: Vec<_> = self.reserved.iter().filter(missing).cloned().collect();
        known.extend(built_in);
        known.sort();
        Err(not_found("plugin", &reference.to_string(), known.iter().map(String::as_str)))
    }

    /// Admits a component without registering it.
    ///
    /// # Errors
    /// Those of [`Sandbox::admit`]; `plugin-blocked`.
    pub async fn inspect(&self, component: &Path, origin: Origin) -> Result<Plugin> {
        let admission = self.sandbox.admit(component).await?;
        let name = Name::new(&admission.descriptor.name)?;
        if let Some(block) = self.plugins.find_block(&admission.digest).await? {
            let reference = PluginReference { name, version: Some(admission.descriptor.version) };
            return Err(blocked(reference, &block.reason));
        }
        Ok(Plugin {
            name,
            version: admission.descriptor.version.clone(),
            digest: admission.digest,
            bytes: admission.bytes,
            origin,
            descriptor: admission.descriptor,
            exports: admission.exports,
            imports: admission.imports,
            contract: admission.contract,
            created_at: self.clock.now(),
            compile_ms: admission.compile_ms,
            is_default: false,
            standing: Standing::Enabled,
            grants: Grants::default(),
        })
    }

    /// Admits a component that somebody sends, and registers it under the name and version that it gives itself.
    ///
    /// # Errors
    /// Those of [`Sandbox::admit`]; `plugin-name-reserved` for a built-in plugin's name; `plugin-version-exists` when
    /// the version is there with another content.
    pub async fn admit_upload(&self, component: &Path, actor: Actor) -> Result<Plugin> {
        let plugin = self.inspect(component, Origin::Uploaded).await?;
        let name = plugin.name.as_str();
        if self.reserved.iter().any(|reserved| reserved == name) {
            let known = self.plugins.find_by_digest(&plugin.digest).await?;
            return known.ok_or_else(|| {
                Error::conflict(
                    "plugin-name-reserved",
                    format!("`{name}` is the name of a built-in plugin; give yours another name"),
                )
            });
        }
        let subject = plugin.reference().to_string();
        let detail = json!({ "digest": plugin.digest, "bytes": plugin.bytes });
        let entry = AuditEntry::new(plugin.created_at, actor, Action::UploadPlugin, subject, detail);
        self.register(plugin, Some(&entry)).await
    }

    /// Admits a component that ships with the program, and registers it likewise.
    ///
    /// # Errors
    /// Those of [`Sandbox::admit`].
    pub async fn admit_bundled(&self, component: &Path) -> Result<Plugin> {
        self.register(self.inspect(component, Origin::Bundled).await?, None).await
    }

    async fn register(&self, plugin: Plugin, entry: Option<&AuditEntry>) -> Result<Plugin> {
        self.plugins.insert(&plugin, entry).await?;
        self.plugin(&plugin.reference()).await
    }
}

fn not_found<'a>(noun: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    const SHOWN: usize = 20;
    let mut known: Vec<_> = known.take(SHOWN + 1).collect();
    let more = known.len() > SHOWN;
    known.truncate(SHOWN);
    let known = match (known.is_empty(), more) {
        (true, _) => "none is registered".to_owned(),
        (false, true) => format!("there are {} and more", known.join(", ")),
        (false, false) => format!("there are {}", known.join(", ")),
    };
    let shown: String = name.chars().take(Name::MAX_LENGTH).collect();
    Error::new(
        crate::ErrorKind::NotFound,
        format!("{noun}-not-found"),
        format!("no {noun} is named `{shown}`; {known}"),
    )
}
