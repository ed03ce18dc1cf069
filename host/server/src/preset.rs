//! Presets: names for tasks with all that belongs to them, and for groups of such.
//!
//! A preset is a TOML file, `NAME.toml`. The documentation of [`file`] is its schema.

mod file;
mod find;

use std::collections::BTreeMap;

use llm_bench_core::benchmark::FewShotSampling;
use llm_bench_core::{Error, Result, Row};
use serde::Deserialize;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Preset {
    Task(Box<TaskPreset>),
    Group(GroupPreset),
}

/// A plugin with its config, dataset and few-shot examples. Everything but the plugin is a default that the user's
/// own choice overrides.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TaskPreset {
    pub(crate) name: String,
    pub(crate) description: String,
    /// `name` or `name@version`.
    pub(crate) plugin: String,
    pub(crate) config: Row,
    pub(crate) dataset: Option<DatasetReference>,
    pub(crate) split: Option<String>,
    pub(crate) few_shot: FewShotChoices,
    /// Columns that the task knows by another name: that name, and the dataset's column.
    pub(crate) columns: BTreeMap<String, String>,
    pub(crate) chat: Option<bool>,
    pub(crate) system: Option<String>,
}

/// Presets whose results are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupPreset {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Names of presets: tasks, or groups themselves.
    pub(crate) members: Vec<String>,
    /// The metrics that are put together; none: every mean that all members have.
    pub(crate) metrics: Option<Vec<String>>,
}

/// Where a preset's rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatasetReference {
    /// A registered dataset.
    Registered(String),
    /// A dataset of the Hugging Face Hub, which the user brings as files.
    Hub { repository: String, config: Option<String> },
}

/// What is chosen of few-shot examples, by a preset or by a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FewShotChoices {
    pub(crate) count: Option<u32>,
    pub(crate) split: Option<String>,
    pub(crate) sampling: Option<FewShotSampling>,
    pub(crate) exclude_evaluated: Option<bool>,
}

impl Preset {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Task(task) => &task.name,
            Self::Group(group) => &group.name,
        }
    }

    /// The task that this preset is.
    ///
    /// # Errors
    /// `preset-is-a-group` names some of the members.
    pub(crate) fn into_task(self) -> Result<TaskPreset> {
        const NAMED: usize = 3;
        match self {
            Self::Task(task) => Ok(*task),
            Self::Group(group) => Err(Error::invalid(
                "preset-is-a-group",
                format!(
                    "`{}` is a group of {} presets, not one benchmark: ask for each of them ({}, …), or run the \
                     group with `llm-bench run`",
                    group.name,
                    group.members.len(),
                    group.members.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ")
                ),
            )),
        }
    }
}

impl TaskPreset {
    /// Names by which a folder of the user's data may call this preset's: its own, and its dataset's.
    pub(crate) fn data_names(&self) -> Vec<&str> {
        let dataset = match &self.dataset {
            Some(DatasetReference::Registered(name)) => Some(name.as_str()),
            Some(DatasetReference::Hub { config: Some(config), .. }) => Some(config.as_str()),
            Some(DatasetReference::Hub { .. }) | None => None,
        };
        [self.name.as_str()].into_iter().chain(dataset).collect()
    }
}

impl FewShotChoices {
    /// These choices, and those of `other` where there is none.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            count: self.count.or(other.count),
            split: self.split.or(other.split),
            sampling: self.sampling.or(other.sampling),
            exclude_evaluated: self.exclude_evaluated.or(other.exclude_evaluated),
        }
    }
}
