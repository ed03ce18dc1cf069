use std::collections::{BTreeMap, BTreeSet};
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
    pub(crate) async fn preset(&self, name: &str) -> Result<Option<Preset>> {
        self.preset_index().await?.take(name)
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// `preset-not-found` lists the presets that there are.
    pub(crate) async fn known_preset(&self, name: &str) -> Result<Preset> {
        let mut index = self.preset_index().await?;
        if let Some(preset) = index.take(name)? {
            return Ok(preset);
        }
        let shown: String = name.chars().take(Name::MAX_LENGTH).collect();
        Err(Error::not_found(
            "preset-not-found",
            format!("no preset is named `{shown}`; there are {}", index.names().join(", ")),
        ))
    }

    /// All presets, ordered by name. One that is broken is logged and left out: asked for by name, it says what is
    /// wrong.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub(crate) async fn presets(&self) -> Result<Vec<Preset>> {
        let found = self.preset_index().await?.0.into_iter().filter_map(|(name, preset)| {
            preset.inspect_err(|error| tracing::warn!(preset = name, ?error, "a preset is left out")).ok()
        });
        Ok(found.collect())
    }

    /// The tasks of a group, those of groups within it among them, each once.
    ///
    /// # Errors
    /// `preset-not-found` names the member that there is not.
    pub(crate) async fn members(&self, group: &GroupPreset) -> Result<Vec<TaskPreset>> {
        self.preset_index().await?.members(group)
    }

    /// Reads all presets, on a thread that may wait for files.
    async fn preset_index(&self) -> Result<Index> {
        let folders = [self.data.path().join("presets"), self.installation.presets()];
        tokio::task::spawn_blocking(move || Index::read(&folders)).await.map_err(|error| {
            Error::internal("preset-reader-stopped", "reading the presets stopped").because(error)
        })?
    }
}

/// Every preset by its name, or why its file is none. The first of a name counts: in the order of the folders, and in
/// a folder one with a file of its own before one that a group makes.
struct Index(BTreeMap<String, Result<Preset>>);

impl Index {
    fn read(folders: &[PathBuf]) -> Result<Self> {
        let mut index = BTreeMap::new();
        for folder in folders {
            let mut made = Vec::new();
            for path in crate::bundled::entries(folder)? {
                if path.extension().is_none_or(|extension| extension != "toml") {
                    continue;
                }
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let own = read(&name, &path).map(|(own, others)| {
                    made.extend(others);
                    own
                });
                index.entry(name).or_insert(own);
            }
            for preset in made {
                index.entry(preset.name().to_owned()).or_insert(Ok(preset));
            }
        }
        Ok(Self(index))
    }

    fn take(&mut self, name: &str) -> Result<Option<Preset>> {
        self.0.remove(name).transpose()
    }

    /// Names to choose from, without the many that a group makes: its own says them all.
    fn names(&self) -> Vec<&str> {
        let members: BTreeSet<&str> = self
            .0
            .values()
            .filter_map(|preset| match preset {
                Ok(Preset::Group(group)) => Some(group.members.iter().map(String::as_str)),
                _ => None,
            })
            .flatten()
            .collect();
        self.0.keys().map(String::as_str).filter(|name| !members.contains(name)).collect()
    }

    fn members(&mut self, group: &GroupPreset) -> Result<Vec<TaskPreset>> {
        let mut tasks: Vec<TaskPreset> = Vec::new();
        let mut seen = BTreeSet::from([group.name.clone()]);
        let mut waiting: Vec<String> = group.members.iter().rev().cloned().collect();
        while let Some(name) = waiting.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match self.take(&name)? {
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
}

/// The preset of a file, and those that it makes.
fn read(name: &str, path: &Path) -> Result<(Preset, Vec<Preset>)> {
    let invalid = |reason: String| {
        Error::invalid("invalid-preset", format!("cannot read the preset {}: {reason}", path.display()))
    };
    Name::new(name).map_err(|error| invalid(error.message))?;
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    file::parse(name, &text).map_err(|reason| invalid(reason.trim().replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(files: &[(&str, &str)]) -> Index {
        let data = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = data.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Index::read(&["user", "shipped"].map(|folder| data.path().join(folder))).unwrap()
    }

    fn plugin(index: &mut Index, name: &str) -> Option<String> {
        index.take(name).unwrap().map(|preset| preset.into_task().unwrap().plugin)
    }

    const MAKES_EXAM_LAW: &str =
        "plugin = 'made'\n[group]\nmember = 'exam_{{ subject }}'\nsubjects = ['law', 'chess']\n";

    #[test]
    fn a_users_preset_comes_before_one_that_ships_also_where_a_group_makes_it() {
        let files = [("user/mine.toml", MAKES_EXAM_LAW), ("shipped/exam_law.toml", "plugin = 'shipped'\n")];
        assert_eq!(plugin(&mut index(&files), "exam_law").as_deref(), Some("made"));
        let Some(Preset::Group(group)) = index(&files).take("mine").unwrap() else { panic!() };
        let members = index(&files).members(&group).unwrap();
        assert!(members.iter().all(|task| task.plugin == "made"), "{members:?}");
    }

    #[test]
    fn a_file_of_its_own_comes_before_what_a_group_beside_it_makes() {
        let files = [("user/exam.toml", MAKES_EXAM_LAW), ("user/exam_law.toml", "plugin = 'own'\n")];
        let mut index = index(&files);
        assert_eq!(plugin(&mut index, "exam_law").as_deref(), Some("own"));
        assert_eq!(plugin(&mut index, "exam_chess").as_deref(), Some("made"));
        assert_eq!(plugin(&mut index, "exam_go"), None);
    }

    #[test]
    fn a_broken_preset_of_the_user_is_named_and_not_passed_over_for_one_that_ships() {
        let files = [("user/a.toml", "plugn = 'x'\n"), ("shipped/a.toml", "plugin = 'shipped'\n")];
        let error = index(&files).take("a").unwrap_err();
        assert_eq!(error.code, "invalid-preset");
        assert!(error.message.contains("user/a.toml") && error.message.contains("plugn"), "{error}");
    }
}
