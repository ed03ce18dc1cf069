//! Judges the passages that a solver retrieved by the documents that are relevant to the question: a scorer that
//! attaches to any benchmark whose solver retrieves.
//!
//! The definitions are those of `trec_eval`: ranked by score, ties by document id, both descending; documents that were
//! not judged count as not relevant. A metric is the mean over all questions for which documents were judged.

mod ranking;

use std::collections::BTreeMap;

use llm_bench_plugin_sdk::prelude::*;
use ranking::{Judgements, Ranking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The plugin.
pub struct Retrieval;

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gold column: the ids of the relevant documents, or an object of ids and grades, whole numbers, of which 0 and
    /// less means not relevant.
    #[schemars(extend("x-gold" = true))]
    pub relevant: String,
    /// What to measure.
    pub metrics: Vec<Measure>,
    /// For `ndcg`, `recall` and `precision`: of how many of the first documents.
    pub cutoffs: Vec<u32>,
}

/// A measure of a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Normalised discounted cumulative gain.
    Ndcg,
    /// The share of all relevant documents that were retrieved.
    Recall,
    /// The share of the retrieved documents that are relevant.
    Precision,
    /// Mean reciprocal rank of the first relevant document.
    Mrr,
    /// Mean average precision.
    Map,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            relevant: "relevant".into(),
            metrics: vec![Measure::Ndcg, Measure::Recall, Measure::Mrr],
            cutoffs: vec![5, 10],
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let repeated = |place: usize| self.cutoffs[..place].contains(&self.cutoffs[place]);
        let problem = if self.metrics.is_empty() {
            "`metrics`: empty; name at least one, such as \"ndcg\"".to_owned()
        } else if (0..self.metrics.len()).any(|place| self.metrics[..place].contains(&self.metrics[place])) {
            "`metrics`: one stands twice".to_owned()
        } else if self.cutoffs.is_empty() && self.metrics.iter().any(|measure| measure.is_cut()) {
            "`cutoffs`: empty; name at least one, such as 10".to_owned()
        } else if self.cutoffs.contains(&0) {
            "`cutoffs`: must be at least 1".to_owned()
        } else if let Some(place) = (0..self.cutoffs.len()).find(|place| repeated(*place)) {
            format!("`cutoffs`: {} stands twice", self.cutoffs[place])
        } else {
            return Ok(());
        };
        Err(Error::invalid_config(format!("config: {problem}")))
    }

    /// Each measure with each of its cutoffs, in the order of the config.
    fn measures(&self) -> impl Iterator<Item = (Measure, Option<u32>)> {
        self.metrics.iter().flat_map(|measure| {
            let whole = (!measure.is_cut()).then_some((*measure, None));
            let cut = self.cutoffs.iter().filter(|_| measure.is_cut()).map(|k| (*measure, Some(*k)));
            whole.into_iter().chain(cut)
        })
    }
}

impl Measure {
    fn is_cut(self) -> bool {
        matches!(self, Self::Ndcg | Self::Recall | Self::Precision)
    }

    fn name(self, cutoff: Option<u32>) -> String {
        let name = match self {
            Self::Ndcg => "ndcg",
            Self::Recall => "recall",
            Self::Precision => "precision",
            Self::Mrr => "mrr",
            Self::Map => "map",
        };
        cutoff.map_or(name.to_owned(), |k| format!("{name}_at_{k}"))
    }

    fn description(self) -> &'static str {
        match self {
            Self::Ndcg => {
                "discounted gain of the first documents over that of the best ones: grade / log2(rank + 1)"
            }
            Self::Recall => "share of all relevant documents that are among the first",
            Self::Precision => "share of the first places that hold a relevant document",
            Self::Mrr => "1 / rank of the first relevant document, 0 where none was retrieved",
            Self::Map => "mean over all relevant documents of the precision at their rank",
        }
    }

    fn of(self, ranking: &Ranking, cutoff: Option<u32>) -> f64 {
        let k = cutoff.map_or(usize::MAX, |k| usize::try_from(k).unwrap_or(usize::MAX));
        match self {
            Self::Ndcg => ranking.ndcg(k),
            Self::Recall => ranking.recall(k),
            Self::Precision => ranking.precision(k),
            Self::Mrr => ranking.reciprocal_rank(),
            Self::Map => ranking.average_precision(),
        }
    }
}

impl Plugin for Retrieval {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        description!()
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        config.check()?;
        let metrics = config.measures();
        Ok(metrics
            .map(|(measure, cutoff)| Metric::mean(measure.name(cutoff), measure.description()))
            .collect())
    }
}

impl Scorer for Retrieval {
    fn score(
        context: &Context<Self>,
        _sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let config = &context.config;
        let judgements = judgements(&config.relevant, target)?;
        let ranking = Ranking::new(&solution.passages, &judgements);
        Ok(config
            .measures()
            .map(|(measure, cutoff)| {
                if judgements.is_empty() {
                    return Measurement::undefined(
                        measure.name(cutoff),
                        "no document is judged for this question",
                    );
                }
                Measurement::of(measure.name(cutoff), measure.of(&ranking, cutoff))
            })
            .collect())
    }
}

/// The judged documents of a question.
fn judgements(column: &str, target: &Row) -> Result<Judgements> {
    let invalid =
        |value: &Value, what: &str| Error::invalid_sample(format!("column `{column}`: {value} is {what}"));
    let id = |value: &Value| match value {
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) => Ok(id.to_string()),
        other => Err(invalid(other, "no document's id")),
    };
    match target.value(column)? {
        Value::Array(ids) => ids.iter().map(|value| Ok((id(value)?, 1))).collect(),
        Value::Object(grades) => {
            let judged = grades.iter().map(|(id, grade)| {
                Ok((
                    id.clone(),
                    grade.as_i64().ok_or_else(|| invalid(grade, "no grade, which is a whole number"))?,
                ))
            });
            judged.collect()
        }
        single => Ok(BTreeMap::from([(id(single)?, 1)])),
    }
}

export_scorer!(Retrieval);

#[cfg(test)]
mod tests;
