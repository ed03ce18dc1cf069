//! A stored solution, scored again: with its own gold answer, with another sample's, and blank.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::benchmark::BenchmarkRepository;
use crate::dataset::NumberedRow;
use crate::id::BenchmarkId;
use crate::orchestrator::sample::{Case, SampleRunner, recorded_calls};
use crate::rescore::{Takes, is_same_judgement, judgement};
use crate::sample::{Failure, Measurement, Sample, SampleRecord, Solution};
use crate::{Error, Result, Row};

pub(super) type Judged = Result<Vec<Measurement>, Failure>;

/// What all samples of a verification share.
pub(super) struct Judge {
    pub(super) samples: Arc<dyn BenchmarkRepository>,
    pub(super) benchmark: BenchmarkId,
    pub(super) runner: SampleRunner,
    pub(super) golds: Golds,
    pub(super) cancel: CancellationToken,
}

impl Judge {
    pub(super) async fn judge_again(&self, row: NumberedRow) -> Result<JudgedSample> {
        let Self { samples, benchmark, runner, golds, cancel } = self;
        let index = row.index;
        let stored = samples.sample(*benchmark, (index, 0)).await?;
        let stored = stored.and_then(|stored| Some((stored.solution.clone()?, stored)));
        let (solution, stored) = stored.ok_or_else(|| {
            Error::internal("sample-missing", format!("the stored sample of row {index} is gone"))
        })?;
        let case =
            runner.case(row).map_err(|failure| Error::internal("sample-unreadable", failure.message))?;
        let score = async |solution: Solution, target: &Row| {
            let answers = recorded_calls(&stored, Takes::Solutions, case.seed);
            runner.score(&case, solution, target, Some(answers), cancel).await.result
        };
        let other = golds.other(index, &case.target);
        let changed = other.is_some();
        let real = score(solution.clone(), &case.target).await;
        let shuffled = match &other {
            Some(target) => Some(score(solution.clone(), target).await),
            // The same gold answer gives the same score.
            None => golds.are_shuffled().then(|| real.clone()),
        };
        let blank = score(Solution::default(), &case.target).await;
        let is_equal = is_equal(&stored, &real);
        let other = other.unwrap_or_else(|| case.target.clone());
        let Case { sample, target, .. } = case;
        Ok(JudgedSample {
            row: index,
            is_equal,
            changed,
            real,
            shuffled,
            blank,
            sample,
            solution,
            target,
            other,
        })
    }
}

/// The gold answers of the samples that have a solution.
pub(super) struct Golds {
    /// By row, the place in the lists.
    pub(super) places: BTreeMap<u64, usize>,
    /// For each place the one whose gold answer it gets.
    pub(super) taken: Vec<usize>,
    /// For each place its gold answer among the distinct ones.
    pub(super) of_place: Vec<u32>,
    pub(super) distinct: Vec<String>,
}

impl Golds {
    fn are_shuffled(&self) -> bool {
        self.distinct.len() > 1
    }

    pub(super) fn not_shuffled(&self, no_column: bool) -> Option<String> {
        let reason = match self.distinct.len() {
            _ if no_column => "the benchmark has no gold columns: what is measured is in the rows themselves",
            0 => "no sample has a solution",
            1 => "all gold answers are the same",
            _ => return None,
        };
        Some(reason.to_owned())
    }

    /// The gold answer of another sample, where it differs from the own.
    fn other(&self, row: u64, own: &Row) -> Option<Row> {
        let taken = *self.taken.get(*self.places.get(&row)?)?;
        let other = self.distinct.get(usize::try_from(*self.of_place.get(taken)?).ok()?)?;
        serde_json::from_str(other).ok().filter(|other| other != own)
    }
}

fn is_equal(stored: &SampleRecord, again: &Judged) -> bool {
    let again = again.as_ref().map(Vec::as_slice);
    is_same_judgement(judgement(&stored.measurements, stored.failure.as_ref()), again)
}

pub(super) struct JudgedSample {
    pub(super) row: u64,
    pub(super) is_equal: bool,
    /// Whether the other gold answer differs.
    pub(super) changed: bool,
    pub(super) real: Judged,
    pub(super) shuffled: Option<Judged>,
    pub(super) blank: Judged,
    pub(super) sample: Sample,
    pub(super) solution: Solution,
    pub(super) target: Row,
    /// The other gold answer; the own one where all are the same.
    pub(super) other: Row,
}
