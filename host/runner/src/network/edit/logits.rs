//! Logits only where they are wanted.

use super::attribute::whole;
use super::graph::{Graph, MOST_STEPS};
use super::node::Node;
use super::protobuf::{message, number, text};

/// The input that is added: for each row the positions of the wanted logits, `[rows, wanted, 1]`, int64.
pub(crate) const POSITIONS: &str = "llm_bench_logit_positions";

/// What the projection to the vocabulary then reads.
const SELECTED: &str = "llm_bench_selected_hidden_states";

/// `GatherND` has batch dimensions since this version of the operators.
const LEAST_OPERATORS: u64 = 12;

/// Inputs by which a graph leaves out logits by itself.
const KEEPS: [&str; 2] = ["logits_to_keep", "num_logits_to_keep"];

/// Puts a gather before the node that projects hidden states to the vocabulary; tells whether that could be done.
pub(super) fn select(graph: &mut Graph<'_>, operators: u64) -> bool {
    if operators < LEAST_OPERATORS || graph.has_input(&KEEPS) {
        return false;
    }
    let Some(projection) = projection(graph) else { return false };
    let hidden = graph.nodes[projection].inputs[0].clone();
    let gather = Node::new("GatherND", &[&hidden, POSITIONS], &[SELECTED], &[whole("batch_dims", 1)]);
    graph.nodes[projection].inputs[0] = SELECTED.into();
    graph.nodes.insert(projection, gather);
    let sizes: Vec<u8> = [
        message(1, &text(2, "batch_size")),
        message(1, &text(2, "llm_bench_wanted")),
        message(1, &number(1, 1)),
    ]
    .concat();
    let tensor = [number(1, 7), message(2, &sizes)].concat();
    graph.add_input(&[text(1, POSITIONS), message(2, &message(1, &tensor))].concat());
    graph.index();
    true
}

/// From `logits` back, through what treats each position alone, to a product with constant weights. A product of
/// integers is none: its scales depend on all positions.
fn projection(graph: &Graph<'_>) -> Option<usize> {
    let mut value = "logits";
    let mut steps = 0..MOST_STEPS;
    let (place, projection) = loop {
        steps.next()?;
        let node = graph.producer(value)?;
        if !graph.is_used_once(value) {
            return None;
        }
        value = match (node.domain, node.operator) {
            ("" | "ai.onnx", "MatMul") | ("com.microsoft", "MatMulNBits") => {
                break (graph.place(value)?, node);
            }
            ("" | "ai.onnx", "Cast" | "Identity" | "Tanh") => node.inputs.first()?,
            ("" | "ai.onnx", "Add" | "Mul" | "Div") => {
                let mut varying = node.inputs.iter().filter(|input| !graph.is_constant(input));
                varying.next().filter(|_| varying.next().is_none())?
            }
            _ => return None,
        };
    };
    let (hidden, weights) = (projection.inputs.first()?, projection.inputs.get(1)?);
    if graph.is_constant(hidden) || !graph.is_constant(weights) {
        return None;
    }
    Some(place)
}
