//! Prefixes that several requests share: which are worth computing once, and their caches.

mod plan;
mod store;

use std::collections::VecDeque;
use std::sync::Arc;

use llm_bench_core::Result;

use crate::forward::{ForwardRow, forward};
use crate::graph::Graph;
use crate::network::{Cache, Network, Stretch};
use plan::{SharedPrefix, shared_prefixes};
pub(crate) use store::Prefix;
use store::PrefixStore;

/// Sequences of earlier batches that are remembered, so that what follows one by one shares prefixes too.
const REMEMBERED: usize = 64;

/// The prefixes of one model.
pub(crate) struct Prefixes {
    store: PrefixStore,
    recent: VecDeque<Vec<u32>>,
    /// The past that was put together last: the next batch often wants the same.
    latest: Option<(Vec<Option<Prefix>>, Arc<Cache>)>,
    is_on: bool,
}

impl Prefixes {
    /// Keeps caches of at most `budget` bytes; nothing is shared where `is_on` is false.
    pub(crate) fn new(budget: usize, is_on: bool) -> Self {
        Self { store: PrefixStore::new(budget), recent: VecDeque::new(), latest: None, is_on }
    }

    /// Computes what the sequences share with each other or with earlier ones, where that saves work.
    pub(crate) fn compute_shared(&mut self, network: &mut Network, sequences: &[&[u32]]) -> Result<()> {
        if !self.is_on {
            return Ok(());
        }
        let mut all = sequences.to_vec();
        all.extend(self.recent.iter().map(Vec::as_slice).filter(|recent| !sequences.contains(recent)));
        let planned = shared_prefixes(&all, |tokens| self.store.longest_length(tokens));
        let planned: Vec<Vec<u32>> = (planned.iter())
            .map(|&SharedPrefix { of, length }| all[of][..length].to_vec())
            // A prefix of earlier sequences alone may never be wanted again.
            .filter(|prefix| sequences.iter().any(|sequence| sequence.starts_with(prefix)))
            .collect();
        let mut room = self.store.room_beside(sequences);
        for prefix in planned {
            let bytes = prefix.len() * network.graph().cache_bytes_per_token();
            // It would push out what others want, and be pushed out by what they compute again.
            if bytes > room {
                continue;
            }
            room -= bytes;
            let before = self.store.longest(&prefix);
            let length = before.as_ref().map_or(0, Prefix::tokens);
            let row = ForwardRow {
                ids: &prefix[length..],
                past: vec![1; length],
                place: length,
                wanted: Vec::new(),
                fork: None,
            };
            let past = before.as_ref().map(|prefix| &*prefix.cache);
            let cache = forward(network, &[row], past, true, &mut |_, _, _| Ok(()))?;
            if let Some(cache) = cache {
                self.store.insert(&prefix, cache, bytes);
            }
        }
        Ok(())
    }

    /// Remembers sequences that were computed.
    pub(crate) fn remember<'tokens>(&mut self, sequences: impl Iterator<Item = &'tokens [u32]>) {
        if !self.is_on {
            return;
        }
        for sequence in sequences {
            if self.recent.iter().any(|recent| recent == sequence) {
                continue;
            }
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(sequence.to_vec());
        }
    }

    /// The longest computed prefix of a sequence.
    pub(crate) fn longest(&mut self, sequence: &[u32]) -> Option<Prefix> {
        if self.is_on { self.store.longest(sequence) } else { None }
    }

    /// The cache of a batch whose rows begin with these prefixes, each from slot 0; none where no row has one.
    pub(crate) fn past(&mut self, graph: &Graph, rows: &[Option<Prefix>]) -> Result<Option<Arc<Cache>>> {
        let length = rows.iter().flatten().map(Prefix::tokens).max().unwrap_or(0);
        if length == 0 {
            return Ok(None);
        }
        if let [Some(prefix)] = rows {
            return Ok(Some(prefix.cache.clone()));
        }
        if let Some((latest, cache)) = &self.latest
            && latest == rows
        {
            return Ok(Some(cache.clone()));
        }
        // The past before is given up first: both need not fit.
        self.latest = None;
        let stretches: Vec<_> = (rows.iter().enumerate())
            .filter_map(|(to_row, prefix)| {
                let prefix = prefix.as_ref()?;
                let length = prefix.tokens();
                Some(Stretch { cache: &prefix.cache, row: 0, start: 0, length, to_row, to: 0 })
            })
            .collect();
        let cache = Arc::new(Cache::assemble(graph, rows.len(), length, &stretches)?);
        self.latest = Some((rows.to_vec(), cache.clone()));
        Ok(Some(cache))
    }
}

/// How many first tokens two sequences have in common.
fn common_length(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
