//! A sum and the norm of it as one operation.

use std::collections::{HashMap, HashSet};

use super::attribute::fraction;
use super::graph::Graph;
use super::node::Node;

/// `x · weight / √(mean(x²) + epsilon)` of a sum x, which is wanted too.
struct Norm {
    sum: String,
    terms: [String; 2],
    weight: String,
    epsilon: f32,
    output: String,
}

/// Makes one operation of each root mean square norm and the sum before it; tells whether there was any.
pub(super) fn fuse(graph: &mut Graph<'_>) -> bool {
    let mut norms: HashMap<String, Norm> = HashMap::new();
    for norm in graph.nodes.iter().filter_map(|node| norm(graph, node)) {
        // One operation gives the sum once.
        norms.entry(norm.sum.clone()).or_insert(norm);
    }
    if norms.is_empty() {
        return false;
    }
    let replaced: HashSet<&str> = norms.values().flat_map(|norm| [&*norm.sum, &norm.output]).collect();
    graph.nodes.retain(|node| !node.outputs.iter().any(|output| replaced.contains(&**output)));
    let mut fused: Vec<&Norm> = norms.values().collect();
    fused.sort_by(|one, other| one.sum.cmp(&other.sum));
    for Norm { sum, terms: [one, other], weight, epsilon, output } in fused {
        graph.nodes.push(Node::of_library(
            "SkipSimplifiedLayerNormalization",
            &[one, other, weight],
            &[output, "", "", sum],
            &[fraction("epsilon", *epsilon)],
        ));
    }
    graph.index();
    graph.remove_unused_nodes();
    true
}

fn norm(graph: &Graph<'_>, last: &Node<'_>) -> Option<Norm> {
    if !last.is("Mul") {
        return None;
    }
    let [one, other] = last.two()?;
    let (weight, normal) = if graph.is_constant(one) { (one, other) } else { (other, one) };
    let product = graph.made_by(graph.uncast(normal), "Mul").filter(|_| graph.is_constant(weight))?;
    let [one, other] = product.two()?;
    let (value, epsilon) =
        inverse_root_mean_square(graph, other).filter(|(value, _)| *value == graph.uncast(one)).or_else(
            || inverse_root_mean_square(graph, one).filter(|(value, _)| *value == graph.uncast(other)),
        )?;
    let sum = graph.made_by(value, "Add").filter(|_| !graph.is_output(value))?;
    let [one, other] = sum.two()?;
    Some(Norm {
        sum: value.to_owned(),
        terms: [one.to_owned(), other.to_owned()],
        weight: weight.to_owned(),
        epsilon,
        output: last.outputs.first()?.clone().into_owned(),
    })
}

/// Of `1 / √(mean(x²) + epsilon)`, the mean being over the last axis: x and epsilon.
fn inverse_root_mean_square<'graph>(
    graph: &'graph Graph<'_>,
    value: &'graph str,
) -> Option<(&'graph str, f32)> {
    let number = |value: &str| graph.constant(value)?.factor();
    let inverse = graph.producer(value)?;
    let root = match inverse.two() {
        Some([one, root]) if inverse.is("Div") && number(one) == Some(1.0) => root,
        None if inverse.is("Reciprocal") => inverse.inputs.first()?,
        _ => return None,
    };
    let [mean, epsilon] = graph.made_by(graph.made_by(root, "Sqrt")?.inputs.first()?, "Add")?.two()?;
    let mean = graph.made_by(mean, "ReduceMean")?;
    let [square, axes] = mean.two()?;
    let is_over_last =
        graph.integers(axes)? == [-1] && !matches!(mean.integers("keepdims").as_deref(), Some([0]));
    let [value, exponent] = graph.made_by(square, "Pow")?.two()?;
    (is_over_last && number(exponent)? == 2.0).then_some(())?;
    Some((graph.uncast(value), number(epsilon)?))
}
