//! The caches of prefixes.

use std::collections::BTreeMap;
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

    /// Keeps a prefix, if it fits at all.
    pub(super) fn insert(&mut self, tokens: &[u32], cache: Cache, bytes: usize) {
        if bytes > self.budget {
            return;
        }
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
