//! The solved rows before a question, as a guest gets them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::StreamExt;

use super::Orchestrator;
use crate::benchmark::{FewShot, FewShotDraws, FewShotSampling, Plan};
use crate::dataset::rename;
use crate::plugin::gold::split_row;
use crate::sample::{Context, Example};
use crate::{Error, Json, Result, Row};

/// Bytes of drawn examples that are held while a benchmark is executed, at most.
const MOST_BYTES: usize = 1 << 30;

/// The examples of all samples of a benchmark.
pub(super) struct Examples {
    /// Examples that stand before every question, and more where the evaluated row may be among them.
    candidates: Vec<Example>,
    /// The context with the first of them, for every row that is not one of them itself.
    shared: Arc<Context>,
    drawn: Option<Drawn>,
}

/// Examples of which each sample has its own.
struct Drawn {
    draws: FewShotDraws,
    /// Rows as JSON, which takes a fraction of the memory.
    rows: HashMap<u64, Box<str>>,
    gold: BTreeSet<String>,
}

impl Orchestrator {
    /// Reads the examples of a benchmark; `draws` are those that were stored with it.
    pub(super) async fn read_examples(&self, plan: &Plan, draws: Option<FewShotDraws>) -> Result<Examples> {
        let Some(few_shot) = &plan.few_shot else { return Ok(Examples::shared(plan, Vec::new())) };
        // The evaluated split was looked at already.
        if few_shot.split != plan.split {
            self.check_unchanged(&few_shot.split).await?;
        }
        if few_shot.sampling == FewShotSampling::First {
            let mut rows = vec![Row::new(); few_shot.rows.len()];
            self.read_rows(plan, few_shot, &few_shot.rows, |index, row| {
                for (place, _) in few_shot.rows.iter().enumerate().filter(|(_, wanted)| **wanted == index) {
                    rows[place].clone_from(&row);
                }
                Ok(())
            })
            .await?;
            return Ok(Examples::shared(plan, rows));
        }
        let draws = draws.ok_or_else(|| {
            Error::internal("draws-missing", "the few-shot draws of the benchmark are not stored")
        })?;
        let mut rows = HashMap::new();
        let mut bytes = 0;
        self.read_rows(plan, few_shot, &draws.rows, |index, row| {
            let text = serde_json::Value::Object(row).to_string().into_boxed_str();
            bytes += text.len();
            rows.insert(index, text);
            if bytes <= MOST_BYTES {
                return Ok(());
            }
            Err(Error::too_large(
                "examples-too-large",
                format!(
                    "the few-shot examples drawn from split `{}` take more than {} MiB; evaluate fewer rows, or take \
                     the first examples",
                    few_shot.split.name,
                    MOST_BYTES >> 20
                ),
            ))
        })
        .await?;
        let gold = plan.gold.iter().cloned().collect();
        Ok(Examples { drawn: Some(Drawn { draws, rows, gold }), ..Examples::shared(plan, Vec::new()) })
    }

    /// Reads the wanted rows of the few-shot split, each once, in the order of the file.
    async fn read_rows(
        &self,
        plan: &Plan,
        few_shot: &FewShot,
        wanted: &[u64],
        mut take: impl FnMut(u64, Row) -> Result<()>,
    ) -> Result<()> {
        let mut wanted: BTreeSet<u64> = wanted.iter().copied().collect();
        let mut rows = self.ports.datasets.rows(&few_shot.split, 0);
        while !wanted.is_empty() {
            let row = rows.next().await.ok_or_else(|| {
                Error::invalid(
                    "dataset-changed",
                    "the split of the few-shot examples has fewer rows than before",
                )
            })??;
            match row {
                Ok(row) if wanted.remove(&row.index) => take(row.index, rename(row.row, &plan.columns))?,
                Err(unreadable) if wanted.contains(&unreadable.index) => return Err(unreadable.error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Examples {
    fn shared(plan: &Plan, rows: Vec<Row>) -> Self {
        let gold: BTreeSet<String> = plan.gold.iter().cloned().collect();
        let candidates: Vec<Example> = rows.into_iter().map(|row| example(row, &gold)).collect();
        let count = plan.few_shot.as_ref().map_or(0, |few_shot| few_shot.count as usize);
        let shared = Context {
            config: plan.config.clone(),
            examples: candidates.iter().take(count).cloned().collect(),
            seed: plan.seed,
        };
        Self { candidates, shared: Arc::new(shared), drawn: None }
    }

    /// No example before any question.
    pub(super) fn none(config: Json, seed: u64) -> Self {
        let shared = Arc::new(Context { config, examples: Vec::new(), seed });
        Self { candidates: Vec::new(), shared, drawn: None }
    }

    /// The context of a row: with the examples that all share unless it is one of them, or with its own.
    pub(super) fn context_for(&self, index: u64, input: &Row, target: &Row) -> Result<Arc<Context>> {
        if let Some(drawn) = &self.drawn {
            let examples = drawn.examples_of(index)?;
            return Ok(Arc::new(Context { examples, ..Context::clone(&self.shared) }));
        }
        let is_row = |example: &Example| example.input == *input && example.target == *target;
        let count = self.shared.examples.len();
        if self.candidates.len() == count || !self.shared.examples.iter().any(is_row) {
            return Ok(self.shared.clone());
        }
        let examples = self.candidates.iter().filter(|example| !is_row(example)).take(count);
        Ok(Arc::new(Context { examples: examples.cloned().collect(), ..Context::clone(&self.shared) }))
    }
}

impl Drawn {
    fn examples_of(&self, index: u64) -> Result<Vec<Example>> {
        let read = |number: &u64| {
            let row = self.rows.get(number).and_then(|text| serde_json::from_str(text).ok());
            row.map(|row| example(row, &self.gold)).ok_or_else(|| {
                Error::internal(
                    "example-missing",
                    format!("the few-shot example of row {number} was not read"),
                )
            })
        };
        self.draws.of(index).iter().map(read).collect()
    }
}

fn example(row: Row, gold: &BTreeSet<String>) -> Example {
    let (input, target) = split_row(row, gold);
    Example { input, target }
}
