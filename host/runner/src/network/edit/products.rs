//! Products of one value with several weights as one product.

use std::collections::BTreeMap;

use super::attribute::{list, whole};
use super::graph::{Graph, Matrix};
use super::node::Node;
use super::protobuf::{message, number, text};

/// Puts the weights side by side that one value is multiplied with, and cuts the product: a step that writes one token
/// waits for all cores after each product. Weights in files beside the graph stay as they are.
pub(super) fn join(graph: &mut Graph<'_>) {
    // By the value and the rows of the weights, the places of the products.
    let mut groups: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (place, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.is("MatMul")) {
        if let Some([value, weights]) = node.two()
            && let Some(matrix) = graph.matrix(weights).filter(|_| graph.is_used_once(weights))
        {
            groups.entry((value, matrix.rows)).or_default().push(place);
        }
    }
    let mut joined = Vec::new();
    for ((value, rows), places) in groups.iter().filter(|(_, places)| places.len() > 1) {
        let name = |what: &str| format!("llm_bench_joined_{what}_{}", joined.len());
        let nodes: Vec<&Node<'_>> = places.iter().map(|&place| &graph.nodes[place]).collect();
        let matrices: Vec<Matrix<'_>> =
            nodes.iter().filter_map(|node| graph.matrix(&node.inputs[1])).collect();
        let columns: Vec<i64> =
            matrices.iter().filter_map(|matrix| i64::try_from(matrix.columns).ok()).collect();
        let outputs: Option<Vec<&str>> =
            nodes.iter().map(|node| node.outputs.first().map(|name| &**name)).collect();
        let Some(outputs) = outputs.filter(|outputs| outputs.len() == columns.len()) else { continue };
        let weights = side_by_side(&name("weights"), *rows, &matrices);
        let made = [
            Node::new("MatMul", &[value, &name("weights")], &[&name("product")], &[]),
            Node::new("Constant", &[], &[&name("sizes")], &[list("value_ints", &columns)]),
            Node::new("Split", &[&name("product"), &name("sizes")], &outputs, &[last_axis()]),
        ];
        joined.push((places.clone(), weights, made));
    }
    let mut is_left = vec![true; graph.nodes.len()];
    for (places, weights, made) in joined {
        for place in places {
            is_left[place] = false;
        }
        graph.add_initializer(&weights);
        graph.nodes.extend(made);
    }
    let mut is_left = is_left.into_iter();
    graph.nodes.retain(|_| is_left.next().unwrap_or(true));
    graph.index();
}

fn last_axis() -> Vec<u8> {
    whole("axis", (-1_i64).cast_unsigned())
}

/// A tensor (`TensorProto`) of the columns of all matrices.
fn side_by_side(name: &str, rows: usize, matrices: &[Matrix<'_>]) -> Vec<u8> {
    let columns: usize = matrices.iter().map(|matrix| matrix.columns).sum();
    let mut numbers = Vec::with_capacity(rows * columns * size_of::<f32>());
    for row in 0..rows {
        for matrix in matrices {
            let width = matrix.columns * size_of::<f32>();
            numbers.extend_from_slice(&matrix.numbers[row * width..(row + 1) * width]);
        }
    }
    let sizes = [number(1, rows as u64), number(1, columns as u64)].concat();
    [sizes, number(2, 1), text(8, name), message(9, &numbers)].concat()
}
