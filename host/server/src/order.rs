//! From what a person or a program asks for to an order whose names are resolved.

use std::collections::BTreeMap;

use llm_bench_core::dataset::Dataset;
use llm_bench_core::limits::{Budget, Limits};
use llm_bench_core::model::Model;
use llm_bench_core::orchestrator::NewBenchmark;
use llm_bench_core::plugin::{Plugin, PluginReference};
use llm_bench_core::{Error, Json, Result, Row};

use crate::app::App;
use crate::preset::Preset;

const DEFAULT_SEED: u64 = 1234;
const DEFAULT_CONCURRENCY: u32 = 16;
const DEFAULT_MAX_FAILED: f64 = 0.1;

/// The choices of a benchmark as they were made, by the API or on the command line; models apart, since only the
/// command line may name folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderRequest {
    pub(crate) task: String,
    pub(crate) dataset: Option<String>,
    pub(crate) split: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) few_shot: Option<u32>,
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
        let name = dataset_name(&request, preset.as_ref())?;
        let dataset = self.catalog.dataset(name).await?;
        assemble(model, bound, task, preset, dataset, request)
    }

    /// A plugin by its name, or the plugin of a preset.
    pub(crate) async fn task(&self, text: &str) -> Result<(Plugin, Option<Preset>)> {
        if let Some(preset) = self.preset(text)? {
            let reference: PluginReference = preset.plugin.parse()?;
            return Ok((self.plugin(&reference).await?, Some(preset)));
        }
        let reference: PluginReference = text.parse()?;
        Ok((self.plugin(&reference).await?, None))
    }
}

/// The dataset asked for, else the preset's.
pub(crate) fn dataset_name<'a>(request: &'a OrderRequest, preset: Option<&'a Preset>) -> Result<&'a str> {
    request.dataset.as_deref().or_else(|| preset?.dataset.as_deref()).ok_or_else(|| {
        Error::invalid(
            "dataset-missing",
            format!("task `{}` brings no dataset of its own: name one", request.task),
        )
    })
}

/// Puts the user's choices over the preset's, and these over the defaults.
pub(crate) fn assemble(
    model: Model,
    parts: BTreeMap<String, Model>,
    task: Plugin,
    preset: Option<Preset>,
    dataset: Dataset,
    request: OrderRequest,
) -> Result<NewBenchmark> {
    let (mut config, split, few_shot) = match preset {
        Some(preset) => (preset.config, preset.split, preset.few_shot),
        None => (Row::new(), None, None),
    };
    config.extend(request.config);
    Ok(NewBenchmark {
        model,
        parts,
        task,
        config: Json::Object(config),
        dataset,
        split: request.split.or(split),
        limit: request.limit,
        few_shot: request.few_shot.or(few_shot).unwrap_or(0),
        seed: request.seed.unwrap_or(DEFAULT_SEED),
        concurrency: request.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        limits: request.limits.resolve()?,
        max_failed: request.max_failed.unwrap_or(DEFAULT_MAX_FAILED),
        response_cache: request.response_cache.unwrap_or(true),
    })
}

impl LimitChoices {
    fn resolve(self) -> Result<Limits> {
        const MIB: u64 = 1024 * 1024;
        /// What a 32-bit memory can have.
        const MOST_MEMORY_MIB: u64 = 4096;
        let mut limits = Limits::of(self.budget.unwrap_or_default());
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
