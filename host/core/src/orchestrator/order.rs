//! From an order to a plan: everything is checked and pinned before a benchmark exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::benchmark::{Benchmark, FewShot, Plan, PluginPin, Progress, Status};
use crate::dataset::{Dataset, Split};
use crate::id::BenchmarkId;
use crate::limits::Limits;
use crate::model::Model;
use crate::orchestrator::Orchestrator;
use crate::plugin::{Plugin, gold_columns};
use crate::{Error, Json, Result};

/// The part that the benchmark's own model plays.
pub(super) const SUBJECT: &str = "subject";
/// Solved examples before a question, at most: they are held in memory and rendered into every prompt.
const MOST_FEW_SHOT: u32 = 1000;
/// Samples in flight, at most.
const MOST_CONCURRENCY: u32 = 256;

/// What a client asks for, with its names resolved.
#[derive(Debug, Clone)]
pub struct NewBenchmark {
    pub model: Model,
    /// Further models by part, such as `judge`.
    pub parts: BTreeMap<String, Model>,
    pub task: Plugin,
    pub config: Json,
    pub dataset: Dataset,
    /// None: `test`, else `validation`, else the first split.
    pub split: Option<String>,
    /// At most so many rows, from the first.
    pub limit: Option<u64>,
    /// Solved examples before each question.
    pub few_shot: u32,
    pub seed: u64,
    /// Samples in flight at once.
    pub concurrency: u32,
    pub limits: Limits,
    /// The share of samples, 0 to 1, that may fail before the benchmark does.
    pub max_failed: f64,
    /// Whether model calls may be answered by what was recorded of earlier ones.
    pub response_cache: bool,
}

impl Orchestrator {
    /// Checks an order and writes down all that it pins.
    pub(super) async fn plan(&self, order: NewBenchmark) -> Result<Benchmark> {
        check_numbers(&order)?;
        check_task(&order)?;
        let split = match &order.split {
            Some(name) => order.dataset.split(name)?,
            None => order.dataset.default_split().ok_or_else(|| {
                Error::invalid("dataset-empty", format!("dataset `{}` has no splits", order.dataset.name))
            })?,
        };
        let rows = order.limit.map_or(split.rows, |limit| limit.min(split.rows));
        if rows == 0 {
            return Err(Error::invalid(
                "no-rows",
                format!("split `{}` of dataset `{}` has no rows to evaluate", split.name, order.dataset.name),
            ));
        }
        let plugin = self.ports.sandbox.load(&order.task.digest).await?;
        let metrics = plugin.metrics(&order.config, &order.limits).await?;
        let gold = gold_columns(&order.dataset.gold, &order.task.descriptor, &order.config);
        check_gold(&order, split, &gold)?;
        let few_shot = draw_examples(&order, split)?;
        Ok(Benchmark {
            id: BenchmarkId::new(),
            status: Status::Queued,
            progress: Progress { total: rows, ..Progress::default() },
            created_at: self.ports.clock.now(),
            started_at: None,
            finished_at: None,
            outcome: None,
            cancel_requested: false,
            plan: Plan {
                task: PluginPin {
                    name: order.task.name.to_string(),
                    version: order.task.version,
                    digest: order.task.digest,
                },
                split: split.clone(),
                dataset: order.dataset.name,
                model: order.model,
                parts: order.parts,
                config: order.config,
                metrics,
                gold: gold.into_iter().collect(),
                rows,
                few_shot,
                seed: order.seed,
                concurrency: order.concurrency,
                limits: order.limits,
                max_failed: order.max_failed,
                response_cache: order.response_cache,
            },
        })
    }
}

fn check_numbers(order: &NewBenchmark) -> Result<()> {
    if !(1..=MOST_CONCURRENCY).contains(&order.concurrency) {
        return Err(Error::invalid(
            "invalid-concurrency",
            format!("concurrency is {}; it must be 1 to {MOST_CONCURRENCY}", order.concurrency),
        ));
    }
    if !(0.0..=1.0).contains(&order.max_failed) {
        return Err(Error::invalid(
            "invalid-max-failed",
            format!("max_failed is {}; it is a share, 0 to 1", order.max_failed),
        ));
    }
    if order.few_shot > MOST_FEW_SHOT {
        return Err(Error::invalid(
            "invalid-few-shot",
            format!("few_shot is {}; it must be at most {MOST_FEW_SHOT}", order.few_shot),
        ));
    }
    if !order.config.is_object() {
        return Err(Error::invalid("invalid-config", "the config must be a JSON object"));
    }
    Ok(())
}

fn check_task(order: &NewBenchmark) -> Result<()> {
    let task = &order.task;
    if !(task.exports.solver && task.exports.scorer) {
        let lacks = if task.exports.solver { "scorer" } else { "solver" };
        return Err(Error::invalid(
            "not-a-task",
            format!("plugin `{}` has no {lacks}, so it is not a task that can run by itself", task.name),
        ));
    }
    for part in task.descriptor.parts.iter().filter(|part| *part != SUBJECT) {
        if !order.parts.contains_key(part) {
            return Err(Error::invalid(
                "part-missing",
                format!(
                    "task `{}` needs a model for its part `{part}`: bind one with {part}=MODEL",
                    task.name
                ),
            ));
        }
    }
    for part in order.parts.keys() {
        if part == SUBJECT || !task.descriptor.parts.contains(part) {
            return Err(Error::invalid(
                "unknown-part",
                format!(
                    "task `{}` has no part `{part}` to bind; its parts are {}",
                    task.name,
                    task.descriptor.parts.join(", ")
                ),
            ));
        }
    }
    Ok(())
}

/// A gold column that the data lacks is most often a misspelt config, found here and not in every sample.
fn check_gold(order: &NewBenchmark, split: &Split, gold: &BTreeSet<String>) -> Result<()> {
    let missing =
        gold.iter().find(|column| !split.columns.contains(*column) && !order.dataset.gold.contains(*column));
    match missing {
        None => Ok(()),
        Some(column) => Err(Error::invalid(
            "unknown-column",
            format!(
                "split `{}` of dataset `{}` has no column `{column}` for the gold answer; its columns are {}",
                split.name,
                order.dataset.name,
                split.columns.join(", ")
            ),
        )),
    }
}

/// The first rows of `train`. When that is the split under test, one more than needed, so that the row being
/// evaluated can be left out.
fn draw_examples(order: &NewBenchmark, evaluated: &Split) -> Result<Option<FewShot>> {
    let count = u64::from(order.few_shot);
    if count == 0 {
        return Ok(None);
    }
    let split = order.dataset.splits.iter().find(|split| split.name == "train").ok_or_else(|| {
        Error::invalid(
            "no-train-split",
            format!(
                "few-shot examples come from the split `train`, which dataset `{}` lacks",
                order.dataset.name
            ),
        )
    })?;
    let needed = if split.digest == evaluated.digest { count + 1 } else { count };
    if split.rows < needed {
        return Err(Error::invalid(
            "too-few-examples",
            format!("{count} few-shot examples were asked for, but split `train` has {} rows", split.rows),
        ));
    }
    Ok(Some(FewShot { split: split.clone(), count: order.few_shot, rows: (0..needed).collect() }))
}
