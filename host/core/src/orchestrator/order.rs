//! From an order to a plan: everything is checked and pinned before a benchmark exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::benchmark::{Benchmark, FewShotDraws, Plan};
use crate::dataset::{Dataset, Split};
use crate::limits::Limits;
use crate::model::{Model, Origin};
use crate::orchestrator::{FewShotOrder, Orchestrator};
use crate::plugin::config_schema::check_config;
use crate::plugin::{Plugin, SUBJECT, gold_columns};
use crate::{Error, Json, Result};

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
    pub few_shot: FewShotOrder,
    /// Columns that the task knows by another name: that name, and the dataset's column.
    pub columns: BTreeMap<String, String>,
    /// The preset whose task this is.
    pub preset: Option<String>,
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
    pub(super) async fn plan(&self, order: NewBenchmark) -> Result<(Benchmark, Option<FewShotDraws>)> {
        check_numbers(&order)?;
        check_task(&order)?;
        self.check_limits(&order)?;
        let (split, rows) = planned_rows(&order.dataset, order.split.as_deref(), order.limit)?;
        check_config(&order.task.descriptor, &order.config)?;
        let task = order.task.pin();
        let plugin = self.load(&task).await?;
        let metrics = plugin.metrics(&order.config, &order.limits).await?;
        check_columns(&order, split)?;
        let gold = order.gold_columns();
        check_gold(&order.columns, split, &order.dataset.name, &order.dataset.gold, &gold)?;
        let (few_shot, draws) = self.choose_examples(&order, split, rows).await?;
        let plan = Plan {
            task,
            split: split.clone(),
            dataset: order.dataset.name,
            model: order.model,
            parts: order.parts,
            config: order.config,
            metrics,
            gold: gold.into_iter().collect(),
            rows,
            few_shot,
            columns: order.columns,
            preset: order.preset,
            seed: order.seed,
            concurrency: order.concurrency,
            limits: order.limits,
            max_failed: order.max_failed,
            response_cache: order.response_cache,
            source: None,
        };
        Ok((Benchmark::queued(plan, rows, self.ports.clock.now()), draws))
    }
}

impl Orchestrator {
    /// What a call of the plugin may use unless an order says less: the host's defaults, with what the plugin was
    /// granted in their place.
    ///
    /// # Errors
    /// `unknown-limit`, `invalid-limit` where a grant was stored by another version of the program.
    pub fn limits_of(&self, plugin: &Plugin) -> Result<Limits> {
        self.settings.guest_limits.with(&plugin.grants.limits)
    }

    /// What a stranger's code may use is an administrator's word. Plugins that ship with the program, and those that
    /// the person in front brings along, may be given more.
    fn check_limits(&self, order: &NewBenchmark) -> Result<()> {
        if order.task.origin != Origin::Uploaded {
            return Ok(());
        }
        match order.limits.beyond(&self.limits_of(&order.task)?) {
            None => Ok(()),
            Some((name, asked, most)) => Err(Error::denied(
                "limit-not-granted",
                format!(
                    "{name} is {asked}, but plugin `{}` may have {most}; an administrator can grant it more",
                    order.task.reference()
                ),
            )),
        }
    }
}

impl NewBenchmark {
    /// The columns that the solver never sees, by the names that the task knows.
    pub fn gold_columns(&self) -> BTreeSet<String> {
        let renamed = |column: &String| {
            let name = self.columns.iter().find(|(_, source)| *source == column).map(|(name, _)| name);
            name.unwrap_or(column).clone()
        };
        let dataset: Vec<String> = self.dataset.gold.iter().map(renamed).collect();
        gold_columns(&dataset, &self.task.descriptor, &self.config)
    }
}

/// The split that is named, else the default one, and how many of its rows are wanted.
pub(super) fn planned_rows<'a>(
    dataset: &'a Dataset,
    split: Option<&str>,
    limit: Option<u64>,
) -> Result<(&'a Split, u64)> {
    let split = match split {
        Some(name) => dataset.split(name)?,
        None => dataset.default_split().ok_or_else(|| {
            Error::invalid("dataset-empty", format!("dataset `{}` has no splits", dataset.name))
        })?,
    };
    let rows = limit.map_or(split.rows, |limit| limit.min(split.rows));
    if rows == 0 {
        let message = format!("split `{}` of dataset `{}` has no rows to evaluate", split.name, dataset.name);
        return Err(Error::invalid("no-rows", message));
    }
    Ok((split, rows))
}

/// A misspelt column is found here and not in every sample.
fn check_columns(order: &NewBenchmark, split: &Split) -> Result<()> {
    if let Some(column) = order.columns.values().find(|column| !split.columns.contains(column)) {
        return Err(unknown_column(split, &order.dataset.name, column, "to rename"));
    }
    let mut seen = BTreeSet::new();
    match order.columns.values().find(|column| !seen.insert(*column)) {
        None => Ok(()),
        Some(column) => Err(Error::invalid(
            "column-renamed-twice",
            format!("column `{column}` is to stand under two names; it can bear one"),
        )),
    }
}

fn unknown_column(split: &Split, dataset: &str, column: &str, purpose: &str) -> Error {
    Error::invalid(
        "unknown-column",
        format!(
            "split `{}` of dataset `{dataset}` has no column `{column}` {purpose}; its columns are {}",
            split.name,
            split.columns.join(", ")
        ),
    )
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
    if !order.config.is_object() {
        return Err(Error::invalid("invalid-config", "the config must be a JSON object"));
    }
    Ok(())
}

fn check_task(order: &NewBenchmark) -> Result<()> {
    let task = &order.task;
    task.ensure_usable()?;
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
    check_granted(task, order.parts.keys())
}

/// A model may be bound to those parts alone that an administrator granted the plugin.
pub(super) fn check_granted<'a>(plugin: &Plugin, mut parts: impl Iterator<Item = &'a String>) -> Result<()> {
    match parts.find(|part| !plugin.may_open(part)) {
        None => Ok(()),
        Some(part) => Err(Error::denied(
            "part-not-granted",
            format!(
                "plugin `{}` asks for a model as its `{part}`, which it was not granted; an administrator can grant it",
                plugin.reference()
            ),
        )),
    }
}

/// A gold column that the data lacks is most often a misspelt config, found here and not in every sample.
/// `declared` are columns that the dataset says are gold, whether or not its first row has them.
pub(super) fn check_gold(
    columns: &BTreeMap<String, String>,
    split: &Split,
    dataset: &str,
    declared: &[String],
    gold: &BTreeSet<String>,
) -> Result<()> {
    let is_there = |column: &String| {
        let is_renamed = columns.values().any(|source| source == column);
        columns.contains_key(column)
            || !is_renamed && (split.columns.contains(column) || declared.contains(column))
    };
    match gold.iter().find(|column| !is_there(column)) {
        None => Ok(()),
        Some(column) => Err(unknown_column(split, dataset, column, "for the gold answer")),
    }
}
