use std::collections::HashMap;
use std::hash::Hash;

/// How often each run of `length` neighbours occurs.
pub(super) fn count<T: Eq + Hash>(items: &[T], length: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for ngram in items.windows(length) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// The occurrences that two counts have in common.
pub(super) fn common<T: Eq + Hash>(left: &HashMap<&[T], u64>, right: &HashMap<&[T], u64>) -> u64 {
    left.iter().filter_map(|(ngram, count)| right.get(ngram).map(|other| *count.min(other))).sum()
}
