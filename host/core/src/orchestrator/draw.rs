//! Which rows become few-shot examples: decided once, when a benchmark is created.

use std::collections::HashMap;

use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};

use super::{NewBenchmark, Orchestrator};
use crate::benchmark::{FewShot, FewShotDraws, FewShotSampling};
use crate::dataset::{RowResult, Split};
use crate::python_random::PythonRandom;
use crate::{Error, Json, Result, Row};

/// Solved examples before a question, at most: they are rendered into every prompt.
const MOST_FEW_SHOT: u32 = 1000;
/// Row numbers drawn for one benchmark, at most: they are held in memory and stored with it.
const MOST_DRAWN: u64 = 20_000_000;

/// How many solved examples stand before each question, and where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FewShotOrder {
    pub count: u32,
    /// None: `train`.
    pub split: Option<String>,
    pub sampling: FewShotSampling,
    /// Whether rows that equal the evaluated one are left out of its examples; none: where both come from the same
    /// rows. One more is then drawn than needed.
    pub exclude_evaluated: Option<bool>,
}

/// A row in short, to tell equal ones. None: it cannot be read, and equals no other.
type Fingerprint = Option<[u8; 16]>;

impl Orchestrator {
    /// The few-shot part of a plan for the first `rows` rows of a split, and what is drawn for each of them.
    pub(super) async fn choose_examples(
        &self,
        order: &NewBenchmark,
        evaluated: &Split,
        rows: u64,
    ) -> Result<(Option<FewShot>, Option<FewShotDraws>)> {
        let FewShotOrder { count, split, sampling, exclude_evaluated } = &order.few_shot;
        if *count > MOST_FEW_SHOT {
            return Err(Error::invalid(
                "invalid-few-shot",
                format!("few_shot is {count}; it must be at most {MOST_FEW_SHOT}"),
            ));
        }
        if *count == 0 {
            return Ok((None, None));
        }
        let split = match split {
            Some(name) => order.dataset.split(name)?,
            None => order.dataset.splits.iter().find(|split| split.name == "train").ok_or_else(|| {
                let known: Vec<_> = order.dataset.splits.iter().map(|split| split.name.as_str()).collect();
                Error::invalid(
                    "no-train-split",
                    format!(
                        "few-shot examples come from the split `train`, which dataset `{}` lacks; name one of its \
                         splits instead: {}",
                        order.dataset.name,
                        known.join(", ")
                    ),
                )
            })?,
        };
        let exclude = exclude_evaluated.unwrap_or(split.digest == evaluated.digest);
        if split.rows < u64::from(*count) + u64::from(exclude) {
            return Err(too_few(*count, split));
        }
        let few_shot = FewShot { split: split.clone(), count: *count, sampling: *sampling, rows: Vec::new() };
        match sampling {
            FewShotSampling::First if exclude => {
                let rows = self.first_candidates(&few_shot).await?;
                Ok((Some(FewShot { rows, ..few_shot }), None))
            }
            FewShotSampling::First => {
                let rows = (0..u64::from(*count)).collect();
                Ok((Some(FewShot { rows, ..few_shot }), None))
            }
            FewShotSampling::Random => {
                let draws = self.draw(&few_shot, exclude, evaluated, rows, order.seed).await?;
                Ok((Some(few_shot), Some(draws)))
            }
        }
    }

    /// So many of the first rows that `count` are left whichever of them, with its equals, is the evaluated one.
    async fn first_candidates(&self, few_shot: &FewShot) -> Result<Vec<u64>> {
        let mut rows = self.ports.datasets.rows(&few_shot.split, 0);
        let mut occurrences: HashMap<Fingerprint, u64> = HashMap::new();
        let mut most = 0;
        let mut taken = 0;
        while taken < u64::from(few_shot.count) + most {
            let row = rows.next().await.ok_or_else(|| too_few(few_shot.count, &few_shot.split))??;
            let row = row.map_err(|unreadable| unreadable.error)?;
            let occurrences = occurrences.entry(fingerprint(row.row)).or_default();
            *occurrences += 1;
            most = most.max(*occurrences);
            taken += 1;
        }
        Ok((0..taken).collect())
    }

    /// The reference's draw: one stream of random numbers for all rows in their order.
    async fn draw(
        &self,
        few_shot: &FewShot,
        exclude: bool,
        evaluated: &Split,
        rows: u64,
        seed: u64,
    ) -> Result<FewShotDraws> {
        let numbers = rows.saturating_mul(few_shot.count.into());
        if numbers > MOST_DRAWN {
            return Err(Error::too_large(
                "too-many-draws",
                format!(
                    "{} few-shot examples of {rows} rows are {numbers} random draws, more than {MOST_DRAWN}; limit \
                     the rows, or take the first examples",
                    few_shot.count
                ),
            ));
        }
        let mut equals = None;
        if exclude {
            let pool =
                fingerprints(self.ports.datasets.rows(&few_shot.split, 0), few_shot.split.rows).await?;
            let evaluated = fingerprints(self.ports.datasets.rows(evaluated, 0), rows).await?;
            equals = Some(Equals { pool, evaluated });
        }
        let (count, split) = (few_shot.count, few_shot.split.clone());
        let drawn = tokio::task::spawn_blocking(move || {
            draw_all(&split, count, rows, equals.as_ref(), &mut PythonRandom::new(seed))
        });
        drawn.await.map_err(|error| {
            Error::internal("draw-failed", "cannot draw the few-shot examples").because(error)
        })?
    }
}

/// What tells whether a row of the few-shot split is the evaluated one.
struct Equals {
    pool: Vec<Fingerprint>,
    evaluated: Vec<Fingerprint>,
}

fn draw_all(
    split: &Split,
    count: u32,
    rows: u64,
    equals: Option<&Equals>,
    random: &mut PythonRandom,
) -> Result<FewShotDraws> {
    let wanted = count as usize;
    let mut draws = FewShotDraws { count, rows: Vec::new() };
    let repeated = equals.map(|equals| places_of_equals(&equals.pool)).unwrap_or_default();
    for index in 0..rows {
        let Some(equals) = equals else {
            draws.rows.extend(random.sample(split.rows, count.into()));
            continue;
        };
        let evaluated = at(&equals.evaluated, index);
        let differs = |row: &u64| evaluated.is_none() || at(&equals.pool, *row) != evaluated;
        let mut chosen = random.sample(split.rows, u64::from(count) + 1);
        chosen.retain(differs);
        if chosen.len() < wanted {
            // Several equals were drawn: again, from all that differ.
            let same = evaluated.and_then(|row| repeated.get(&row)).map_or(&[][..], Vec::as_slice);
            let others = split.rows.saturating_sub(same.len() as u64);
            if others < u64::from(count) {
                return Err(too_few(count, split));
            }
            let row = |other: u64| other + same.partition_point(|before| *before <= other) as u64;
            chosen = random.sample(others, count.into()).into_iter().map(row).collect();
        }
        draws.rows.extend(chosen.into_iter().take(wanted));
    }
    Ok(draws)
}

/// For each row of the pool where its equals stand: how many rows that differ from it stand before each of them.
fn places_of_equals(pool: &[Fingerprint]) -> HashMap<[u8; 16], Vec<u64>> {
    let mut places: HashMap<[u8; 16], Vec<u64>> = HashMap::new();
    for (place, row) in (0_u64..).zip(pool) {
        if let Some(row) = row {
            let equals = places.entry(*row).or_default();
            equals.push(place - equals.len() as u64);
        }
    }
    places
}

/// An entry of a list that is as long as its split has rows.
fn at<T: Copy + Default>(list: &[T], index: u64) -> T {
    usize::try_from(index).ok().and_then(|index| list.get(index).copied()).unwrap_or_default()
}

async fn fingerprints(mut stream: BoxStream<'static, RowResult>, rows: u64) -> Result<Vec<Fingerprint>> {
    let mut list = Vec::new();
    while (list.len() as u64) < rows {
        match stream.next().await {
            Some(row) => list.push(row?.ok().and_then(|row| fingerprint(row.row))),
            None => break,
        }
    }
    Ok(list)
}

/// Equal rows have equal ones, in whatever order their columns stand.
fn fingerprint(row: Row) -> Fingerprint {
    let mut row = Json::Object(row);
    row.sort_all_objects();
    let digest = Sha256::digest(row.to_string());
    digest.first_chunk().copied()
}

fn too_few(count: u32, split: &Split) -> Error {
    Error::invalid(
        "too-few-examples",
        format!(
            "{count} few-shot examples besides the evaluated row were asked for, but split `{}` has {} rows",
            split.name, split.rows
        ),
    )
}

#[cfg(test)]
mod tests;
