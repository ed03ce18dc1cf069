//! Rotary embeddings as exporters write them.

use super::super::graph::{Graph, MOST_STEPS};
use super::super::node::Node;
use super::pattern::size_of;

/// Heads that are turned by the places of their tokens: `x · cos + (−x₂, x₁) · sin` for the halves x₁ and x₂ of each.
pub(super) struct Rotary {
    /// The heads before.
    pub(super) turned: String,
    /// `[1 or rows, tokens, width]`, the second half as the first.
    pub(super) cosines: String,
    pub(super) sines: String,
}

pub(super) fn rotary(graph: &Graph<'_>, value: &str, width: u64) -> Option<Rotary> {
    let half = i64::try_from(width / 2).ok().filter(|_| width.is_multiple_of(2))?;
    let [straight, across] = graph.made_by(value, "Add")?.two()?;
    let [turned, cosines] = graph.made_by(straight, "Mul")?.two()?;
    let [halves, sines] = graph.made_by(across, "Mul")?.two()?;
    let swapped = graph.made_by(halves, "Concat").filter(|node| joins(node, &[-1, 3]))?;
    let [negative, first] = swapped.two()?;
    let second = graph.made_by(negative, "Neg")?.inputs.first()?;
    let start = |place: &str| graph.integers(place).is_some_and(|places| places == [0]);
    let end = |place: &str| graph.integers(place).is_some_and(|places| places[..] >= [1 << 31][..]);
    let middle = |place: &str| is_half(graph, place, turned, half);
    let is_cut = |part: &str, from: &dyn Fn(&str) -> bool, to: &dyn Fn(&str) -> bool| {
        let slice = graph.made_by(part, "Slice")?;
        let [data, starts, ends, axes, steps @ ..] = &slice.inputs[..] else { return None };
        let axes = graph.integers(axes)?;
        let is_whole = steps.iter().all(|step| graph.integers(step).is_some_and(|step| step == [1]));
        Some(data == turned && matches!(axes[..], [-1 | 3]) && is_whole && from(starts) && to(ends))
    };
    if is_cut(first, &start, &middle) != Some(true) || is_cut(second, &middle, &end) != Some(true) {
        return None;
    }
    let (cosines, of_cosines) = table(graph, cosines, "Cos")?;
    let (sines, of_sines) = table(graph, sines, "Sin")?;
    (of_cosines == of_sines).then(|| Rotary {
        turned: turned.to_owned(),
        cosines: cosines.to_owned(),
        sines: sines.to_owned(),
    })
}

/// Whether a place is the middle of the heads.
fn is_half<'graph>(graph: &'graph Graph<'_>, mut place: &'graph str, heads: &str, half: i64) -> bool {
    if graph.integers(place).is_some_and(|places| places == [half]) {
        return true;
    }
    for _ in 0..MOST_STEPS {
        let Some(node) = graph.producer(place) else { return false };
        if node.is("Div") {
            let Some([width, two]) = node.two() else { return false };
            return graph.integers(two).is_some_and(|two| two == [2])
                && size_of(graph, width).is_some_and(|(of, axis)| of == heads && matches!(axis, 3 | -1));
        }
        let Some(before) = node.inputs.first() else { return false };
        if !["Unsqueeze", "Cast", "Identity"].iter().any(|operator| node.is(operator)) {
            return false;
        }
        place = before;
    }
    false
}

/// The cosines or sines `[1 or rows, tokens, width]` that are multiplied with each head, and the angles that they are of,
/// which are the same in both halves.
fn table<'graph>(
    graph: &'graph Graph<'_>,
    value: &str,
    function: &str,
) -> Option<(&'graph str, &'graph str)> {
    let unsqueeze = graph.made_by(value, "Unsqueeze")?;
    if graph.integers(unsqueeze.inputs.get(1)?)? != [1] {
        return None;
    }
    let table = &**unsqueeze.inputs.first()?;
    let mut value = table;
    for _ in 0..MOST_STEPS {
        let node = graph.producer(value)?;
        if node.is(function) {
            let angles =
                graph.made_by(node.inputs.first()?, "Concat").filter(|node| joins(node, &[-1, 2]))?;
            let [first, second] = angles.two()?;
            return (first == second).then_some((table, first));
        }
        value = match node.two() {
            // A factor, which some ways of stretching the places have.
            Some([one, factor]) if node.is("Mul") && graph.is_constant(factor) => one,
            None if node.is("Cast") || node.is("Identity") => node.inputs.first()?,
            _ => return None,
        };
    }
    None
}

/// Whether it is along one of these axes that values are put together.
fn joins(concat: &Node<'_>, axes: &[i64]) -> bool {
    concat.integers("axis").is_some_and(|axis| axis.len() == 1 && axes.contains(&axis[0]))
}
