//! Several continuations of one text in one row: a tree of tokens, of which each sees what leads to it.

use super::Stride;

/// How the new tokens of a row belong together: a trunk, and branches that go on from its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fork {
    /// For each token of the branches the number of its branch and its place in it; they lie behind the trunk.
    leaves: Vec<(usize, usize)>,
    trunk: usize,
}

impl Fork {
    /// A trunk of so many tokens, and branches of so many each.
    pub(crate) fn new(trunk: usize, branches: impl IntoIterator<Item = usize>) -> Self {
        let leaves = branches.into_iter().enumerate();
        let leaves =
            leaves.flat_map(|(branch, length)| (0..length).map(move |place| (branch, place))).collect();
        Self { leaves, trunk }
    }

    /// Tokens of the trunk.
    pub(crate) fn trunk(&self) -> usize {
        self.trunk
    }

    /// The branch of a token and its place in it; none in the trunk.
    pub(crate) fn leaf(&self, index: usize) -> Option<(usize, usize)> {
        self.leaves.get(index.checked_sub(self.trunk)?).copied()
    }

    /// How far a token lies behind the first of the trunk.
    pub(super) fn place(&self, index: usize) -> usize {
        self.leaf(index).map_or(index, |(_, place)| self.trunk + place)
    }
}

/// Which of `past` slots and `length` new tokens each new token may see, as far as forks say, with its shape.
pub(super) fn visible(rows: &[Stride<'_>], past: usize, length: usize) -> (Vec<usize>, Vec<bool>) {
    if rows.iter().all(|row| row.fork.is_none()) {
        return (vec![1; 4], vec![true]);
    }
    let slots = past + length;
    let mut visible = vec![true; rows.len() * length * slots];
    for (row, seen) in rows.iter().zip(visible.chunks_exact_mut(length * slots)) {
        let Some(fork) = row.fork else { continue };
        for index in fork.trunk..row.ids.len() {
            let own = fork.leaf(index).map(|(branch, _)| branch);
            for other in fork.trunk..index {
                seen[index * slots + past + other] = fork.leaf(other).map(|(branch, _)| branch) == own;
            }
        }
    }
    (vec![rows.len(), 1, length, slots], visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_sees_the_trunk_and_its_own_branch() {
        let fork = Fork::new(2, [2, 1]);
        assert_eq!([0, 1, 2, 3, 4].map(|index| fork.place(index)), [0, 1, 2, 3, 2]);
        let stride = Stride { ids: &[7; 5], past: &[1], place: 1, wanted: &[], fork: Some(&fork) };
        let plain = Stride { ids: &[7; 6], fork: None, ..stride.clone() };
        assert_eq!(visible(std::slice::from_ref(&plain), 1, 6), (vec![1; 4], vec![true]));
        let (shape, seen) = visible(&[plain, stride], 1, 6);
        assert_eq!(shape, [2, 1, 6, 7]);
        let hidden: Vec<usize> = (0..seen.len()).filter(|&place| !seen[place]).collect();
        // The last token of the fork does not see the two of the other branch.
        assert_eq!(hidden, [42 + 4 * 7 + 3, 42 + 4 * 7 + 4]);
    }
}
