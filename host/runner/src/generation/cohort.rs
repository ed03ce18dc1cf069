//! Generations that step together.

use llm_bench_core::{Error, Result};

use super::{Generating, Language};
use crate::forward::{ForwardRow, forward};
use crate::graph::{Continues, Graph, Padding};
use crate::network::{Cache, Network, Stretch};

/// Generations that step together; they join and leave between steps.
pub(crate) struct Cohort {
    members: Vec<Member>,
    /// None for a graph without a cache: each step then runs whole sequences.
    cache: Option<Cache>,
}

struct Member {
    row: Generating,
    /// For each slot of the cache: 1 where it holds a token of this row, else 0.
    mask: Vec<i64>,
}

impl Cohort {
    /// Runs the tokens of the rows, those before `kept` being in the first slots of `past`, and chooses the next of each.
    ///
    /// # Errors
    /// Of the model; the rows come back with what they have: shorter ones may have a new token already.
    pub(crate) fn start(
        network: &mut Network,
        language: Language<'_>,
        rows: Vec<Generating>,
        past: Option<&Cache>,
        kept: &[usize],
    ) -> Result<Self, (Error, Vec<Generating>)> {
        let past_length = past.map_or(0, |past| past.length);
        let members = (rows.into_iter().zip(kept))
            .map(|(row, &kept)| Member {
                row,
                mask: (0..past_length).map(|slot| i64::from(slot < kept)).collect(),
            })
            .collect();
        let mut cohort = Self { members, cache: None };
        match cohort.advance(network, language, past, kept) {
            Ok(()) => Ok(cohort),
            Err(error) => Err((error, cohort.into_rows())),
        }
    }

    /// Runs the latest token of each row, which changes the model's cache, and chooses the next.
    ///
    /// # Errors
    /// Of the model; the cohort is unchanged.
    pub(crate) fn step(&mut self, network: &mut Network, language: Language<'_>) -> Result<()> {
        let cache = self.cache.take();
        let kept: Vec<usize> = self
            .members
            .iter()
            .map(|member| if cache.is_some() { member.row.ids.len() - 1 } else { 0 })
            .collect();
        let result = self.advance(network, language, cache.as_ref(), &kept);
        if result.is_err() {
            self.cache = cache;
        }
        result
    }

    /// Runs the tokens of each row from `kept` on, after `past`.
    fn advance(
        &mut self,
        network: &mut Network,
        language: Language<'_>,
        past: Option<&Cache>,
        kept: &[usize],
    ) -> Result<()> {
        let has_cache = network.graph().continues != Continues::Never;
        let packs = network.graph().padding == Padding::Behind;
        let rows: Vec<Vec<u32>> =
            (self.members.iter().zip(kept)).map(|(member, &kept)| member.row.ids[kept..].to_vec()).collect();
        let forward_rows: Vec<ForwardRow<'_>> = (self.members.iter().zip(&rows).zip(kept))
            .map(|((member, ids), &kept)| ForwardRow {
                ids,
                past: member.mask.clone(),
                place: kept,
                wanted: vec![ids.len() - 1],
                fork: None,
            })
            .collect();
        let members = &mut self.members;
        let cache = forward(network, &forward_rows, past, has_cache, &mut |row, _, logits| {
            members[row].row.choose(logits, language);
            Ok(())
        })?;
        if has_cache {
            let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
            for (member, ids) in members.iter_mut().zip(&rows) {
                member.mask.extend((0..longest).map(|place| i64::from(place < ids.len())));
                if packs {
                    // The graph wrote the new tokens behind the row's own.
                    member.mask.sort_unstable_by_key(|&slot| std::cmp::Reverse(slot));
                }
            }
            self.cache = cache;
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn rows(&mut self) -> impl Iterator<Item = &mut Generating> {
        self.members.iter_mut().map(|member| &mut member.row)
    }

    pub(crate) fn into_rows(self) -> Vec<Generating> {
        self.members.into_iter().map(|member| member.row).collect()
    }

    /// Takes out the rows that have ended, and their part of the cache. A cache that cannot be copied ends all rows.
    pub(crate) fn take_ended(&mut self, graph: &Graph) -> Vec<Generating> {
        if !self.members.iter().any(|member| member.row.has_ended()) {
            return Vec::new();
        }
        let (ended, going_on): (Vec<_>, Vec<_>) = std::mem::take(&mut self.members)
            .into_iter()
            .enumerate()
            .partition(|(_, member)| member.row.has_ended());
        let cache = self.cache.take();
        if let Some(cache) = &cache
            && !going_on.is_empty()
        {
            let rows: Vec<_> =
                going_on.iter().map(|(place, member)| (cache, *place, &member.mask[..])).collect();
            match pack(graph, &rows) {
                Ok(packed) => self.cache = Some(packed),
                Err(error) => {
                    let all = ended.into_iter().chain(going_on).map(|(_, member)| member.row);
                    return end_all(all, &error);
                }
            }
        }
        self.members = packed(going_on.into_iter().map(|(_, member)| member));
        ended.into_iter().map(|(_, member)| member.row).collect()
    }

    /// Whether the rows of another cohort can step with these.
    pub(crate) fn can_take(&self, other: &Self, graph: &Graph) -> bool {
        let length = |cohort: &Self| cohort.cache.as_ref().map(|cache| cache.length);
        match graph.padding {
            Padding::Alone => false,
            Padding::Nowhere => length(self) == length(other),
            Padding::Anywhere | Padding::Behind => true,
        }
    }

    /// Takes over the rows of another cohort. Where the caches cannot be copied, all rows end and are returned.
    pub(crate) fn take(&mut self, other: Self, graph: &Graph) -> Vec<Generating> {
        if let (Some(ours), Some(theirs)) = (&self.cache, &other.cache) {
            let own = self.members.iter().enumerate().map(|(place, member)| (ours, place, &member.mask[..]));
            let new =
                other.members.iter().enumerate().map(|(place, member)| (theirs, place, &member.mask[..]));
            let rows: Vec<_> = own.chain(new).collect();
            match pack(graph, &rows) {
                Ok(packed) => self.cache = Some(packed),
                Err(error) => {
                    let all = std::mem::take(&mut self.members).into_iter().chain(other.members);
                    return end_all(all.map(|member| member.row), &error);
                }
            }
        }
        let members = std::mem::take(&mut self.members);
        self.members = packed(members.into_iter().chain(other.members));
        Vec::new()
    }
}

fn end_all(rows: impl Iterator<Item = Generating>, error: &Error) -> Vec<Generating> {
    rows.map(|mut row| {
        row.end(Err(error.clone()));
        row
    })
    .collect()
}

/// A row of a cache: the cache, the row's number in it, and its mask.
type CacheRow<'cache> = (&'cache Cache, usize, &'cache [i64]);

/// Copies rows into a new cache, the tokens of each close together from slot 0.
fn pack(graph: &Graph, rows: &[CacheRow<'_>]) -> Result<Cache> {
    let length = rows.iter().map(|(_, _, mask)| filled(mask)).max().unwrap_or(0);
    let mut stretches = Vec::new();
    for (to_row, &(cache, row, mask)) in rows.iter().enumerate() {
        let (mut start, mut to) = (0, 0);
        for run in mask.chunk_by(|one, other| one == other) {
            if run[0] == 1 {
                stretches.push(Stretch { cache, row, start, length: run.len(), to_row, to });
                to += run.len();
            }
            start += run.len();
        }
    }
    Cache::assemble(graph, rows.len(), length, &stretches)
}

/// The members with the masks of a packed cache.
fn packed(members: impl Iterator<Item = Member>) -> Vec<Member> {
    let mut members: Vec<Member> = members.collect();
    let length = members.iter().map(|member| filled(&member.mask)).max().unwrap_or(0);
    for member in &mut members {
        let own = filled(&member.mask);
        member.mask = (0..length).map(|slot| i64::from(slot < own)).collect();
    }
    members
}

fn filled(mask: &[i64]) -> usize {
    mask.iter().filter(|&&slot| slot == 1).count()
}
