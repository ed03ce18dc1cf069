//! The slow path: one row at a time, whole, without a cache or anything shared. What the fast path is held against.

use llm_bench_core::Result;

use crate::generation::{Generating, Language};
use crate::network::{Network, Stride};
use crate::scoring::{RowScore, ScoringRow};
use crate::softmax::Distribution;

/// Scores a row in a run of its own.
pub(crate) fn score(network: &mut Network, row: &ScoringRow) -> Result<RowScore> {
    let wanted: Vec<usize> = (row.context_length() - 1..row.input.len()).collect();
    let stride = Stride { ids: &row.input, past: &[], place: 0, wanted: &wanted, fork: None };
    let (logits, _) = network.run(&[stride], None, false)?;
    let mut score = RowScore::NONE;
    for (number, &target) in row.targets.iter().enumerate() {
        let logits = logits.at(0, number)?;
        let distribution = Distribution::of(&logits)?;
        let is_greedy = usize::try_from(target) == Ok(distribution.arg_max);
        score.add(distribution.log_probability(&logits, target)?, is_greedy);
    }
    Ok(score)
}

/// Runs the whole sequence for each token, until the generation ends.
pub(crate) fn generate(
    network: &mut Network,
    language: Language<'_>,
    row: &mut Generating,
    is_wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    while !row.has_ended() {
        if !is_wanted() {
            row.end(Ok(llm_bench_core::model::FinishReason::Cancelled));
            break;
        }
        let wanted = [row.ids.len() - 1];
        let stride = Stride { ids: &row.ids, past: &[], place: 0, wanted: &wanted, fork: None };
        let (logits, _) = network.run(&[stride], None, false)?;
        row.choose(&logits.at(0, 0)?, language);
    }
    Ok(())
}
