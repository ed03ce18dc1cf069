use std::collections::BTreeMap;

use llm_bench_core::{Json, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::preset::{DatasetReference, FewShotChoices, Preset};

/// A name for a task with all that belongs to it, or for a group of such.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PresetView {
    pub name: String,
    pub description: String,
    /// `name` or `name@version` of the plugin; null for a group.
    pub plugin: Option<String>,
    /// A registered dataset, or `hub:REPOSITORY/CONFIG` for one whose rows the user brings.
    pub dataset: Option<String>,
    /// The split that is evaluated.
    pub split: Option<String>,
    pub few_shot: FewShotView,
    /// Columns that the task knows by another name: that name, and the dataset's column.
    pub columns: BTreeMap<String, String>,
    pub chat: Option<bool>,
    pub system: Option<String>,
    #[schema(value_type = Object)]
    pub config: Json,
    /// The presets of a group; empty for a task.
    pub members: Vec<String>,
    /// The metrics that a group puts together; null: every mean that all members have, and for a task.
    pub metrics: Option<Vec<String>>,
}

/// Few-shot examples; null where the program's defaults hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FewShotView {
    pub count: Option<u32>,
    pub split: Option<String>,
    /// `first` or `random`.
    pub sampling: Option<String>,
    pub exclude_evaluated: Option<bool>,
}

impl From<Preset> for PresetView {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Task(task) => Self {
                name: task.name,
                description: task.description,
                plugin: Some(task.plugin),
                dataset: task.dataset.map(|dataset| match dataset {
                    DatasetReference::Registered(name) => name,
                    DatasetReference::Hub { repository, config: None } => format!("hub:{repository}"),
                    DatasetReference::Hub { repository, config: Some(config) } => {
                        format!("hub:{repository}/{config}")
                    }
                }),
                split: task.split,
                few_shot: task.few_shot.into(),
                columns: task.columns,
                chat: task.chat,
                system: task.system,
                config: Json::Object(task.config),
                members: Vec::new(),
                metrics: None,
            },
            Preset::Group(group) => Self {
                name: group.name,
                description: group.description,
                plugin: None,
                dataset: None,
                split: None,
                few_shot: FewShotView::default(),
                columns: BTreeMap::new(),
                chat: None,
                system: None,
                config: Json::Object(Row::new()),
                members: group.members,
                metrics: group.metrics,
            },
        }
    }
}

impl From<FewShotChoices> for FewShotView {
    fn from(choices: FewShotChoices) -> Self {
        let FewShotChoices { count, split, sampling, exclude_evaluated } = choices;
        let sampling = sampling.map(|sampling| sampling.as_str().to_owned());
        Self { count, split, sampling, exclude_evaluated }
    }
}
