//! No guard against rows without any token.

use std::borrow::Cow;
use std::collections::HashMap;

use super::graph::Graph;
use super::node::Node;

/// Lets those that read `Where(IsNaN(x), constant, x)` after a softmax read `x`; tells whether there was any.
pub(super) fn remove(graph: &mut Graph<'_>) -> bool {
    if graph.has_subgraphs() {
        return false;
    }
    // By what each gives, what it guards.
    let mut guards: HashMap<Cow<'_, str>, Cow<'_, str>> = HashMap::new();
    for guard in graph.nodes.iter().filter(|node| node.is("Where")) {
        if let Some(guarded) = guarded(graph, guard) {
            guards.insert(guard.outputs[0].clone(), guarded.clone());
        }
    }
    graph.nodes.retain(|node| !node.outputs.iter().any(|output| guards.contains_key(output)));
    for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        if let Some(guarded) = guards.get(input) {
            *input = guarded.clone();
        }
    }
    if !guards.is_empty() {
        graph.index();
        graph.remove_unused_nodes();
    }
    !guards.is_empty()
}

fn guarded<'node, 'model>(
    graph: &Graph<'model>,
    guard: &'node Node<'model>,
) -> Option<&'node Cow<'model, str>> {
    let ([condition, replacement, guarded], [output]) = (&guard.inputs[..], &guard.outputs[..]) else {
        return None;
    };
    let is_guard = graph.made_by(condition, "IsNaN").is_some_and(|test| test.inputs == [&**guarded])
        && graph.is_constant(replacement)
        && graph.made_by(guarded, "Softmax").is_some()
        && !graph.is_output(output);
    is_guard.then_some(guarded)
}
