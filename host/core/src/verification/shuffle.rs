//! Gold answers given to other samples.

use std::collections::BTreeMap;

use crate::python_random::PythonRandom;

/// Gives each sample the gold answer of another one, where it can be one that differs. `golds` tells which samples have
/// equal gold answers; the result has for each sample the one whose gold answer it gets, each exactly once.
///
/// Samples are lined up by their gold answers, in an order drawn from `seed`, and take the answer of the one that stands
/// so many places on as the most frequent answer has samples. As long as no answer makes up more than half of all, this
/// leaves nobody with an answer like their own; of one that does, no permutation could move more.
pub(crate) fn shuffle(golds: &[u32], seed: u64) -> Vec<usize> {
    let mut random = PythonRandom::new(seed);
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for place in drawn(&mut random, golds.len()) {
        groups.entry(golds[place]).or_default().push(place);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let largest = groups.iter().map(Vec::len).max().unwrap_or(0);
    let order = drawn(&mut random, groups.len());
    let line: Vec<usize> = order.into_iter().flat_map(|group| groups[group].iter().copied()).collect();
    let mut taken = vec![0; golds.len()];
    for (place, sample) in line.iter().enumerate() {
        // All equal: the next one's, so that at least nobody keeps their own.
        let step = if largest == line.len() { 1 } else { largest };
        taken[*sample] = line[(place + step) % line.len()];
    }
    taken
}

/// The numbers below `count` in a drawn order.
fn drawn(random: &mut PythonRandom, count: usize) -> Vec<usize> {
    let count = count as u64;
    random.sample(count, count).into_iter().filter_map(|place| usize::try_from(place).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_answer_is_given_once_and_to_another_that_differs_as_far_as_there_are_any(
            golds in prop::collection::vec(0_u32..5, 0..60), seed in any::<u64>(),
        ) {
            let taken = shuffle(&golds, seed);
            let mut sorted = taken.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..golds.len()).collect::<Vec<_>>());
            let alike = (0..golds.len()).filter(|&place| golds[taken[place]] == golds[place]).count();
            let largest = (0..5).map(|gold| golds.iter().filter(|other| **other == gold).count()).max().unwrap();
            prop_assert_eq!(alike, (2 * largest).saturating_sub(golds.len()));
            if golds.len() > 1 {
                prop_assert!((0..golds.len()).all(|place| taken[place] != place));
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_order_again() {
        let golds: Vec<u32> = (0..40).map(|place| place % 4).collect();
        assert_eq!(shuffle(&golds, 1), shuffle(&golds, 1));
        assert_ne!(shuffle(&golds, 1), shuffle(&golds, 2));
    }
}
