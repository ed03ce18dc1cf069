//! Which rows run together.

/// Splits rows into batches: the longest first, so that what does not fit in memory fails at once.
///
/// `lengths` are the rows' lengths in tokens; a batch holds at most `budget` tokens with its padding, but always
/// one row. Only rows of the same `group` meet. The result holds indices into `lengths`.
pub(crate) fn plan(lengths: &[usize], budget: usize, group: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse((group(index), lengths[index])));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        if let Some(batch) = batches.last_mut() {
            let longest = lengths[batch[0]];
            let fits = (batch.len() + 1).saturating_mul(longest) <= budget;
            if fits && group(batch[0]) == group(index) {
                batch.push(index);
                continue;
            }
        }
        batches.push(vec![index]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::plan;

    #[test]
    fn batches_stay_within_the_budget_with_their_padding() {
        assert_eq!(plan(&[3, 9, 5, 4], 18, |_| 0), [vec![1, 2], vec![3, 0]]);
    }

    #[test]
    fn a_row_longer_than_the_budget_runs_alone() {
        assert_eq!(plan(&[1, 100, 1], 10, |_| 0), [vec![1], vec![0, 2]]);
    }

    #[test]
    fn rows_of_different_groups_do_not_meet() {
        let prompts = [2, 3, 2, 3];
        assert_eq!(plan(&[20, 13, 12, 30], 100, |row| prompts[row]), [vec![3, 1], vec![0, 2]]);
    }

    #[test]
    fn no_rows_make_no_batch() {
        assert!(plan(&[], 10, |_| 0).is_empty());
    }
}
