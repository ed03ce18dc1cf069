//! Attention as one operation.
//!
//! What exporters write for scaled dot-product attention with a cache, from the new queries, keys and values to the
//! context of all heads, becomes one `Attention` (of the standard since [`OPERATORS`]), and rotary embeddings one
//! `RotaryEmbedding`. Half precision and activations that are quantised on the way are left as they are: they would be rounded
//! elsewhere.

mod pattern;
mod ranks;
mod rotary;

use std::collections::{HashMap, HashSet};

use super::attribute::{fraction, list, whole};
use super::constant::Constant;
use super::graph::Graph;
use super::node::Node;
use super::protobuf::{message, number, text};

use pattern::{Pattern, patterns};
use ranks::Ranks;
use rotary::{Rotary, rotary};

/// The input that is added where all layers hide the same tokens: which slots each new token may see besides, as far as the
/// graph lets it, `[rows, 1, tokens, slots]`, each of them 1 where it makes no difference; boolean.
pub(crate) const VISIBLE: &str = "llm_bench_visible";

/// In `TensorProto`.
const BOOL: u64 = 9;

/// What is added to the score of a token that is not seen is less.
const HIDDEN: f32 = -1e9;

/// The version of the standard operators that has the operation.
pub(super) const OPERATORS: u64 = 23;

/// Since this version of the operators [`UNCHANGED`] mean what they mean in version [`OPERATORS`].
const LEAST_OPERATORS: u64 = 18;

/// Operators of the standard that a graph may have when its version is raised: later versions only take more types.
const UNCHANGED: [&str; 53] = [
    "Add",
    "And",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Cos",
    "DequantizeLinear",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "IsNaN",
    "LayerNormalization",
    "Less",
    "LessOrEqual",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceMean",
    "Relu",
    "Reshape",
    "ScatterND",
    "Shape",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
];
/// As [`UNCHANGED`], where an input says the sizes of the parts.
const SPLIT: &str = "Split";

/// Fuses what can be; tells whether there was any. Where a part cannot be replaced as a whole the graph stays as it is.
pub(super) fn fuse(graph: &mut Graph<'_>, operators: u64) -> Option<Fused> {
    let may_be_raised = |node: &Node<'_>| {
        !matches!(node.domain, "" | "ai.onnx")
            || UNCHANGED.contains(&node.operator)
            || node.operator == SPLIT && node.inputs.len() == 2
    };
    if operators < LEAST_OPERATORS
        || operators < OPERATORS && !graph.nodes.iter().all(may_be_raised)
        || graph.nodes.iter().any(|node| node.is("DynamicQuantizeLinear"))
        || graph.has_subgraphs()
        || !graph.has_input(&["input_ids"])
    {
        return None;
    }
    let patterns = patterns(graph);
    let ranks = Ranks::of(graph);
    let visible = one_condition(graph, &patterns);
    let hides = visible.is_some();
    let mut fusion =
        Fusion { graph, ranks, visible, nodes: Vec::new(), there: HashSet::new(), tables: HashMap::new() };
    for (index, pattern) in patterns.iter().enumerate() {
        fusion.add(index, pattern);
    }
    let nodes = fusion.nodes;
    if nodes.is_empty() {
        return None;
    }
    let replaced: HashSet<&str> = (patterns.iter())
        .flat_map(|pattern| [&*pattern.output, &pattern.key.present, &pattern.value.present])
        .collect();
    let before = graph.nodes.clone();
    graph.nodes.retain(|node| !node.outputs.iter().any(|output| replaced.contains(&**output)));
    graph.nodes.extend(nodes);
    graph.index();
    graph.remove_unused_nodes();
    // What still needs a part of the old way would compute both.
    if patterns.iter().any(|pattern| graph.producer(&pattern.weights).is_some()) {
        graph.nodes = before;
        graph.index();
        return None;
    }
    if hides {
        let sizes: Vec<u8> = (["batch_size", "llm_bench_heads", "llm_bench_tokens", "llm_bench_slots"]
            .iter())
        .flat_map(|size| message(1, &text(2, &format!("{size}_of_visible"))))
        .collect();
        let tensor = [number(1, BOOL), message(2, &sizes)].concat();
        graph.add_input(&[text(1, VISIBLE), message(2, &message(1, &tensor))].concat());
    }
    Some(Fused { hides })
}

/// What became of attention.
pub(super) struct Fused {
    /// Whether the graph has the input [`VISIBLE`].
    pub(super) hides: bool,
}

/// By which all layers choose whether a token sees another, where that is one choice and true means that it does.
fn one_condition(graph: &Graph<'_>, patterns: &[Pattern]) -> Option<String> {
    let mut conditions = patterns.iter().map(|pattern| {
        let (condition, seen, unseen) = pattern.mask.choice.as_ref()?;
        let number = |value: &String| graph.constant(value).and_then(Constant::factor);
        (number(seen)? == 0.0 && number(unseen)? < HIDDEN).then_some(condition)
    });
    let first = conditions.next()??;
    conditions.all(|condition| condition == Some(first)).then(|| first.clone())
}

/// The new nodes.
struct Fusion<'graph, 'model> {
    graph: &'graph Graph<'model>,
    ranks: Ranks,
    /// The condition to see a token, where there is one for all layers.
    visible: Option<String>,
    nodes: Vec<Node<'model>>,
    /// The constants and sizes among them, which are there once.
    there: HashSet<String>,
    /// By the cosines or sines of an export, those of the first half of each head, for every row.
    tables: HashMap<String, String>,
}

impl Fusion<'_, '_> {
    fn add(&mut self, index: usize, pattern: &Pattern) {
        let name = |what: &str| format!("llm_bench_{what}_{index}");
        let width = pattern.key.width;
        let query = self.heads_last(&name("query"), &pattern.query, pattern.heads, width);
        let key = self.heads_last(&name("key"), &pattern.key.new, pattern.key.heads, width);
        let value =
            self.heads_last(&name("value"), &pattern.value.new, pattern.value.heads, pattern.value.width);
        let mask = match &pattern.mask.choice {
            Some((_, one, other)) if self.visible.is_some() => self.mask(one, other),
            Some((condition, one, other)) => {
                let mask = name("mask");
                self.nodes.push(Node::new("Where", &[condition, one, other], &[&mask], &[]));
                mask
            }
            None => pattern.mask.value.clone(),
        };
        let attributes = [
            whole("q_num_heads", pattern.heads),
            whole("kv_num_heads", pattern.key.heads),
            fraction("scale", pattern.scale),
        ];
        self.nodes.push(Node::new(
            "Attention",
            &[&query, &key, &value, &mask, &pattern.key.past, &pattern.value.past],
            &[&pattern.output, &pattern.key.present, &pattern.value.present],
            &attributes,
        ));
    }

    /// The mask of all layers: as in the graph, and as [`VISIBLE`] says.
    fn mask(&mut self, seen: &str, unseen: &str) -> String {
        const MASK: &str = "llm_bench_mask";
        if let Some(condition) = &self.visible
            && self.there.insert(MASK.to_owned())
        {
            let both = "llm_bench_seen";
            self.nodes.push(Node::new("And", &[condition, VISIBLE], &[both], &[]));
            self.nodes.push(Node::new("Where", &[both, seen, unseen], &[MASK], &[]));
        }
        MASK.to_owned()
    }

    /// From `[rows, heads, tokens, width]` to `[rows, tokens, heads · width]`, which a projection gave it in.
    fn heads_last(&mut self, name: &str, value: &str, heads: u64, width: u64) -> String {
        if let Some(Rotary { turned, cosines, sines }) = rotary(self.graph, value, width) {
            let before = self.heads_last(&format!("{name}_unturned"), &turned, heads, width);
            let (cosines, sines) = (self.table(&cosines, width), self.table(&sines, width));
            let attributes = [whole("num_heads", heads), whole("interleaved", 0)];
            self.nodes.push(Node::new("RotaryEmbedding", &[&before, &cosines, &sines], &[name], &attributes));
            return name.to_owned();
        }
        let separate = match self.graph.producer(value) {
            Some(node) if node.transposes(&[0, 2, 1, 3]) => {
                let separate = &*node.inputs[0];
                // Before its heads were told apart it has the shape already, but that is not always sure.
                let whole =
                    self.graph.made_by(separate, "Reshape").filter(|reshape| keeps_rows(self.graph, reshape));
                let before = whole.map_or(separate, |reshape| &*reshape.inputs[0]).to_owned();
                if self.ranks.rank(self.graph, &before) == Some(3) {
                    return before;
                }
                before
            }
            _ => {
                let separate = format!("{name}_separate");
                let order = list("perm", &[0, 2, 1, 3]);
                self.nodes.push(Node::new("Transpose", &[value], &[&separate], &[order]));
                separate
            }
        };
        // The library takes a size that is left open for none.
        let together = heads * width;
        let shape = self.integers(&format!("llm_bench_together_{together}"), &[0, 0, together.cast_signed()]);
        self.nodes.push(Node::new("Reshape", &[&separate, &shape], &[name], &[]));
        name.to_owned()
    }

    /// The first half of `[1 or rows, tokens, width]` for every row.
    fn table(&mut self, values: &str, width: u64) -> String {
        if let Some(table) = self.tables.get(values) {
            return table.clone();
        }
        let name = format!("llm_bench_table_{}", self.tables.len());
        self.tables.insert(values.to_owned(), name.clone());
        let ids = "llm_bench_shape_of_ids";
        let sizes = "llm_bench_rows_and_ones";
        let (zero, one) = (self.integers("llm_bench_zero", &[0]), self.integers("llm_bench_one", &[1]));
        let last = self.integers("llm_bench_last", &[-1]);
        if self.there.insert(sizes.to_owned()) {
            self.nodes.push(Node::new("Shape", &["input_ids"], &[ids], &[]));
            self.nodes.push(Node::new("Slice", &[ids, &zero, &one], &["llm_bench_rows"], &[]));
            let sizes_of = ["llm_bench_rows", &one, &one];
            self.nodes.push(Node::new("Concat", &sizes_of, &[sizes], &[whole("axis", 0)]));
        }
        let end = self.integers(&format!("llm_bench_half_of_{width}"), &[(width / 2).cast_signed()]);
        let half = format!("{name}_half");
        self.nodes.push(Node::new("Slice", &[values, &zero, &end, &last], &[&half], &[]));
        self.nodes.push(Node::new("Expand", &[&half, sizes], &[&name], &[]));
        name
    }

    /// A constant.
    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        if self.there.insert(name.to_owned()) {
            self.nodes.push(Node::new("Constant", &[], &[name], &[list("value_ints", values)]));
        }
        name.to_owned()
    }
}

/// Whether a reshape to `[rows, tokens, heads, width]` takes the first two sizes from what it reshapes, so that this has
/// them too.
fn keeps_rows(graph: &Graph<'_>, reshape: &Node<'_>) -> bool {
    let Some([rows, tokens, _, _]) = reshape.inputs.get(1).and_then(|shape| pattern::parts(graph, shape))
    else {
        return false;
    };
    // Products with weights and biases keep all sizes but the last.
    let mut same = vec![&*reshape.inputs[0]];
    for _ in 0..2 {
        let Some(node) = same.last().and_then(|value| graph.producer(value)) else { break };
        let mut varying = node.inputs.iter().filter(|input| !graph.is_constant(input));
        let (Some(only), None) = (varying.next(), varying.next()) else { break };
        if node.is("Add") || node.is("MatMul") && node.inputs.first() == Some(only) {
            same.push(only);
        } else {
            break;
        }
    }
    [(rows, 0), (tokens, 1)].iter().all(|(size, axis)| {
        pattern::size_of(graph, size).is_some_and(|(value, of)| of == *axis && same.contains(&value))
    })
}
