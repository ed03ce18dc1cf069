//! Tries a plugin on some rows and stores nothing: on models, or on answers that were brought along.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::corpus::{self, Feeder, OfCorpus, row_of, scored};
use super::examples::Examples;
use super::order::{check_gold, check_granted, planned_rows};
use super::own_task::in_own_task;
use super::recorder::{LentModel, Part, Parts};
use super::sample::{Record, SampleRunner, Trial};
use crate::answers::Answers;
use crate::benchmark::Metric;
use crate::dataset::{Dataset, Split};
use crate::id::BenchmarkId;
use crate::limits::Limits;
use crate::model::Model;
use crate::plugin::config_schema::check_config;
use crate::plugin::{MetricDeclaration, Plugin, SUBJECT, gold_columns};
use crate::rescore::Takes;
use crate::response_cache::ModelKey;
use crate::sample::Failure;
use crate::statistics::Aggregator;
use crate::{Error, Json, Result};

/// What an author asks for, with its names resolved.
#[derive(Debug, Clone)]
pub struct NewRehearsal {
    /// A task; or a scorer, which judges the solutions among the answers.
    pub plugin: Plugin,
    pub config: Json,
    pub dataset: Dataset,
    /// None: `test`, else `validation`, else the first split.
    pub split: Option<String>,
    /// At most so many rows, from the first.
    pub limit: Option<u64>,
    pub seed: u64,
    /// Samples in flight at once.
    pub concurrency: u32,
    pub limits: Limits,
    /// Models by part, the subject among them.
    pub models: BTreeMap<String, Model>,
    /// What answers for the parts that no model plays.
    pub answers: Option<Answers>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Rows that were to be tried. There are fewer trials where it was stopped.
    pub rows: u64,
    /// In the order of the rows.
    pub trials: Vec<Trial>,
    /// Over the samples that did not fail.
    pub metrics: Vec<Metric>,
    /// Why there are no metrics of the whole corpus, where the plugin declares some.
    pub aggregation_failure: Option<Failure>,
}

impl Orchestrator {
    /// Runs samples here and now, without a benchmark. Cancelling `stop` ends those in flight and keeps what is finished;
    /// `finished` is told how many are, and of how many: first none.
    ///
    /// # Errors
    /// `plugin-disabled` and the like, `part-not-granted`, `invalid-config`, `unknown-column`, `no-rows`, `unknown-part`; `part-missing` and `solutions-missing` where
    /// neither a model nor answers are there for a part, or no solutions for a scorer.
    pub async fn rehearse(
        &self,
        order: NewRehearsal,
        stop: &CancellationToken,
        mut finished: impl FnMut(u64, u64),
    ) -> Result<Rehearsal> {
        order.plugin.ensure_usable()?;
        check_granted(&order.plugin, order.models.keys())?;
        check_config(&order.plugin.descriptor, &order.config)?;
        let (split, rows) = planned_rows(&order.dataset, order.split.as_deref(), order.limit)?;
        let split = split.clone();
        let gold = gold_columns(&order.dataset.gold, &order.plugin.descriptor, &order.config);
        check_gold(&BTreeMap::new(), &split, &order.dataset.name, &order.dataset.gold, &gold)?;
        let takes = check_parts(&order)?;
        let plugin = self.load(&order.plugin.pin()).await?;
        let metrics = plugin.metrics(&order.config, &order.limits).await?;
        let parts = tokio::select! {
            parts = self.lend(&order) => parts?,
            () = stop.cancelled() => return Err(Error::cancelled("stopped before the first sample began")),
        };
        let runner = Arc::new(SampleRunner {
            seed: order.seed,
            limits: order.limits,
            columns: BTreeMap::new(),
            gold,
            metrics: metrics.clone(),
            plugin,
            parts: Arc::new(parts),
            examples: Examples::none(order.config.clone(), order.seed),
            record: order.answers.map_or(Record::Nothing, |answers| Record::Answers(answers, takes)),
        });
        let cancel = stop.child_token();
        let mut running = self
            .ports
            .datasets
            .rows(&split, 0)
            .take(usize::try_from(rows).unwrap_or(usize::MAX))
            .take_until(Box::pin(stop.cancelled()))
            .map_ok(|row| {
                let (runner, cancel) = (runner.clone(), cancel.clone());
                in_own_task(async move { runner.run(row, cancel).await })
            })
            .try_buffered(order.concurrency.max(1) as usize);
        finished(0, rows);
        let mut trials = Vec::new();
        while let Some(trial) = running.try_next().await? {
            trials.extend(trial);
            finished(trials.len() as u64, rows);
        }
        let is_wanted = !stop.is_cancelled() && metrics.iter().any(MetricDeclaration::is_of_corpus);
        let corpus = if is_wanted {
            Some(self.aggregate_trials(&runner, &order.config, &split, &trials, &cancel).await?)
        } else {
            None
        };
        let mut measured = aggregate(metrics.clone(), &trials).await?;
        if let Some(corpus) = &corpus {
            corpus.complete(&metrics, &mut measured);
        }
        let metrics = measured;
        let aggregation_failure = corpus.and_then(OfCorpus::failure);
        Ok(Rehearsal { rows, trials, metrics, aggregation_failure })
    }

    /// Has the plugin compute the metrics of the whole corpus from the samples that did not fail.
    async fn aggregate_trials(
        &self,
        runner: &SampleRunner,
        config: &Json,
        split: &Split,
        trials: &[Trial],
        cancel: &CancellationToken,
    ) -> Result<OfCorpus> {
        let (mut feeder, samples) = Feeder::new();
        let feeding = async move {
            let mut rows = self.ports.datasets.rows(split, 0);
            let completed =
                trials.iter().map(|trial| &trial.record).filter(|record| record.failure.is_none());
            for record in completed {
                let row = row_of(&mut rows, record.index, &split.name).await?;
                let scored = scored(row, record.clone(), &runner.columns, &runner.gold);
                let Some(scored) = scored else { continue };
                if !feeder.feed(scored).await {
                    break;
                }
            }
            Ok::<_, Error>(feeder.count)
        };
        let limits = (runner.seed, runner.limits);
        let aggregating =
            async { Ok(corpus::aggregate(&*runner.plugin, config, limits, cancel, samples).await) };
        let (count, outcome) = try_join(feeding, aggregating).await?;
        Ok(OfCorpus::new(count, outcome, &runner.metrics))
    }

    /// Loads the models; answers stand for the parts that none plays.
    async fn lend(&self, order: &NewRehearsal) -> Result<Parts> {
        let is_bound = |part: &&String| !order.models.contains_key(*part);
        let declared = order.plugin.descriptor.parts.iter().filter(is_bound);
        let mut parts: Parts = declared.map(|part| (part.clone(), Part::Record)).collect();
        if order.models.is_empty() {
            return Ok(parts);
        }
        let models: Vec<&Model> = order.models.values().collect();
        let loaded = self.models.acquire(&models).await?;
        for ((part, model), loaded) in order.models.iter().zip(loaded) {
            let key = ModelKey::new(&model.facts.digest, &self.ports.runner.computation());
            // Nothing is stored, so there is no benchmark; nor does a rehearsal look for what others were answered.
            let lent = LentModel { model: loaded, key, benchmark: BenchmarkId::new(), cache: None };
            parts.insert(part.clone(), Part::Model(lent));
        }
        Ok(parts)
    }
}

/// Whether somebody answers for every part, and nobody for another.
fn check_parts(order: &NewRehearsal) -> Result<Takes> {
    let Plugin { name, exports, descriptor, .. } = &order.plugin;
    if !exports.scorer {
        let message = format!("plugin `{name}` has no scorer, so that nothing is measured");
        return Err(Error::invalid("not-a-task", message));
    }
    if !exports.solver && order.answers.is_none() {
        let message = format!(
            "plugin `{name}` has no solver: it judges solutions that were recorded, so bring samples with --answers"
        );
        return Err(Error::invalid("solutions-missing", message));
    }
    let wanted = |part: &&String| exports.solver || *part != SUBJECT;
    let wanted: Vec<&String> = descriptor.parts.iter().filter(wanted).collect();
    if let Some(part) = order.models.keys().find(|part| !wanted.contains(part)) {
        let listed = wanted.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ");
        let listed = if listed.is_empty() { "none" } else { &listed };
        let message = format!("plugin `{name}` has no part `{part}` to bind; its parts are: {listed}");
        return Err(Error::invalid("unknown-part", message));
    }
    let unbound = wanted.iter().find(|part| !order.models.contains_key(**part));
    if let Some(part) = unbound.filter(|_| order.answers.is_none()) {
        let option = if *part == SUBJECT { "--model M".to_owned() } else { format!("--part {part}=M") };
        let message = format!(
            "plugin `{name}` asks a `{part}`: name a model with {option}, or recorded answers with --answers FILE"
        );
        return Err(Error::invalid("part-missing", message));
    }
    Ok(if exports.solver { Takes::Calls } else { Takes::Solutions })
}

async fn aggregate(metrics: Vec<MetricDeclaration>, trials: &[Trial]) -> Result<Vec<Metric>> {
    let mut aggregator = Aggregator::new(metrics);
    for measurement in trials.iter().flat_map(|trial| &trial.record.measurements) {
        aggregator.add(measurement);
    }
    // Bootstrap replicates take seconds of computing, which a worker thread of the runtime must not.
    tokio::task::spawn_blocking(move || aggregator.finish())
        .await
        .map_err(|error| Error::internal("aggregation-failed", "cannot aggregate the metrics").because(error))
}
