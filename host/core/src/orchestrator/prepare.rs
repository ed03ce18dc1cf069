//! All that the samples of a benchmark share, loaded.

use std::sync::Arc;

use super::Orchestrator;
use super::recorder::{LentModel, Part, Parts};
use super::sample::SampleRunner;
use crate::benchmark::{Benchmark, FewShotDraws, Plan, PluginPin};
use crate::dataset::{DatasetFiles, Split};
use crate::model::{LoadedModel, Model, Origin};
use crate::plugin::{LoadedPlugin, SUBJECT};
use crate::response_cache::ModelKey;
use crate::{Error, Result};

impl Orchestrator {
    /// Loads the plugin, the models that are asked, and the few-shot examples of a benchmark.
    pub(super) async fn prepare(
        &self,
        benchmark: &Benchmark,
        draws: Option<FewShotDraws>,
    ) -> Result<SampleRunner> {
        let (recorded, asked) = benchmark.plan.models();
        let mut parts: Parts = recorded.into_iter().map(|name| (name.to_owned(), Part::Record)).collect();
        self.check_unchanged(&benchmark.plan.split).await?;
        // Who needs no model does not wait until there is room for one.
        if !asked.is_empty() {
            let models: Vec<&Model> = asked.iter().map(|(_, model)| *model).collect();
            let loaded = self.models.acquire(&models).await?;
            for ((name, pinned), loaded) in asked.into_iter().zip(loaded) {
                parts.insert(name.to_owned(), self.part(benchmark, pinned, loaded).await);
            }
        }
        self.assemble(&benchmark.plan, parts, draws).await
    }

    /// Readies a plugin with the data files that are pinned with it.
    pub(super) async fn load(&self, task: &PluginPin) -> Result<Arc<dyn LoadedPlugin>> {
        self.ports.sandbox.load(&task.digest, task.data_files.as_deref()).await
    }

    /// Loads what a benchmark needs besides models.
    pub(super) async fn assemble(
        &self,
        plan: &Plan,
        parts: Parts,
        draws: Option<FewShotDraws>,
    ) -> Result<SampleRunner> {
        let plugin = self.load(&plan.task).await?;
        let examples = self.read_examples(plan, draws).await?;
        let source = self.ports.benchmarks.clone();
        Ok(SampleRunner::new(plan.clone(), plugin, Arc::new(parts), examples, source))
    }

    /// A loaded model, with the answers that it gave before where there are any.
    async fn part(&self, benchmark: &Benchmark, model: &Model, loaded: Arc<dyn LoadedModel>) -> Part {
        let key = ModelKey::new(&model.facts.digest, &self.ports.runner.computation());
        let cache = &self.ports.response_cache;
        // A cache that cannot be read costs the time of asking the model, no more.
        let has_answers = benchmark.plan.response_cache
            && cache.has_answers_of(&key).await.unwrap_or_else(|error| {
                tracing::warn!(?error, "the response cache cannot be read");
                false
            });
        let cache = has_answers.then(|| cache.clone());
        Part::Model(LentModel { model: loaded, key, benchmark: benchmark.id, cache })
    }

    /// A split is pinned by its content: other rows under the same name are another benchmark.
    pub(super) async fn check_unchanged(&self, split: &Split) -> Result<()> {
        let files = DatasetFiles {
            name: split.name.clone(),
            origin: Origin::Path,
            splits: vec![(split.name.clone(), split.path.clone())],
        };
        let now = self.ports.datasets.inspect_files(files).await?;
        if now.splits.iter().all(|now| now.digest == split.digest) {
            return Ok(());
        }
        Err(Error::conflict(
            "dataset-changed",
            format!("the file of split `{}` is not the one that the benchmark was created on", split.name),
        ))
    }
}

impl Plan {
    /// The parts that the record answers for, and those whose models are asked.
    fn models(&self) -> (Vec<&str>, Vec<(&str, &Model)>) {
        let bound = self.parts.iter().map(|(name, model)| (name.as_str(), model));
        match &self.source {
            None => (Vec::new(), std::iter::once((SUBJECT, &self.model)).chain(bound).collect()),
            Some(source) => {
                let recorded = source.recorded_parts.iter().map(String::as_str).collect();
                let is_asked =
                    |(name, _): &(&str, &Model)| !source.recorded_parts.iter().any(|part| part == name);
                (recorded, bound.filter(is_asked).collect())
            }
        }
    }
}
