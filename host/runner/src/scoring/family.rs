//! Continuations of one context, scored together: the context is computed once.

use llm_bench_core::Result;

use super::{RowScore, ScoringRow};
use crate::forward::{ForwardRow, fits_one_run, forward};
use crate::network::{Cache, Fork, Network};
use crate::softmax::Distribution;

/// A context and the continuations that are scored after it.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    /// At least one token.
    pub(crate) context: Vec<u32>,
    /// Different continuations, each of at least one token.
    pub(crate) continuations: Vec<Vec<u32>>,
    /// What has to be computed after the context, the longest first.
    branches: Vec<Branch>,
}

/// Tokens after a context, and the continuations that are scored along them.
#[derive(Debug, Clone)]
struct Branch {
    /// A continuation without its last token, which is only predicted.
    ids: Vec<u32>,
    /// Continuations that without their last token are the beginning of `ids`.
    continuations: Vec<usize>,
}

impl Family {
    /// A context with one continuation.
    pub(crate) fn new(row: &ScoringRow) -> Self {
        let context = row.input[..row.context_length()].to_vec();
        let mut family = Self { context, continuations: Vec::new(), branches: Vec::new() };
        family.add(&row.targets);
        family
    }

    /// Adds a continuation, unless it is there, and returns its number.
    pub(crate) fn add(&mut self, targets: &[u32]) -> usize {
        if let Some(number) = self.continuations.iter().position(|there| there == targets) {
            return number;
        }
        self.continuations.push(targets.to_vec());
        let number = self.continuations.len() - 1;
        self.branch(number, &targets[..targets.len() - 1]);
        number
    }

    /// Gives a continuation, without its last token `ids`, a place among the branches.
    fn branch(&mut self, number: usize, ids: &[u32]) {
        if let Some(branch) = self.branches.iter_mut().find(|branch| branch.ids.starts_with(ids)) {
            branch.continuations.push(number);
            return;
        }
        let mut continuations = vec![number];
        // No branch begins another, so that at most one is the beginning of this.
        if let Some(shorter) = self.branches.iter().position(|branch| ids.starts_with(&branch.ids)) {
            continuations.extend(self.branches.remove(shorter).continuations);
        }
        let place = self.branches.partition_point(|branch| branch.ids.len() >= ids.len());
        self.branches.insert(place, Branch { ids: ids.to_vec(), continuations });
    }

    /// What the first run reads: the context and the longest branch, or all where they run at once.
    pub(crate) fn length(&self, forks: bool) -> usize {
        let at_once = if forks { self.branches.len() } else { 1 };
        self.context.len() + self.branches.iter().take(at_once).map(|branch| branch.ids.len()).sum::<usize>()
    }

    /// The positions of the first run whose logits are wanted.
    pub(crate) fn wanted(&self, forks: bool) -> usize {
        self.length(forks) + 1 - self.context.len()
    }

    /// The first run: what follows the first `kept` tokens of the context.
    fn head(&self, kept: usize, forks: bool) -> Head {
        let at_once = if forks { self.branches.len() } else { 1 };
        let branches = self.branches.iter().take(at_once).map(|branch| &branch.ids[..]);
        let ids = [&self.context[kept..]].into_iter().chain(branches.clone()).collect::<Vec<_>>().concat();
        let fork = Fork::new(self.context.len() - kept, branches.map(<[u32]>::len));
        Head { ids, fork }
    }

    /// The part of the context that can be taken from elsewhere: all but its last token, whose logits are needed.
    pub(crate) fn shareable(&self) -> &[u32] {
        &self.context[..self.context.len() - 1]
    }
}

/// New tokens of a family.
struct Head {
    ids: Vec<u32>,
    /// The trunk is what is left of the context.
    fork: Fork,
}

/// The scores of a family's continuations, in their order.
type Scores = Result<Vec<RowScore>>;

/// Scores families in common runs.
///
/// The first run computes what is left of the contexts after `past` (none: all of them), each with all its branches, where
/// it `may_fork`, the network does, and they fit into one run; else with the longest, and the other branches follow in one
/// run each, on the cache of the first. `kept` tells how many first tokens of each context the past holds; these lie in its
/// first slots.
///
/// The outer error is of the model; an inner one is of what it said about one family.
pub(crate) fn score(
    network: &mut Network,
    families: &[&Family],
    past: Option<&Cache>,
    kept: &[usize],
    may_fork: bool,
) -> Result<Vec<Scores>> {
    let past_length = past.map_or(0, |past| past.length);
    let forks = may_fork
        && network.forks()
        && families.iter().any(|family| family.branches.len() > 1)
        && (families.iter().zip(kept)).all(|(family, &kept)| fits_one_run(family.length(true) - kept));
    let heads: Vec<Head> =
        families.iter().zip(kept).map(|(family, &kept)| family.head(kept, forks)).collect();
    let rows: Vec<ForwardRow<'_>> = (heads.iter().zip(kept))
        .map(|(head, &kept)| ForwardRow {
            ids: &head.ids,
            past: (0..past_length).map(|slot| i64::from(slot < kept)).collect(),
            place: kept,
            wanted: (head.fork.trunk() - 1..head.ids.len()).collect(),
            fork: forks.then(|| head.fork.clone()),
        })
        .collect();
    let mut scores: Vec<Scores> =
        families.iter().map(|family| Ok(vec![RowScore::NONE; family.continuations.len()])).collect();
    let branches = families.iter().map(|family| family.branches.len()).max().unwrap_or(0);
    let follow = branches > 1 && !forks;
    let mut cache = forward(network, &rows, past, follow, &mut |row, number, logits| {
        let (branches, fork) = (&families[row].branches, &heads[row].fork);
        // What follows the context is told by one position to every branch.
        let (told, place) = match fork.leaf(fork.trunk() - 1 + number) {
            None => (&branches[..], 0),
            Some((branch, place)) => (&branches[branch..=branch], place + 1),
        };
        read(families[row], told, &mut scores[row], place, logits);
        Ok(())
    })?;
    if !follow {
        return Ok(scores);
    }
    // For each row of the cache: its family, and which slots hold its context.
    let mut members: Vec<(usize, Vec<i64>)> = (rows.into_iter().enumerate())
        .map(|(index, row)| {
            let mut mask = row.past;
            let context = families[index].context.len() - kept[index];
            let length = heads.iter().map(|head| head.ids.len()).max().unwrap_or(0);
            mask.extend((0..length).map(|slot| i64::from(slot < context)));
            (index, mask)
        })
        .collect();
    for number in 1..branches {
        let Some(whole) = &cache else { break };
        let has_branch = |(index, _): &(usize, Vec<i64>)| families[*index].branches.len() > number;
        if !members.iter().all(has_branch) {
            let places: Vec<usize> =
                (0..members.len()).filter(|&place| has_branch(&members[place])).collect();
            let fewer = whole.select(network.graph(), &places)?;
            cache = Some(fewer);
            members.retain(has_branch);
        }
        let rows: Vec<ForwardRow<'_>> = (members.iter())
            .map(|(index, mask)| {
                let ids = &families[*index].branches[number].ids;
                ForwardRow {
                    ids,
                    past: mask.clone(),
                    place: families[*index].context.len(),
                    wanted: (0..ids.len()).collect(),
                    fork: None,
                }
            })
            .collect();
        forward(network, &rows, cache.as_ref(), false, &mut |row, place, logits| {
            let index = members[row].0;
            let told = &families[index].branches[number..=number];
            read(families[index], told, &mut scores[index], place + 1, logits);
            Ok(())
        })?;
    }
    Ok(scores)
}

/// Adds the scores of the targets number `place` of some branches' continuations.
fn read(family: &Family, branches: &[Branch], scores: &mut Scores, place: usize, logits: &[f32]) {
    let Ok(sums) = scores else { return };
    if let Err(error) = read_into(family, branches, sums, place, logits) {
        *scores = Err(error);
    }
}

fn read_into(
    family: &Family,
    branches: &[Branch],
    sums: &mut [RowScore],
    place: usize,
    logits: &[f32],
) -> Result<()> {
    let distribution = Distribution::of(logits)?;
    for &number in branches.iter().flat_map(|branch| &branch.continuations) {
        if let Some(&target) = family.continuations[number].get(place) {
            let is_greedy = usize::try_from(target) == Ok(distribution.arg_max);
            sums[number].add(distribution.log_probability(logits, target)?, is_greedy);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Family;
    use crate::scoring::ScoringRow;

    fn family(continuations: &[&[u32]]) -> Family {
        let row = ScoringRow { input: vec![1, 2], targets: vec![9] };
        let mut family = Family::new(&row);
        for continuation in continuations {
            family.add(continuation);
        }
        family
    }

    #[test]
    fn continuations_of_one_token_need_no_run_of_their_own() {
        let letters = family(&[&[7], &[8]]);
        assert_eq!((letters.length(true), letters.wanted(true), letters.branches.len()), (2, 1, 1));
    }

    #[test]
    fn continuations_share_what_they_begin_with() {
        let alike: [&[u32]; 4] = [&[5, 6, 7], &[5, 6, 8], &[5, 9], &[4, 4]];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let family = family(&order.map(|number| alike[number]));
            let branches: Vec<&[u32]> = family.branches.iter().map(|branch| &branch.ids[..]).collect();
            assert_eq!(branches, [&[5, 6][..], &[4]]);
            assert_eq!((family.length(false), family.wanted(false)), (4, 3));
            assert_eq!((family.length(true), family.wanted(true)), (5, 4));
            let mut told: Vec<usize> =
                family.branches.iter().flat_map(|branch| branch.continuations.clone()).collect();
            told.sort_unstable();
            assert_eq!(told, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_continuation_is_computed_once() {
        let mut family = family(&[&[5, 6]]);
        assert_eq!((family.add(&[5, 6]), family.add(&[9]), family.continuations.len()), (1, 0, 2));
    }

    #[test]
    fn a_row_is_cut_where_its_targets_begin() {
        let row = ScoringRow { input: vec![1, 2, 3, 4], targets: vec![4, 5] };
        let family = Family::new(&row);
        assert_eq!((family.context, family.continuations), (vec![1, 2, 3], vec![vec![4, 5]]));
    }
}
