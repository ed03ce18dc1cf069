//! How many axes values have, as far as that is told by the operators before them.

use std::collections::HashMap;

use super::super::graph::Graph;
use super::super::node::Node;
use super::pattern::parts;

/// Numbers of axes by value.
pub(super) struct Ranks(HashMap<String, usize>);

impl Ranks {
    /// Looks through the nodes in their order, which real graphs have from their inputs on.
    pub(super) fn of(graph: &Graph<'_>) -> Self {
        let mut ranks = Self(HashMap::new());
        for node in &graph.nodes {
            if let Some(rank) = ranks.given(graph, node) {
                for output in &node.outputs {
                    ranks.0.insert(output.clone().into_owned(), rank);
                }
            }
        }
        ranks
    }

    pub(super) fn rank(&self, graph: &Graph<'_>, value: &str) -> Option<usize> {
        let input = || graph.input_type(value).map(|input| input.sizes.len());
        self.0.get(value).copied().or_else(|| graph.constant_rank(value)).or_else(input)
    }

    /// Of what a node gives.
    fn given(&self, graph: &Graph<'_>, node: &Node<'_>) -> Option<usize> {
        const SAME: [&str; 15] = [
            "Cast",
            "Cos",
            "Erf",
            "Identity",
            "LayerNormalization",
            "Neg",
            "Reciprocal",
            "Sigmoid",
            "Sin",
            "Slice",
            "Softmax",
            "Split",
            "Sqrt",
            "Tanh",
            "Transpose",
        ];
        const LARGEST: [&str; 6] = ["Add", "Div", "MatMul", "Mul", "Pow", "Sub"];
        let of = |value: &str| self.rank(graph, value);
        let first = node.inputs.first();
        match node.operator {
            "Gather" => Some((of(first?)? + of(node.inputs.get(1)?)?).checked_sub(1)?),
            "ReduceMean" if node.integers("keepdims").as_deref() != Some(&[0]) => of(first?),
            operator if SAME.contains(&operator) => of(first?),
            operator if LARGEST.contains(&operator) => {
                let ranks: Option<Vec<usize>> = node.inputs.iter().map(|input| of(input)).collect();
                // A product with a vector has fewer axes.
                ranks?.into_iter().max().filter(|&rank| operator != "MatMul" || rank > 2)
            }
            "Reshape" => {
                let sizes = parts::<3>(graph, node.inputs.get(1)?)?;
                let is_one = |size: &&str| {
                    graph.made_by(size, "Unsqueeze").is_some()
                        || graph.integers(size).is_some_and(|numbers| numbers.len() == 1)
                };
                sizes.iter().all(is_one).then_some(3)
            }
            _ => None,
        }
    }
}
