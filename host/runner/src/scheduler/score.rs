//! Scoring: families in batches.

use std::time::{Duration, Instant};

use llm_bench_core::{Error, Result};

use super::{Scheduler, WaitingFamily, any_wanted};
use crate::calls::Place;
use crate::generation::Phases;
use crate::graph::Padding;
use crate::oracle;
use crate::prefix::Prefix;
use crate::runner::Execution;
use crate::scoring::{Family, RowScore, ScoringRow, score};

/// A family of a batch and the part of its context that is there already.
struct Member {
    waiting: WaitingFamily,
    prefix: Option<Prefix>,
}

impl Member {
    fn kept(&self) -> usize {
        self.prefix.as_ref().map_or(0, Prefix::tokens)
    }
}

impl Scheduler<'_> {
    /// Scores one batch of what waits.
    pub(super) fn score(&mut self) {
        let calls = &mut self.calls;
        self.families.retain(|_, family| any_wanted(calls, &family.waiting.concat()));
        if self.families.is_empty() {
            return;
        }
        let started = Instant::now();
        if self.engine.execution == Execution::Reference {
            let next = self.families.keys().next().cloned();
            if let Some(waiting) = next.and_then(|key| self.families.remove(&key)) {
                let scores = self.score_by_reference(&waiting.family);
                self.deliver(waiting, scores, started.elapsed());
            }
            return;
        }
        let members = self.next_batch();
        let scores = self.score_batch(&members);
        let sequences = members.iter().map(|member| member.waiting.family.shareable());
        self.engine.prefixes.remember(sequences);
        let elapsed = started.elapsed();
        for (member, scores) in members.into_iter().zip(scores) {
            self.deliver(member.waiting, scores, elapsed);
        }
    }

    /// Takes out the families of the next batch: the longest first, so that what does not fit in memory fails at once.
    fn next_batch(&mut self) -> Vec<Member> {
        let engine = &mut *self.engine;
        let mut keys: Vec<Vec<u32>> = self.families.keys().cloned().collect();
        keys.sort_unstable();
        let sequences: Vec<&[u32]> = keys.iter().map(|key| self.families[key].family.shareable()).collect();
        engine.compute_shared(&sequences);
        let prefixes: Vec<Option<Prefix>> =
            sequences.iter().map(|sequence| engine.prefixes.longest(sequence)).collect();
        let kept = |index: usize| prefixes[index].as_ref().map_or(0, Prefix::tokens);
        let forks = engine.network.forks();
        let new_tokens = |index: usize| self.families[&keys[index]].family.length(forks) - kept(index);
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(new_tokens(index)));
        let graph = engine.network.graph();
        // Rows that meet: without gaps, those whose pasts are equally long.
        let group = |index: usize| if graph.padding == Padding::Anywhere { 0 } else { kept(index) };
        let runs_alone = |index: usize| kept(index) > 0 && !graph.continues_with_many(2);
        let mut chosen: Vec<usize> = Vec::new();
        let mut size = BatchSize::default();
        for index in order {
            let family = &self.families[&keys[index]].family;
            let larger = size.with(kept(index), new_tokens(index), family.wanted(forks));
            let fits = engine.limits.allow(larger.rows, larger.new_tokens, larger.wanted, larger.slots());
            match chosen.first() {
                None => {}
                Some(&first)
                    if fits && group(first) == group(index) && !runs_alone(first) && !runs_alone(index) => {}
                Some(_) => continue,
            }
            chosen.push(index);
            size = larger;
        }
        chosen
            .into_iter()
            .filter_map(|index| {
                let waiting = self.families.remove(&keys[index])?;
                Some(Member { waiting, prefix: prefixes[index].clone() })
            })
            .collect()
    }

    /// Scores a batch; when the model fails, each of its families alone, so that one fails its own calls only.
    fn score_batch(&mut self, members: &[Member]) -> Vec<Result<Vec<RowScore>>> {
        match self.run_batch(members) {
            Ok(scores) => scores,
            Err(error) if members.len() == 1 => vec![Err(error)],
            Err(error) => {
                tracing::warn!(?error, rows = members.len(), "a batch of scores failed; each row runs alone");
                let alone = members.iter().map(|member| {
                    let mut alone = self.run_batch(std::slice::from_ref(member))?;
                    alone.pop().unwrap_or_else(|| Err(Error::internal("model-failed", "no scores")))
                });
                alone.collect()
            }
        }
    }

    fn run_batch(&mut self, members: &[Member]) -> Result<Vec<Result<Vec<RowScore>>>> {
        let engine = &mut *self.engine;
        let mut may_fork = true;
        if let [member] = members {
            engine.check_memory(member.waiting.family.length(false))?;
            may_fork = engine.limits.allow_slots(member.waiting.family.length(true));
        }
        let prefixes: Vec<Option<Prefix>> = members.iter().map(|member| member.prefix.clone()).collect();
        let kept: Vec<usize> = members.iter().map(Member::kept).collect();
        let families: Vec<&Family> = members.iter().map(|member| &member.waiting.family).collect();
        let past = engine.prefixes.past(engine.network.graph(), &prefixes)?;
        score(&mut engine.network, &families, past.as_deref(), &kept, may_fork)
    }

    fn score_by_reference(&mut self, family: &Family) -> Result<Vec<RowScore>> {
        let network = &mut self.engine.network;
        let row = |targets: &Vec<u32>| {
            let input = [&family.context[..], &targets[..targets.len() - 1]].concat();
            ScoringRow { input, targets: targets.clone() }
        };
        family.continuations.iter().map(|targets| oracle::score(network, &row(targets))).collect()
    }

    fn deliver(&mut self, waiting: WaitingFamily, scores: Result<Vec<RowScore>>, elapsed: Duration) {
        let places: Vec<Place> = waiting.waiting.concat();
        let phases = Phases { prefill: elapsed, decode: Duration::ZERO };
        self.calls.spend(places.iter().map(|place| place.call), phases);
        match scores {
            Ok(scores) => {
                let continuations = waiting.family.continuations.iter().zip(scores);
                for ((targets, score), places) in continuations.zip(waiting.waiting) {
                    for place in places {
                        self.calls.scored(place, targets.len(), score);
                    }
                }
            }
            Err(error) => {
                for place in places {
                    self.calls.fail(place.call, error.clone());
                }
            }
        }
    }
}

/// What the rows of a batch need together.
#[derive(Debug, Clone, Copy, Default)]
struct BatchSize {
    rows: usize,
    /// Of the longest row.
    new_tokens: usize,
    /// Of the row with the most that are there already.
    kept: usize,
    /// Logits of the row that wants the most.
    wanted: usize,
}

impl BatchSize {
    fn with(self, kept: usize, new_tokens: usize, wanted: usize) -> Self {
        Self {
            rows: self.rows + 1,
            new_tokens: self.new_tokens.max(new_tokens),
            kept: self.kept.max(kept),
            wanted: self.wanted.max(wanted),
        }
    }

    /// Slots of the cache, over all rows.
    fn slots(self) -> usize {
        self.rows * (self.kept + self.new_tokens)
    }
}
