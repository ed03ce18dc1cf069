//! Attention as exporters write it.

use super::super::constant::Constant;
use super::super::graph::{Graph, MOST_STEPS};
use super::super::node::Node;

/// Numbers and widths of heads; larger ones are a mistake.
const SIZES: std::ops::Range<u64> = 1..1 << 16;

/// Attention with a cache: `softmax(query · keysᵀ · scale + mask) · values`, heads put together.
pub(super) struct Pattern {
    /// `[rows, heads, tokens, width]`
    pub(super) query: String,
    pub(super) heads: u64,
    pub(super) key: Cached,
    pub(super) value: Cached,
    pub(super) mask: Mask,
    pub(super) scale: f32,
    /// What the softmax gives.
    pub(super) weights: String,
    /// `[rows, tokens, heads · width]`
    pub(super) output: String,
}

/// Keys or values: the cache, and what is put behind it.
pub(super) struct Cached {
    pub(super) past: String,
    /// `[rows, heads, tokens, width]`
    pub(super) new: String,
    pub(super) present: String,
    pub(super) heads: u64,
    pub(super) width: u64,
}

/// What is added to the scores. The export cuts it to the length of the keys, which it has.
pub(super) struct Mask {
    pub(super) value: String,
    /// Condition and the two values, where the cut was made before the choice between them.
    pub(super) choice: Option<(String, String, String)>,
}

/// A factor of the scores.
#[derive(PartialEq)]
enum Factor<'graph> {
    Number(f32),
    /// The square root of a value.
    Root(&'graph str),
}

pub(super) fn patterns(graph: &Graph<'_>) -> Vec<Pattern> {
    graph.nodes.iter().filter_map(|node| pattern(graph, node)).collect()
}

fn pattern(graph: &Graph<'_>, softmax: &Node<'_>) -> Option<Pattern> {
    if !softmax.is("Softmax") || !matches!(softmax.integers("axis").as_deref(), Some([-1 | 3]) | None) {
        return None;
    }
    let weights = &**softmax.outputs.first()?;
    let sum = graph.made_by(graph.uncast(softmax.inputs.first()?), "Add")?;
    let [one, other] = sum.two()?;
    let (scores, mask) =
        scores(graph, one).map(|scores| (scores, other)).or_else(|| Some((scores(graph, other)?, one)))?;
    let context = only_consumer(graph, weights)?;
    let [weighted, values] = context.two().filter(|_| context.is("MatMul"))?;
    if graph.uncast(weighted) != weights {
        return None;
    }
    let (values, repeats) = repeated(graph, values);
    let value = cached(graph, values)?;
    if repeats != scores.repeats || value.heads != scores.key.heads {
        return None;
    }
    let together =
        graph.only_consumer(context.outputs.first()?).filter(|node| node.transposes(&[0, 2, 1, 3]))?;
    let mut reshapes = graph.consumers(together.outputs.first()?).filter(|node| !node.is("Shape"));
    let reshape = reshapes.next().filter(|node| node.is("Reshape") && reshapes.next().is_none())?;
    parts::<3>(graph, reshape.inputs.get(1)?)?;
    let keys = [&*scores.keys, &*scores.key.present];
    Some(Pattern {
        heads: value.heads * repeats,
        query: scores.query,
        mask: uncut_mask(graph, mask, &keys),
        scale: scores.scale,
        weights: weights.to_owned(),
        output: reshape.outputs.first()?.clone().into_owned(),
        key: scores.key,
        value,
    })
}

struct Scores {
    query: String,
    /// As they meet the query: repeated for the heads that share them.
    keys: String,
    key: Cached,
    repeats: u64,
    scale: f32,
}

fn scores(graph: &Graph<'_>, value: &str) -> Option<Scores> {
    let (value, whole) = scaled(graph, graph.uncast(value));
    let product = graph.made_by(value, "MatMul")?;
    let [query, keys] = product.two()?;
    let (query, of_query) = scaled(graph, query);
    let (keys, of_keys) = scaled(graph, keys);
    let transposed = graph.producer(keys).filter(|node| node.transposes(&[0, 1, 3, 2]))?;
    let keys = &*transposed.inputs[0];
    let (single, repeats) = repeated(graph, keys);
    let key = cached(graph, single)?;
    let Factor::Number(whole) = whole else { return None };
    let scale = match (of_query, of_keys) {
        (Factor::Number(one), Factor::Number(other)) => one * other,
        (Factor::Root(one), Factor::Root(other))
            if one == other && is_inverse_root_of_width(graph, one, query) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
            let width = key.width as f32;
            width.sqrt().recip()
        }
        _ => return None,
    };
    Some(Scores { query: query.to_owned(), keys: keys.to_owned(), key, repeats, scale: scale * whole })
}

/// A value before it was multiplied by a single number, and that.
fn scaled<'graph>(graph: &'graph Graph<'_>, value: &'graph str) -> (&'graph str, Factor<'graph>) {
    let unscaled = (value, Factor::Number(1.0));
    let Some(node) = graph.producer(value) else { return unscaled };
    let Some([one, other]) = node.two() else { return unscaled };
    let number = |value: &str| graph.constant(value).and_then(Constant::factor);
    if node.is("Div") {
        return number(other).map_or(unscaled, |divisor| (one, Factor::Number(divisor.recip())));
    }
    if !node.is("Mul") {
        return unscaled;
    }
    if let Some(factor) = number(other) {
        return (one, Factor::Number(factor));
    }
    if let Some(factor) = number(one) {
        return (other, Factor::Number(factor));
    }
    match graph.made_by(other, "Sqrt") {
        Some(root) => (one, Factor::Root(&root.inputs[0])),
        None => unscaled,
    }
}

/// Whether a value is `1 / sqrt(d)` where d is the last size of the query.
fn is_inverse_root_of_width(graph: &Graph<'_>, value: &str, query: &str) -> bool {
    let is = || {
        let [one, root] = graph.made_by(graph.uncast(value), "Div")?.two()?;
        let root = graph.made_by(graph.uncast(root), "Sqrt")?;
        let size = graph.made_by(graph.uncast(root.inputs.first()?), "Slice")?;
        let shape = graph.made_by(size.inputs.first()?, "Shape")?;
        let last = graph.integers(size.inputs.get(1)?)? == [-1]
            && graph.integers(size.inputs.get(2)?)?[..] > [3][..];
        Some(last && graph.constant(one)?.factor() == Some(1.0) && shape.inputs.first()? == query)
    };
    is().unwrap_or(false)
}

/// A value before each of its heads was repeated for the queries that share it, and how often.
fn repeated<'graph>(graph: &'graph Graph<'_>, value: &'graph str) -> (&'graph str, u64) {
    let single = || {
        let reshape = graph.made_by(value, "Reshape")?;
        parts::<4>(graph, reshape.inputs.get(1)?)?;
        let expand = graph.made_by(reshape.inputs.first()?, "Expand")?;
        let unsqueeze = graph.made_by(expand.inputs.first()?, "Unsqueeze")?;
        let sizes = parts::<5>(graph, expand.inputs.get(1)?)?;
        let [repeats] = graph.integers(sizes[2])?[..] else { return None };
        (graph.integers(unsqueeze.inputs.get(1)?)? == [2]).then_some(())?;
        Some((
            &**unsqueeze.inputs.first()?,
            u64::try_from(repeats).ok().filter(|repeats| SIZES.contains(repeats))?,
        ))
    };
    single().unwrap_or((value, 1))
}

/// What a past of the graph's inputs and something new are put together to.
fn cached(graph: &Graph<'_>, value: &str) -> Option<Cached> {
    /// 32 bits, in `TensorProto`.
    const FLOAT: u64 = 1;
    let concat = graph.made_by(value, "Concat")?;
    let [past, new] = concat.two()?;
    if !matches!(concat.integers("axis").as_deref(), Some([-2 | 2])) {
        return None;
    }
    let kind = graph.input_type(past)?;
    match kind.sizes[..] {
        [_, heads, _, width] if kind.element == FLOAT && SIZES.contains(&heads) && SIZES.contains(&width) => {
            Some(Cached {
                past: past.to_owned(),
                new: new.to_owned(),
                present: value.to_owned(),
                heads,
                width,
            })
        }
        _ => None,
    }
}

/// A mask without being cut to the length of the keys, which would wait for them.
fn uncut_mask(graph: &Graph<'_>, mask: &str, keys: &[&str]) -> Mask {
    let mask = uncut(graph, mask, keys);
    let choice = graph.made_by(mask, "Where").and_then(|choice| {
        let [condition, one, other] = &choice.inputs[..] else { return None };
        let whole = uncut(graph, condition, keys);
        (whole != condition).then(|| (whole.to_owned(), one.clone().into_owned(), other.clone().into_owned()))
    });
    Mask { value: mask.to_owned(), choice }
}

/// A value before its last axis was cut to the length of the keys.
fn uncut<'graph>(graph: &'graph Graph<'_>, value: &'graph str, keys: &[&str]) -> &'graph str {
    let whole = || {
        let slice = graph.made_by(value, "Slice")?;
        let [data, starts, ends, axes, steps @ ..] = &slice.inputs[..] else { return None };
        let is_from_start = graph.integers(starts)? == [0] && matches!(graph.integers(axes)?[..], [-1 | 3]);
        let is_whole = steps.iter().all(|step| graph.integers(step).is_some_and(|step| step == [1]));
        let (sized, of_axis) = size_of(graph, ends)?;
        (is_from_start && is_whole && keys.contains(&sized) && matches!(of_axis, 2 | -2)).then_some(&**data)
    };
    whole().unwrap_or(value)
}

/// The value and the axis whose size a value is.
pub(super) fn size_of<'graph>(
    graph: &'graph Graph<'_>,
    mut value: &'graph str,
) -> Option<(&'graph str, i64)> {
    for _ in 0..MOST_STEPS {
        let node = graph.producer(value)?;
        let first = node.inputs.first()?;
        if node.is("Gather") {
            let shape = graph.made_by(first, "Shape")?;
            let [axis] = graph.integers(node.inputs.get(1)?)?[..] else { return None };
            return Some((shape.inputs.first()?, axis));
        }
        if !["Unsqueeze", "Cast", "Identity"].iter().any(|operator| node.is(operator)) {
            return None;
        }
        value = first;
    }
    None
}

/// The sizes that a shape is put together from.
pub(super) fn parts<'graph, const N: usize>(
    graph: &'graph Graph<'_>,
    shape: &'graph str,
) -> Option<[&'graph str; N]> {
    let mut shape = shape;
    for _ in 0..MOST_STEPS {
        let node = graph.producer(shape)?;
        shape = match node.operator {
            "Concat" if node.is("Concat") => {
                let parts: Vec<&str> = node.inputs.iter().map(|input| &**input).collect();
                return parts.try_into().ok();
            }
            // Exporters let −1 stand for sizes that stay: they write `Where(shape = −1, ones, shape)`.
            "Where" if node.is("Where") => node.inputs.get(2)?,
            "Reshape" | "Identity" => node.inputs.first()?,
            _ => return None,
        };
    }
    None
}

/// The one node that takes a value, past casts.
fn only_consumer<'graph, 'model>(graph: &'graph Graph<'model>, value: &str) -> Option<&'graph Node<'model>> {
    let mut node = graph.only_consumer(value)?;
    for _ in 0..MOST_STEPS {
        if !node.is("Identity") && !node.is("Cast") {
            return Some(node);
        }
        node = graph.only_consumer(node.outputs.first()?)?;
    }
    None
}
