//! The caches of prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::common_length;
use crate::network::Cache;

/// Caches of prefixes by their tokens, the least recently used given up first under a memory budget.
pub(super) struct PrefixStore {
    /// In the order of the tokens, so that the prefixes of a sequence stand just before it.
    entries: BTreeMap<Arc<[u32]>, Entry>,
    bytes: usize,
    budget: usize,
    uses: u64,
}

/// A prefix and its cache: one row, a slot for each token.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    pub(crate) cache: Arc<Cache>,
}

struct Entry {
    prefix: Prefix,
    bytes: usize,
    last_used: u64,
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cache, &other.cache)
    }
}

impl Prefix {
    pub(crate) fn tokens(&self) -> usize {
        self.cache.length
    }
}

impl PrefixStore {
    /// A cache that keeps at most `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self { entries: BTreeMap::new(), bytes: 0, budget, uses: 0 }
    }

    /// The longest prefix of `tokens` that is there.
    pub(super) fn longest(&mut self, tokens: &[u32]) -> Option<Prefix> {
        let key = self.longest_key(tokens)?;
        self.uses += 1;
        let entry = self.entries.get_mut(&key)?;
        entry.last_used = self.uses;
        Some(entry.prefix.clone())
    }

    fn longest_key(&self, tokens: &[u32]) -> Option<Arc<[u32]>> {
        let mut bound = tokens;
        loop {
            // The greatest entry up to the bound is a prefix of the tokens, or shows how much of them any can share.
            let range = (Bound::Unbounded, Bound::Included(bound));
            let (key, _) = self.entries.range::<[u32], _>(range).next_back()?;
            let common = common_length(key, tokens);
            if common == key.len() {
                return Some(key.clone());
            }
            bound = &tokens[..common];
        }
    }

    /// How many of the first tokens are there.
    pub(super) fn longest_length(&self, tokens: &[u32]) -> usize {
        self.longest_key(tokens).map_or(0, |key| key.len())
    }

    /// What the budget leaves beside the longest prefixes of some sequences, which are used by this.
    pub(super) fn room_beside(&mut self, sequences: &[&[u32]]) -> usize {
        let wanted: BTreeSet<_> = sequences.iter().filter_map(|tokens| self.longest_key(tokens)).collect();
        self.uses += 1;
        let mut room = self.budget;
        for key in wanted {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.last_used = self.uses;
                room = room.saturating_sub(entry.bytes);
            }
        }
        room
    }

    /// Keeps a prefix of at most the budget.
    pub(super) fn insert(&mut self, tokens: &[u32], cache: Cache, bytes: usize) {
        self.uses += 1;
        let entry = Entry { prefix: Prefix { cache: Arc::new(cache) }, bytes, last_used: self.uses };
        if let Some(replaced) = self.entries.insert(tokens.into(), entry) {
            self.bytes -= replaced.bytes;
        }
        self.bytes += bytes;
        while self.bytes > self.budget {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PrefixStore;
    use crate::network::Cache;

    fn store(budget: usize, entries: &[&[u32]]) -> PrefixStore {
        let mut store = PrefixStore::new(budget);
        for tokens in entries {
            store.insert(tokens, Cache::of_nothing(tokens.len()), tokens.len());
        }
        store
    }

    #[test]
    fn the_longest_prefix_is_found() {
        let mut store = store(100, &[&[1, 2], &[1, 2, 3, 4], &[1, 2, 9], &[5]]);
        let mut longest = |tokens: &[u32]| store.longest(tokens).map(|prefix| prefix.tokens());
        assert_eq!(longest(&[1, 2, 3, 4, 5]), Some(4));
        assert_eq!(longest(&[1, 2, 3, 5]), Some(2));
        assert_eq!((longest(&[1]), longest(&[6])), (None, None));
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut store = store(4, &[&[1, 1], &[2, 2]]);
        assert!(store.longest(&[1, 1, 7]).is_some());
        store.insert(&[3, 3], Cache::of_nothing(2), 2);
        let is_there = [[1, 1], [2, 2], [3, 3]].map(|tokens| store.longest_length(&tokens) == 2);
        assert_eq!(is_there, [true, false, true]);
    }

    #[test]
    fn what_is_wanted_takes_its_room_and_stays() {
        let mut store = store(6, &[&[1, 1], &[2, 2], &[3, 3]]);
        let wanted: [&[u32]; 3] = [&[1, 1, 5], &[1, 1, 6], &[4, 4]];
        assert_eq!(store.room_beside(&wanted), 4);
        store.insert(&[4, 4, 4], Cache::of_nothing(3), 3);
        assert_eq!((store.longest_length(&[1, 1]), store.longest_length(&[2, 2])), (2, 0));
    }
}
