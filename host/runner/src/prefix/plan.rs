//! Which prefixes are worth computing once.

use super::common_length;

/// A prefix is as many tokens longer than what is there already, or it is not worth a run of its own.
const LEAST_EXTRA: usize = 16;
/// Tokens that a prefix must save over all who share it.
const LEAST_SAVED: usize = 64;

/// The first `length` tokens of the sequence number `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedPrefix {
    pub(crate) of: usize,
    pub(crate) length: usize,
}

/// The prefixes that are shared by enough of `sequences` and are not there yet, shorter ones before those that begin
/// with them. `kept` tells how many first tokens of a sequence are there.
///
/// Sequences of equal content are counted each.
pub(crate) fn shared_prefixes(sequences: &[&[u32]], kept: impl Fn(&[u32]) -> usize) -> Vec<SharedPrefix> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&index| sequences[index]);
    let mut planned = Vec::new();
    // Groups of neighbours in the order, with the number of first tokens that will be there.
    let mut groups = vec![(0..order.len(), 0)];
    while let Some((group, base)) = groups.pop() {
        let [first, .., last] = &order[group.clone()] else { continue };
        let length = common_length(sequences[*first], sequences[*last]);
        let base = base.max(kept(&sequences[*first][..length]));
        let extra = length - base.min(length);
        let is_worthwhile = extra >= LEAST_EXTRA && extra * (group.len() - 1) >= LEAST_SAVED;
        let base = if is_worthwhile {
            planned.push(SharedPrefix { of: *first, length });
            length
        } else {
            base
        };
        // Those that end here share no more; the others part by their next token.
        let mut start = group.start;
        while start < group.end {
            let next = sequences[order[start]].get(length);
            let count = order[start..group.end]
                .iter()
                .take_while(|&&index| sequences[index].get(length) == next)
                .count();
            if next.is_some() {
                groups.push((start..start + count, base));
            }
            start += count;
        }
    }
    planned.sort_by_key(|prefix| prefix.length);
    planned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SharedPrefix, shared_prefixes};

    fn sequence(parts: &[(u32, usize)]) -> Vec<u32> {
        parts.iter().flat_map(|&(token, count)| std::iter::repeat_n(token, count)).collect()
    }

    fn planned(sequences: &[Vec<u32>], kept: usize) -> Vec<SharedPrefix> {
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        shared_prefixes(&sequences, |tokens| kept.min(tokens.len()))
    }

    #[test]
    fn a_block_of_examples_before_many_questions_is_shared() {
        let questions: Vec<_> = (2..10).map(|question| sequence(&[(1, 100), (question, 20)])).collect();
        assert_eq!(planned(&questions, 0), [SharedPrefix { of: 0, length: 100 }]);
        assert_eq!(planned(&questions, 100), [], "it is there");
        assert_eq!(planned(&questions[..1], 0), [], "nobody shares it");
    }

    #[test]
    fn a_longer_prefix_of_some_follows_the_shorter_one_of_all() {
        let sequences = [
            sequence(&[(1, 100), (2, 90), (3, 5)]),
            sequence(&[(1, 100), (2, 90), (4, 5)]),
            sequence(&[(1, 100), (5, 9)]),
        ];
        let expected = [SharedPrefix { of: 0, length: 100 }, SharedPrefix { of: 0, length: 190 }];
        assert_eq!(planned(&sequences, 0), expected);
    }

    #[test]
    fn a_few_tokens_by_chance_are_not_worth_it() {
        assert_eq!(planned(&[sequence(&[(1, 30), (2, 9)]), sequence(&[(1, 30), (3, 9)])], 0), []);
        let many: Vec<_> = (2..40).map(|last| sequence(&[(1, 10), (last, 9)])).collect();
        assert_eq!(planned(&many, 0), []);
    }

    proptest! {
        #[test]
        fn what_is_planned_is_shared(
            sequences in prop::collection::vec(prop::collection::vec(0_u32..2, 0..120), 0..12)
        ) {
            for prefix in planned(&sequences, 0) {
                let tokens = &sequences[prefix.of][..prefix.length];
                let sharing = sequences.iter().filter(|sequence| sequence.starts_with(tokens)).count();
                prop_assert!(sharing >= 2, "{prefix:?}");
            }
        }
    }
}
