//! Ranks the documents of a row for its query by BM25, and asks no model: what a retriever has to beat, and a task whose
//! passages any scorer of rankings can judge.

mod bm25;

use std::collections::BTreeSet;

use bm25::{Bm25, words};
use llm_bench_plugin_sdk::Passage;
use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The plugin.
pub struct Lexical;

/// Whether the first document is relevant.
const HIT: &str = "hit_at_1";

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The column that holds the query.
    pub query: String,
    /// The column that holds the documents to rank: a list of texts, whose ids are their places from 0, or a list of
    /// objects with `id` and `text`.
    pub documents: String,
    /// The gold column: the ids of the relevant documents, or an object of ids and grades, whole numbers, of which 0 and
    /// less means not relevant.
    #[schemars(extend("x-gold" = true))]
    pub relevant: String,
    /// BM25's k1: how much it counts that a word stands in a document again.
    pub k1: f64,
    /// BM25's b: how much a document's length is held against it, 0 to 1.
    pub b: f64,
    /// Most documents to give, the best first.
    pub most: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            query: "query".into(),
            documents: "documents".into(),
            relevant: "relevant".into(),
            k1: 1.2,
            b: 0.75,
            most: 100,
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let problem = if !(self.k1.is_finite() && self.k1 >= 0.0) {
            "`k1`: must not be negative"
        } else if !(0.0..=1.0).contains(&self.b) {
            "`b`: must lie between 0 and 1"
        } else if self.most == 0 {
            "`most`: must be at least 1"
        } else {
            return Ok(());
        };
        Err(Error::invalid_config(format!("config: {problem}")))
    }
}

impl Plugin for Lexical {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &[], ..description!() }
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        config.check()?;
        Ok(vec![Metric::mean(
            HIT,
            "share of queries whose first document is relevant, of those with any judged",
        )])
    }
}

impl Solver for Lexical {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let Config { query, documents, k1, b, most, .. } = &context.config;
        let query = words(sample.input.text(query)?);
        let documents = documents_of(&sample.input, documents)?;
        let texts: Vec<_> = documents.iter().map(|document| words(&document.text)).collect();
        let scores = Bm25 { k1: *k1, b: *b }.scores(&query, &texts);

        // A document without any of the words was not found. Of equal scores the last id stands first, as in trec_eval.
        let mut found: Vec<_> = documents.into_iter().zip(scores).filter(|(_, score)| *score > 0.0).collect();
        found.sort_by(|(first, a), (second, b)| b.total_cmp(a).then_with(|| second.id.cmp(&first.id)));
        found.truncate(usize::try_from(*most).unwrap_or(usize::MAX));
        let passages: Vec<_> =
            found.into_iter().map(|(Document { id, text }, score)| Passage { id, text, score }).collect();
        let answer = passages.first().map(|passage| passage.id.clone());
        Ok(Solution { answer, passages, ..Solution::default() })
    }
}

impl Scorer for Lexical {
    fn score(
        context: &Context<Self>,
        _sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let relevant = relevant(target, &context.config.relevant)?;
        if relevant.is_empty() {
            return Ok(vec![Measurement::undefined(HIT, "no document is relevant for this query")]);
        }
        let hit = solution.passages.first().is_some_and(|first| relevant.contains(&first.id));
        Ok(vec![Measurement::of(HIT, hit)])
    }
}

struct Document {
    id: String,
    text: String,
}

fn documents_of(row: &Row, column: &str) -> Result<Vec<Document>> {
    let invalid = |place: usize, what: &str| {
        Error::invalid_sample(format!("column `{column}`: document {place} {what}"))
    };
    let Value::Array(values) = row.value(column)? else {
        return Err(Error::invalid_sample(format!("column `{column}`: no list of documents")));
    };
    let mut ids = BTreeSet::new();
    let document = |(place, value): (usize, &Value)| {
        let (id, text) = match value {
            Value::String(text) => (Some(place.to_string()), Some(text)),
            Value::Object(fields) => {
                let text = match fields.get("text") {
                    Some(Value::String(text)) => Some(text),
                    _ => None,
                };
                (fields.get("id").and_then(id), text)
            }
            _ => (None, None),
        };
        let (Some(id), Some(text)) = (id, text) else {
            return Err(invalid(place, "is neither a text nor an object with `id` and `text`"));
        };
        if !ids.insert(id.clone()) {
            return Err(invalid(place, &format!("has the id `{id}`, as one before it")));
        }
        Ok(Document { id, text: text.clone() })
    };
    values.iter().enumerate().map(document).collect()
}

/// The relevant documents of a query.
fn relevant(target: &Row, column: &str) -> Result<BTreeSet<String>> {
    let invalid =
        |value: &Value, what: &str| Error::invalid_sample(format!("column `{column}`: {value} is {what}"));
    let named = |value: &Value| id(value).ok_or_else(|| invalid(value, "no document's id"));
    match target.value(column)? {
        Value::Array(ids) => ids.iter().map(named).collect(),
        Value::Object(grades) => {
            let mut relevant = BTreeSet::new();
            for (id, grade) in grades {
                let grade =
                    grade.as_i64().ok_or_else(|| invalid(grade, "no grade, which is a whole number"))?;
                if grade > 0 {
                    relevant.insert(id.clone());
                }
            }
            Ok(relevant)
        }
        single => Ok(BTreeSet::from([named(single)?])),
    }
}

fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

export_task!(Lexical);

#[cfg(test)]
mod tests;
