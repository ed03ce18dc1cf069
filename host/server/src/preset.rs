//! Presets: TOML files that give a name to a plugin with its config, dataset and few-shot count.

use std::path::Path;

use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result, Row};
use serde::Deserialize;

use crate::app::App;

/// What a preset file says. Everything but the plugin is a default that the user's own choice overrides.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    #[serde(default)]
    pub(crate) description: String,
    /// `name` or `name@version`.
    pub(crate) plugin: String,
    #[serde(default)]
    pub(crate) config: Row,
    pub(crate) dataset: Option<String>,
    pub(crate) split: Option<String>,
    #[serde(default)]
    pub(crate) few_shot: Option<u32>,
}

impl App {
    /// The preset of that name: the user's own (`presets/` in the data folder), else one that ships.
    ///
    /// # Errors
    /// `invalid-preset` names the file and the place.
    pub(crate) fn preset(&self, name: &str) -> Result<Option<Preset>> {
        if Name::new(name).is_err() {
            return Ok(None);
        }
        for folder in [self.data.path().join("presets"), self.installation.presets()] {
            let path = folder.join(format!("{name}.toml"));
            if path.is_file() {
                return read(&path).map(Some);
            }
        }
        Ok(None)
    }
}

fn read(path: &Path) -> Result<Preset> {
    let invalid = |reason: String| {
        Error::invalid("invalid-preset", format!("cannot read the preset {}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    toml::from_str(&text).map_err(|error| invalid(error.to_string().trim().replace('\n', " ")))
}
