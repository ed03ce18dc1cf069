//! From what a person or a program asks for to an order whose names are resolved.

use std::collections::BTreeMap;

use llm_bench_core::dataset::Dataset;
use llm_bench_core::limits::{Budget, Limits, MOST_MEMORY_BYTES};
use llm_bench_core::model::Model;
use llm_bench_core::orchestrator::{FewShotOrder, NewBenchmark};
use llm_bench_core::plugin::{Plugin, PluginReference};
use llm_bench_core::{Error, Json, Result, Row};

use crate::app::App;
use crate::preset::{DatasetReference, FewShotChoices, Preset, TaskPreset};

pub(crate) const DEFAULT_SEED: u64 = 1234;
pub(crate) const DEFAULT_CONCURRENCY: u32 = 16;
const DEFAULT_MAX_FAILED: f64 = 0.1;

/// The choices of a benchmark as they were made, by the API or on the command line; models apart, since only the
/// command line may name folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderRequest {
    pub(crate) task: String,
    pub(crate) dataset: Option<String>,
    pub(crate) split: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) few_shot: FewShotChoices,
    /// Columns that the task knows by another name: that name, and the dataset's column.
    pub(crate) columns: BTreeMap<String, String>,
    pub(crate) chat: Option<bool>,
    pub(crate) system: Option<String>,
    pub(crate) config: Row,
    pub(crate) seed: Option<u64>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) limits: LimitChoices,
    pub(crate) max_failed: Option<f64>,
    pub(crate) response_cache: Option<bool>,
}

/// A budget, and what is to differ from it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LimitChoices {
    pub(crate) budget: Option<Budget>,
    pub(crate) fuel: Option<u64>,
    pub(crate) memory_mib: Option<u64>,
    pub(crate) timeout_s: Option<u64>,
}

impl App {
    /// An order whose names are all registered ones.
    pub(crate) async fn registered_order(
        &self,
        model: &str,
        parts: &BTreeMap<String, String>,
        request: OrderRequest,
    ) -> Result<NewBenchmark> {
        let model = self.catalog.model(model).await?;
        let mut bound = BTreeMap::new();
        for (part, name) in parts {
            bound.insert(part.clone(), self.catalog.model(name).await?);
        }
        let (task, preset) = self.task(&request.task).await?;
        let name = self.dataset_name(&request, preset.as_ref()).await?;
        let dataset = self.catalog.dataset(&name).await?;
        self.assemble(model, bound, task, preset, dataset, request)
    }

    /// The plugin of a preset by its name, else the plugin of that name.
    pub(crate) async fn task(&self, text: &str) -> Result<(Plugin, Option<TaskPreset>)> {
        self.task_of(text, self.preset(text).await?).await
    }

    /// The plugin of the preset that bears a name, else the plugin of that name.
    pub(crate) async fn task_of(
        &self,
        text: &str,
        preset: Option<Preset>,
    ) -> Result<(Plugin, Option<TaskPreset>)> {
        match preset {
            Some(preset) => self.preset_task(preset.into_task()?).await,
            None => Ok((self.plugin(&text.parse()?).await?, None)),
        }
    }

    /// The plugin of a preset.
    pub(crate) async fn preset_task(&self, preset: TaskPreset) -> Result<(Plugin, Option<TaskPreset>)> {
        let reference: PluginReference = preset.plugin.parse()?;
        Ok((self.plugin(&reference).await?, Some(preset)))
    }

    /// The dataset asked for, else the preset's; where that is one of the Hub, the registered one that bears the
    /// preset's name.
    ///
    /// # Errors
    /// `dataset-missing` says what to bring.
    pub(crate) async fn dataset_name(
        &self,
        request: &OrderRequest,
        preset: Option<&TaskPreset>,
    ) -> Result<String> {
        if let Some(name) = &request.dataset {
            return Ok(name.clone());
        }
        let missing = |message: String| Err(Error::invalid("dataset-missing", message));
        match preset.and_then(|preset| Some((preset, preset.dataset.as_ref()?))) {
            None => missing(format!("task `{}` brings no dataset of its own: name one", request.task)),
            Some((_, DatasetReference::Registered(name))) => Ok(name.clone()),
            Some((preset, DatasetReference::Hub { repository, config })) => {
                if self.catalog.datasets.find(&preset.name).await?.is_some() {
                    return Ok(preset.name.clone());
                }
                let config = config.as_ref().map_or(String::new(), |config| format!(" ({config})"));
                let split = request.split.as_ref().or(preset.split.as_ref());
                let split = split.map_or(String::new(), |split| format!(" of its split `{split}`"));
                missing(format!(
                    "task `{}` is about {repository}{config} of the Hugging Face Hub, which is not fetched for you: \
                     bring the rows{split} as JSON Lines or CSV with `--dataset FILE`, or register them as the \
                     dataset `{}`",
                    request.task, preset.name
                ))
            }
        }
    }

    /// Puts the user's choices over the preset's, and these over the defaults.
    pub(crate) fn assemble(
        &self,
        model: Model,
        parts: BTreeMap<String, Model>,
        task: Plugin,
        preset: Option<TaskPreset>,
        dataset: Dataset,
        request: OrderRequest,
    ) -> Result<NewBenchmark> {
        let name = preset.as_ref().map(|preset| preset.name.clone());
        let preset = preset.unwrap_or_default();
        let mut config = preset.config;
        config.extend(request.config);
        let settings = [
            ("chat", request.chat.or(preset.chat).map(Json::from)),
            ("system", request.system.or(preset.system).map(Json::from)),
        ];
        for (setting, value) in settings {
            let Some(value) = value else { continue };
            if task.descriptor.config_schema["properties"].get(setting).is_none() {
                return Err(Error::invalid(
                    "unknown-setting",
                    format!("task `{}` has no setting `{setting}`: it does not ask that way", task.name),
                ));
            }
            config.insert(setting.to_owned(), value);
        }
        let mut columns = preset.columns;
        columns.extend(request.columns);
        let few_shot = request.few_shot.or(preset.few_shot);
        let limits = request.limits.over(self.orchestrator.limits_of(&task)?)?;
        Ok(NewBenchmark {
            model,
            parts,
            task,
            config: Json::Object(config),
            dataset,
            split: request.split.or(preset.split),
            limit: request.limit,
            few_shot: FewShotOrder {
                count: few_shot.count.unwrap_or(0),
                split: few_shot.split,
                sampling: few_shot.sampling.unwrap_or_default(),
                exclude_evaluated: few_shot.exclude_evaluated,
            },
            columns,
            preset: name,
            seed: request.seed.unwrap_or(DEFAULT_SEED),
            concurrency: request.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
            limits,
            max_failed: request.max_failed.unwrap_or(DEFAULT_MAX_FAILED),
            response_cache: request.response_cache.unwrap_or(true),
        })
    }
}

impl LimitChoices {
    /// The limits of a call: the budget's, else `usual`, with what was chosen in their place.
    ///
    /// # Errors
    /// `invalid-limit`.
    pub(crate) fn over(self, usual: Limits) -> Result<Limits> {
        const MIB: u64 = 1024 * 1024;
        const MOST_MEMORY_MIB: u64 = MOST_MEMORY_BYTES / MIB;
        let mut limits = self.budget.map_or(usual, Limits::of);
        if let Some(fuel) = self.fuel {
            limits.fuel = positive("fuel", fuel)?;
        }
        if let Some(memory) = self.memory_mib {
            if memory > MOST_MEMORY_MIB {
                let message = format!("memory_mib is {memory}; it must be at most {MOST_MEMORY_MIB}");
                return Err(Error::invalid("invalid-limit", message));
            }
            limits.memory_bytes = positive("memory_mib", memory)? * MIB;
        }
        if let Some(seconds) = self.timeout_s {
            limits.compute_timeout_ms = positive("timeout_s", seconds)?.saturating_mul(1000);
        }
        Ok(limits)
    }
}

fn positive(name: &str, value: u64) -> Result<u64> {
    if value == 0 {
        return Err(Error::invalid("invalid-limit", format!("{name} is 0; it must be at least 1")));
    }
    Ok(value)
}
