//! From an order to judge anew what a benchmark recorded to a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::Orchestrator;
use super::order::{check_gold, check_granted};
use crate::benchmark::{Benchmark, FewShotDraws, Plan};
use crate::id::BenchmarkId;
use crate::model::Model;
use crate::plugin::config_schema::check_config;
use crate::plugin::{Plugin, SUBJECT, gold_columns};
use crate::rescore::{Source, Takes};
use crate::{Error, Json, Result, Row};

/// What a client asks for, with its names resolved.
#[derive(Debug, Clone)]
pub struct NewRescore {
    /// The benchmark whose record is judged.
    pub source: BenchmarkId,
    /// The task or scorer that judges.
    pub plugin: Plugin,
    pub takes: Takes,
    /// Settings, laid over those of the source where the plugin bears the name of its task.
    pub config: Row,
    /// Models that a scorer asks, by part; parts that the source bound and that are not here are answered from its
    /// record.
    pub parts: BTreeMap<String, Model>,
}

impl Orchestrator {
    /// A benchmark that has ended and recorded something.
    ///
    /// # Errors
    /// `benchmark-not-found`, `benchmark-not-finished`, `nothing-recorded`.
    pub(super) async fn recorded(&self, id: BenchmarkId) -> Result<Benchmark> {
        let benchmark = self.find(id).await?;
        if !benchmark.status.has_ended() {
            let status = benchmark.status.as_str();
            let message =
                format!("benchmark {id} is {status}: what it records can be judged once it has ended");
            return Err(Error::conflict("benchmark-not-finished", message));
        }
        if benchmark.progress.finished() == 0 {
            let message = format!("benchmark {id} ended without a sample, so there is nothing to judge");
            return Err(Error::conflict("nothing-recorded", message));
        }
        Ok(benchmark)
    }

    /// Checks an order and writes down all that it pins: what the source pinned, and the plugin.
    pub(super) async fn plan_rescore(&self, order: NewRescore) -> Result<(Benchmark, Option<FewShotDraws>)> {
        let source = self.recorded(order.source).await?;
        check_plugin(&order, &source)?;
        let config = config(&order, &source.plan)?;
        check_config(&order.plugin.descriptor, &config)?;
        let (parts, recorded_parts) = parts(&order, &source.plan)?;
        let gold = gold(&order.plugin, &config, &source.plan)?;
        let limits = source.plan.limits;
        let task = order.plugin.pin();
        let metrics = self.load(&task).await?.metrics(&config, &limits).await?;
        // Rows are not part of the record. That they are gone is better known now than by a failed benchmark.
        self.check_unchanged(&source.plan.split).await?;
        if let Some(few_shot) =
            source.plan.few_shot.as_ref().filter(|few_shot| few_shot.split != source.plan.split)
        {
            self.check_unchanged(&few_shot.split).await?;
        }
        let draws = self.ports.benchmarks.few_shot_draws(source.id).await?;
        let total = source.progress.finished();
        let plan = Plan {
            source: Some(Source {
                benchmark: source.id,
                task: source.plan.task.clone(),
                takes: order.takes,
                recorded_parts,
                is_compared: metrics == source.plan.metrics,
            }),
            task,
            config,
            parts,
            metrics,
            gold: gold.into_iter().collect(),
            ..source.plan
        };
        Ok((Benchmark::queued(plan, total, self.ports.clock.now()), draws))
    }
}

fn check_plugin(order: &NewRescore, source: &Benchmark) -> Result<()> {
    let Plugin { name, exports, .. } = &order.plugin;
    order.plugin.ensure_usable()?;
    check_granted(&order.plugin, order.parts.keys())?;
    if !exports.scorer {
        let message = format!("plugin `{name}` has no scorer, so it cannot judge");
        return Err(Error::invalid("not-a-scorer", message));
    }
    if order.takes == Takes::Solutions {
        return Ok(());
    }
    if !exports.solver {
        let message = format!(
            "plugin `{name}` has no solver, so it has no use for recorded calls; as a scorer it can judge the solutions"
        );
        return Err(Error::invalid("not-a-task", message));
    }
    if !order.parts.is_empty() {
        let message =
            "a task is answered from the record, so that no model can be bound; only a scorer may ask one";
        return Err(Error::invalid("unknown-part", message));
    }
    match &source.plan.source {
        Some(Source { benchmark, takes: Takes::Solutions, .. }) => Err(Error::conflict(
            "nothing-recorded",
            format!(
                "benchmark {} judged the solutions of {benchmark} and recorded no calls of a task; give the task to \
                 that one",
                source.id
            ),
        )),
        _ => Ok(()),
    }
}

fn config(order: &NewRescore, source: &Plan) -> Result<Json> {
    let is_same_plugin = order.plugin.name.as_str() == source.task.name;
    let mut config = match &source.config {
        Json::Object(config) if is_same_plugin => config.clone(),
        Json::Object(_) => Row::new(),
        _ => return Err(Error::internal("invalid-plan", "the config of a stored plan is no object")),
    };
    config.extend(order.config.clone());
    Ok(Json::Object(config))
}

/// The models by part, and the parts that are answered from the record.
fn parts(order: &NewRescore, source: &Plan) -> Result<(BTreeMap<String, Model>, Vec<String>)> {
    let declared = &order.plugin.descriptor.parts;
    if order.takes == Takes::Calls {
        // What a new version asks of a part that nobody played is not recorded, and said of the sample.
        let recorded: BTreeSet<&String> = source.parts.keys().chain(declared).collect();
        let recorded = recorded.into_iter().filter(|part| *part != SUBJECT).cloned();
        return Ok((source.parts.clone(), std::iter::once(SUBJECT.to_owned()).chain(recorded).collect()));
    }
    if let Some(part) = order.parts.keys().find(|part| *part == SUBJECT || !declared.contains(part)) {
        let wanted: Vec<_> = declared.iter().filter(|part| *part != SUBJECT).map(String::as_str).collect();
        let wanted = if wanted.is_empty() { "none".to_owned() } else { wanted.join(", ") };
        let message = format!(
            "scorer `{}` has no part `{part}` to bind when it judges; its parts are: {wanted}",
            order.plugin.name
        );
        return Err(Error::invalid("unknown-part", message));
    }
    let mut bound = order.parts.clone();
    let mut recorded = vec![SUBJECT.to_owned()];
    for part in declared.iter().filter(|part| *part != SUBJECT) {
        if bound.contains_key(part) {
            continue;
        }
        let Some(model) = source.parts.get(part) else {
            let message = format!(
                "scorer `{}` needs a model for its part `{part}`: bind one with {part}=MODEL",
                order.plugin.name
            );
            return Err(Error::invalid("part-missing", message));
        };
        bound.insert(part.clone(), model.clone());
        recorded.push(part.clone());
    }
    Ok((bound, recorded))
}

/// What the source withheld from its solver stays withheld, also where the new config names other columns.
fn gold(plugin: &Plugin, config: &Json, source: &Plan) -> Result<BTreeSet<String>> {
    let withheld: BTreeSet<String> = source.gold.iter().cloned().collect();
    let named = gold_columns(&[], &plugin.descriptor, config);
    let new: BTreeSet<String> = named.difference(&withheld).cloned().collect();
    check_gold(&source.columns, &source.split, &source.dataset, &source.gold, &new)?;
    Ok(withheld.union(&new).cloned().collect())
}
