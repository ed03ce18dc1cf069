use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result};

use super::{GroupPreset, Preset, TaskPreset, file};
use crate::app::App;

impl App {
    /// The preset of that name: the user's own (`presets/` in the data folder), else one that ships.
    ///
    /// # Errors
    /// `invalid-preset` names the file and the place.
    pub(crate) fn preset(&self, name: &str) -> Result<Option<Preset>> {
        if Name::new(name).is_err() {
            return Ok(None);
        }
        for folder in self.preset_folders() {
            let path = folder.join(format!("{name}.toml"));
            if path.is_file() {
                return Ok(read(&path)?.into_iter().next());
            }
        }
        // Not a file's own name: one that a group makes.
        Ok(self.presets()?.into_iter().find(|preset| preset.name() == name))
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// `preset-not-found` lists the presets that there are.
    pub(crate) fn known_preset(&self, name: &str) -> Result<Preset> {
        if let Some(preset) = self.preset(name)? {
            return Ok(preset);
        }
        let presets = self.presets()?;
        // The members that a group makes are many, and its name says them all.
        let made: BTreeSet<&str> = presets
            .iter()
            .filter_map(|preset| match preset {
                Preset::Group(group) => Some(group.members.iter().map(String::as_str)),
                Preset::Task(_) => None,
            })
            .flatten()
            .collect();
        let known: Vec<_> = presets.iter().map(Preset::name).filter(|name| !made.contains(name)).collect();
        let shown: String = name.chars().take(Name::MAX_LENGTH).collect();
        Err(Error::not_found(
            "preset-not-found",
            format!("no preset is named `{shown}`; there are {}", known.join(", ")),
        ))
    }

    /// All presets, ordered by name; those of the user before those that ship under the same name. One that is
    /// broken is logged and left out: asked for by name, it says what is wrong.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub(crate) fn presets(&self) -> Result<Vec<Preset>> {
        let mut presets = Vec::new();
        for folder in self.preset_folders() {
            for path in crate::bundled::entries(&folder)? {
                if path.extension().is_none_or(|extension| extension != "toml") {
                    continue;
                }
                match read(&path) {
                    Ok(found) => presets.extend(found),
                    Err(error) => tracing::warn!(path = %path.display(), ?error, "a preset is left out"),
                }
            }
        }
        let mut seen = BTreeSet::new();
        presets.retain(|preset| seen.insert(preset.name().to_owned()));
        presets.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(presets)
    }

    /// The tasks of a group, those of groups within it among them, each once.
    ///
    /// # Errors
    /// `preset-not-found` names the member that there is not.
    pub(crate) fn members(&self, group: &GroupPreset) -> Result<Vec<TaskPreset>> {
        let mut tasks: Vec<TaskPreset> = Vec::new();
        let mut seen = BTreeSet::from([group.name.clone()]);
        let mut waiting: Vec<String> = group.members.iter().rev().cloned().collect();
        while let Some(name) = waiting.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match self.preset(&name)? {
                Some(Preset::Task(task)) => tasks.push(*task),
                Some(Preset::Group(inner)) => waiting.extend(inner.members.into_iter().rev()),
                None => {
                    return Err(Error::not_found(
                        "preset-not-found",
                        format!("group `{}` has a member `{name}`, but no preset has that name", group.name),
                    ));
                }
            }
        }
        Ok(tasks)
    }

    fn preset_folders(&self) -> [PathBuf; 2] {
        [self.data.path().join("presets"), self.installation.presets()]
    }
}

fn read(path: &Path) -> Result<Vec<Preset>> {
    let invalid = |reason: String| {
        Error::invalid("invalid-preset", format!("cannot read the preset {}: {reason}", path.display()))
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Name::new(name.as_ref()).map_err(|error| invalid(error.message))?;
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    file::parse(&name, &text).map_err(|reason| invalid(reason.trim().replace('\n', " ")))
}
