//! What ships with the program, and what lies in the data folder: found, and registered under its name.

use std::path::{Path, PathBuf};

use llm_bench_core::catalog::Catalog;
use llm_bench_core::model::{Model, ModelRunner, Origin};
use llm_bench_core::name::Name;
use llm_bench_core::plugin::{Plugin, PluginReference};
use llm_bench_core::{Error, Result};
use tokio::sync::OnceCell;

use crate::app::App;
use crate::view::PluginDetailView;

/// The built-in plugins. They are admitted when they are first needed: compiling them must not delay the start.
pub struct Bundled {
    plugins: Vec<BuiltIn>,
}

struct BuiltIn {
    name: String,
    component: PathBuf,
    admitted: OnceCell<()>,
}

impl Bundled {
    /// # Errors
    /// When the installation's folder of plugins cannot be read. One that is absent holds none.
    pub(crate) fn find(installation: &crate::installation::Installation) -> Result<Self> {
        let mut plugins = Vec::new();
        for path in entries(&installation.plugins())? {
            let is_component = path.extension().is_some_and(|extension| extension == "wasm");
            if let (true, Some(name)) = (is_component, path.file_stem().and_then(|stem| stem.to_str())) {
                plugins.push(BuiltIn {
                    name: name.to_owned(),
                    component: path.clone(),
                    admitted: OnceCell::new(),
                });
            }
        }
        Ok(Self { plugins })
    }

    pub(crate) fn plugin_names(&self) -> Vec<String> {
        self.plugins.iter().map(|plugin| plugin.name.clone()).collect()
    }

    /// Admits the built-in plugin of that name, if there is one.
    async fn admit(&self, name: &str, catalog: &Catalog) -> Result<()> {
        let Some(plugin) = self.plugins.iter().find(|plugin| plugin.name == name) else { return Ok(()) };
        plugin
            .admitted
            .get_or_try_init(|| async {
                catalog.admit_bundled(&plugin.component).await?;
                Ok(())
            })
            .await
            .copied()
    }
}

impl App {
    /// The plugin, once it is admitted if it is a built-in one.
    pub async fn plugin(&self, reference: &PluginReference) -> Result<Plugin> {
        self.bundled.admit(reference.name.as_str(), &self.catalog).await?;
        self.catalog.plugin(reference).await
    }

    /// A plugin with what it may use and what came of it.
    pub(crate) async fn plugin_detail(&self, reference: &PluginReference) -> Result<PluginDetailView> {
        let plugin = self.plugin(reference).await?;
        let limits = self.orchestrator.limits_of(&plugin)?;
        let statistics = self.catalog.plugins.statistics(&plugin.digest).await?;
        Ok(PluginDetailView::new(plugin, &limits, statistics))
    }

    /// Admits all built-in plugins; several at once share the work.
    pub async fn admit_bundled(&self) -> Result<()> {
        for plugin in &self.bundled.plugins {
            self.bundled.admit(&plugin.name, &self.catalog).await?;
        }
        Ok(())
    }

    /// Registers the models and datasets of the installation and of the data folder. One that is broken is
    /// logged and left out: it must not keep the others from working.
    pub(crate) async fn register_folders(&self) -> Result<()> {
        tokio::try_join!(self.register_models(), self.register_datasets()).map(drop)
    }

    async fn register_models(&self) -> Result<()> {
        let roots = [(self.installation.models(), Origin::Bundled), (self.data.models(), Origin::Local)];
        for (root, origin) in roots {
            for path in entries(&root)?.into_iter().filter(|path| path.is_dir()) {
                if let Err(error) = self.register_model(&path, origin).await {
                    tracing::warn!(path = %path.display(), ?error, "a model is left out");
                }
            }
        }
        Ok(())
    }

    async fn register_datasets(&self) -> Result<()> {
        let roots = [(self.installation.datasets(), Origin::Bundled), (self.data.datasets(), Origin::Local)];
        for (root, origin) in roots {
            for path in entries(&root)?.into_iter().filter(|path| path.is_dir()) {
                if let Err(error) = self.register_dataset(&path, origin).await {
                    tracing::warn!(path = %path.display(), ?error, "a dataset is left out");
                }
            }
        }
        Ok(())
    }

    async fn register_model(&self, path: &Path, origin: Origin) -> Result<()> {
        let name = Name::new(path.file_name().unwrap_or_default().to_string_lossy())?;
        let facts = self.runner.inspect(path).await?;
        let model = Model { name: name.to_string(), origin, path: path.to_owned(), facts };
        if self.catalog.models.find(name.as_str()).await?.as_ref() == Some(&model) {
            return Ok(());
        }
        self.catalog.models.save(&model).await
    }

    async fn register_dataset(&self, path: &Path, origin: Origin) -> Result<()> {
        let dataset = self.datasets.inspect_folder(path, origin).await?;
        Name::new(&dataset.name)?;
        if self.catalog.datasets.find(&dataset.name).await?.as_ref() == Some(&dataset) {
            return Ok(());
        }
        self.catalog.datasets.save(&dataset).await
    }
}

/// What lies in a folder, in the order of names; nothing for a folder that is not there.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::unavailable(
            "unreadable-folder",
            format!("cannot read the folder {}: {error}", folder.display()),
        )
    };
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = listing
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}
