//! Rewrites of a graph before it is loaded: they save work and change no result.
//!
//! - **Logits only where they are wanted.** Exported graphs project every token to the vocabulary. A gather of the wanted
//!   positions is put before that projection, with a new input [`POSITIONS`].
//! - **No guard against rows without any token.** Exporters replace NaN by 0 after each softmax, for queries that may see
//!   nothing. Rows are padded at the right here, so that every query sees its row's first token.
//!
//! The file is a protobuf (onnx.proto); only the fields named in [`Node`] are understood, all others are copied.

mod protobuf;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use protobuf::{fields, key, message, number, text, text_field, varint};

/// The input that is added: for each row the positions of the wanted logits, `[rows, wanted, 1]`, int64.
pub(crate) const POSITIONS: &str = "llm_bench_logit_positions";

/// What the projection to the vocabulary then reads.
const SELECTED: &str = "llm_bench_selected_hidden_states";

/// `GatherND` has batch dimensions since this version of the operators.
const LEAST_OPERATORS: u64 = 12;

/// Inputs by which a graph leaves out logits by itself.
const KEEPS: [&str; 2] = ["logits_to_keep", "num_logits_to_keep"];

/// Nodes that are followed back from one place. Real graphs have a few there; a hostile one may have a circle.
const MOST_STEPS: usize = 8;

/// A graph that was rewritten.
pub(crate) struct Edited {
    pub(crate) bytes: Vec<u8>,
    /// Whether it has the input [`POSITIONS`].
    pub(crate) selects_logits: bool,
}

/// Rewrites the bytes of a model; none where nothing applies.
pub(crate) fn edit(model: &[u8]) -> Option<Edited> {
    let mut graph_range = None;
    let mut operators = 0;
    for field in fields(model) {
        let field = field?;
        match (field.number, &field.content) {
            // A second graph would be merged with the first: not what exporters write.
            (7, Some(_)) if graph_range.is_some() => return None,
            (7, Some(content)) => graph_range = Some((field.whole, content.clone())),
            (8, Some(content)) => {
                operators = operators.max(default_operators(&model[content.clone()]).unwrap_or(0));
            }
            _ => {}
        }
    }
    let (whole, content) = graph_range?;
    let bytes = &model[content];
    let graph = Graph::read(bytes)?;
    let mut splices = graph.without_guards();
    let selection = if operators >= LEAST_OPERATORS && !graph.keeps_some { graph.selection() } else { None };
    let selects_logits = selection.is_some();
    splices.extend(selection.into_iter().flatten());
    if splices.is_empty() {
        return None;
    }
    let graph = splice(bytes, splices);
    let mut edited = Vec::with_capacity(model.len() + 4096);
    edited.extend_from_slice(&model[..whole.start]);
    edited.extend(key(7));
    edited.extend(varint(graph.len() as u64));
    edited.extend_from_slice(&graph);
    edited.extend_from_slice(&model[whole.end..]);
    Some(Edited { bytes: edited, selects_logits })
}

/// Bytes of a graph that are replaced.
type Splice = (Range<usize>, Vec<u8>);

fn splice(bytes: &[u8], mut splices: Vec<Splice>) -> Vec<u8> {
    splices.sort_by_key(|(range, _)| range.start);
    let mut result = Vec::with_capacity(bytes.len() + 4096);
    let mut copied = 0;
    for (range, replacement) in splices {
        result.extend_from_slice(&bytes[copied..range.start]);
        result.extend(replacement);
        copied = range.end;
    }
    result.extend_from_slice(&bytes[copied..]);
    result
}

struct Node<'model> {
    /// Where it stands in the graph's bytes, with its key.
    whole: Range<usize>,
    content: &'model [u8],
    inputs: Vec<&'model str>,
    outputs: Vec<&'model str>,
    operator: &'model str,
    domain: &'model str,
}

struct Graph<'model> {
    nodes: Vec<Node<'model>>,
    initializers: HashSet<&'model str>,
    /// Index of the node that gives a value.
    producers: HashMap<&'model str, usize>,
    /// How often a value is used; subgraphs may use it without being counted.
    uses: HashMap<&'model str, usize>,
    /// Whether the graph itself can leave out logits.
    keeps_some: bool,
    end: usize,
}

impl<'model> Graph<'model> {
    fn read(bytes: &'model [u8]) -> Option<Self> {
        let mut graph = Self {
            nodes: Vec::new(),
            initializers: HashSet::new(),
            producers: HashMap::new(),
            uses: HashMap::new(),
            keeps_some: false,
            end: bytes.len(),
        };
        for field in fields(bytes) {
            let field = field?;
            let Some(content) = field.content else { continue };
            let content = &bytes[content];
            match field.number {
                1 => graph.nodes.push(Node::read(field.whole, content)?),
                5 => {
                    graph.initializers.extend(text_field(content, 8));
                }
                11 => graph.keeps_some |= text_field(content, 1).is_some_and(|name| KEEPS.contains(&name)),
                // The graph's outputs are uses too.
                12 => *graph.uses.entry(text_field(content, 1)?).or_default() += 1,
                _ => {}
            }
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            for output in &node.outputs {
                graph.producers.insert(output, index);
            }
            for input in &node.inputs {
                *graph.uses.entry(input).or_default() += 1;
            }
        }
        Some(graph)
    }

    fn producer(&self, value: &str) -> Option<&Node<'model>> {
        self.producers.get(value).map(|&index| &self.nodes[index])
    }

    fn is_used_once(&self, value: &str) -> bool {
        self.uses.get(value) == Some(&1)
    }

    /// Whether a value is the same in every run.
    fn is_constant(&self, value: &str) -> bool {
        self.is_constant_within(value, MOST_STEPS)
    }

    /// As [`Self::is_constant`], looking at most `steps` nodes back.
    fn is_constant_within(&self, value: &str, steps: usize) -> bool {
        const PASSES_ON: [&str; 4] = ["Transpose", "Cast", "Identity", "DequantizeLinear"];
        /// Those of `DequantizeLinear`. A hostile node may have any number, and each is followed.
        const MOST_INPUTS: usize = 3;
        if self.initializers.contains(value) {
            return true;
        }
        self.producer(value).is_some_and(|node| {
            let mut inputs = node.inputs.iter();
            node.operator == "Constant"
                || steps > 0
                    && node.inputs.len() <= MOST_INPUTS
                    && PASSES_ON.contains(&node.operator)
                    && inputs.all(|input| self.is_constant_within(input, steps - 1))
        })
    }

    /// Puts a gather before the node that projects hidden states to the vocabulary.
    ///
    /// From `logits` back, through what treats each position alone, to a product with constant weights. A product of
    /// integers is none: its scales depend on all positions.
    fn selection(&self) -> Option<Vec<Splice>> {
        let mut value = "logits";
        let mut steps = 0..MOST_STEPS;
        let projection = loop {
            steps.next()?;
            let node = self.producer(value)?;
            if !self.is_used_once(value) {
                return None;
            }
            value = match (node.domain, node.operator) {
                ("" | "ai.onnx", "MatMul") | ("com.microsoft", "MatMulNBits") => break node,
                ("" | "ai.onnx", "Cast" | "Identity" | "Tanh") => node.inputs.first()?,
                ("" | "ai.onnx", "Add" | "Mul" | "Div") => {
                    let mut varying = node.inputs.iter().filter(|input| !self.is_constant(input));
                    varying.next().filter(|_| varying.next().is_none())?
                }
                _ => return None,
            };
        };
        let (hidden, weights) = (projection.inputs.first()?, projection.inputs.get(1)?);
        if self.is_constant(hidden) || !self.is_constant(weights) {
            return None;
        }
        let batch_dimensions = [text(1, "batch_dims"), number(3, 1), number(20, 2)].concat();
        let gather = [
            text(1, hidden),
            text(1, POSITIONS),
            text(2, SELECTED),
            text(3, SELECTED),
            text(4, "GatherND"),
            message(5, &batch_dimensions),
        ]
        .concat();
        let projected = projection.with_first_input(SELECTED)?;
        let dimensions: Vec<u8> = [
            message(1, &text(2, "batch_size")),
            message(1, &text(2, "llm_bench_wanted")),
            message(1, &number(1, 1)),
        ]
        .concat();
        let tensor = [number(1, 7), message(2, &dimensions)].concat();
        let input = [text(1, POSITIONS), message(2, &message(1, &tensor))].concat();
        Some(vec![
            (projection.whole.clone(), [message(1, &gather), message(1, &projected)].concat()),
            (self.end..self.end, message(11, &input)),
        ])
    }

    /// Turns `Where(IsNaN(x), constant, x)` into `x`.
    fn without_guards(&self) -> Vec<Splice> {
        let mut splices = Vec::new();
        for guard in self.nodes.iter().filter(|node| node.operator == "Where") {
            let ([condition, replacement, guarded], [output]) = (&guard.inputs[..], &guard.outputs[..])
            else {
                continue;
            };
            let Some(test) = self.producer(condition) else { continue };
            let is_guard = test.operator == "IsNaN"
                && test.inputs == [*guarded]
                && test.outputs.len() == 1
                && self.is_used_once(condition)
                && self.is_constant(replacement)
                && self.producer(guarded).is_some_and(|node| node.operator == "Softmax");
            if is_guard {
                let identity = [text(1, guarded), text(2, output), text(4, "Identity")].concat();
                splices.push((test.whole.clone(), Vec::new()));
                splices.push((guard.whole.clone(), message(1, &identity)));
            }
        }
        splices
    }
}

impl<'model> Node<'model> {
    fn read(whole: Range<usize>, content: &'model [u8]) -> Option<Self> {
        let mut node =
            Self { whole, content, inputs: Vec::new(), outputs: Vec::new(), operator: "", domain: "" };
        for field in fields(content) {
            let field = field?;
            let Some(range) = field.content else { continue };
            match field.number {
                1 => node.inputs.push(std::str::from_utf8(&content[range]).ok()?),
                2 => node.outputs.push(std::str::from_utf8(&content[range]).ok()?),
                4 => node.operator = std::str::from_utf8(&content[range]).ok()?,
                7 => node.domain = std::str::from_utf8(&content[range]).ok()?,
                _ => {}
            }
        }
        Some(node)
    }

    fn with_first_input(&self, name: &str) -> Option<Vec<u8>> {
        let first = fields(self.content).flatten().find(|field| field.number == 1)?;
        Some(splice(self.content, vec![(first.whole, text(1, name))]))
    }
}

/// The version of the standard operators, where a model's import names them.
fn default_operators(import: &[u8]) -> Option<u64> {
    let mut version = None;
    for field in fields(import) {
        let field = field?;
        match (field.number, field.content) {
            (1, Some(domain)) if !domain.is_empty() && &import[domain.clone()] != b"ai.onnx" => return None,
            (2, None) => version = field.value,
            _ => {}
        }
    }
    version
}

#[cfg(test)]
mod tests {
    use super::{POSITIONS, edit, fields, message, number, text};

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/{name}/model.onnx", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    }

    #[test]
    fn exported_graphs_get_an_input_for_the_wanted_positions() {
        for name in ["gpt2", "gpt2-without-cache", "llama", "llama-float16", "qwen2"] {
            let model = fixture(name);
            let edited = edit(&model).unwrap_or_else(|| panic!("{name} is not edited"));
            assert!(edited.selects_logits, "{name}");
            let holds =
                |bytes: &[u8]| bytes.windows(POSITIONS.len()).any(|part| part == POSITIONS.as_bytes());
            assert!(!holds(&model) && holds(&edited.bytes), "{name}");
            assert!(fields(&edited.bytes).all(|field| field.is_some()), "{name}");
        }
    }

    #[test]
    fn a_graph_that_runs_in_circles_is_left_alone() {
        let node = |operator: &str, inputs: &[&str], output: &str| {
            let inputs = inputs.iter().flat_map(|input| text(1, input)).collect::<Vec<_>>();
            message(1, &[inputs, text(2, output), text(4, operator)].concat())
        };
        let output = message(12, &text(1, "logits"));
        for nodes in [
            [node("Cast", &["x"], "logits"), node("Cast", &["logits"], "x")].concat(),
            [
                node("MatMul", &["h", "a"], "logits"),
                node("Cast", &["b"], "a"),
                node("Transpose", &["a"], "b"),
                node("Relu", &["h"], "h"),
            ]
            .concat(),
        ] {
            let operators = message(8, &number(2, 17));
            let model = [message(7, &[nodes, output.clone()].concat()), operators].concat();
            assert!(edit(&model).is_none());
        }
    }

    #[test]
    fn a_graph_with_hostile_nodes_is_left_alone_at_once() {
        let node = |operator: &str, inputs: &[String], outputs: &[&str]| {
            let inputs: Vec<u8> = inputs.iter().flat_map(|input| text(1, input)).collect();
            let outputs: Vec<u8> = outputs.iter().flat_map(|output| text(2, output)).collect();
            message(1, &[inputs, outputs, text(4, operator)].concat())
        };
        let model = |nodes: &[u8]| {
            let graph = [nodes, &message(12, &text(1, "logits"))].concat();
            [message(7, &graph), message(8, &number(2, 17))].concat()
        };
        // A tree of a hundred branches at each of its forks.
        let forks = (0..8)
            .flat_map(|depth| node("Cast", &vec![format!("w{}", depth + 1); 100], &[&format!("w{depth}")]));
        let product = node("MatMul", &["h".into(), "w0".into()], &["logits"]);
        assert!(edit(&model(&[product, forks.collect()].concat())).is_none());
        // One test for two guards, which would be cut out twice.
        let guard = |condition: &str, output: &str| {
            node("Where", &[condition.into(), "w".into(), "x".into()], &[output])
        };
        let nodes = [
            node("Softmax", &["h".into()], &["x"]),
            node("IsNaN", &["x".into()], &["one", "other"]),
            node("Constant", &[], &["w"]),
            guard("one", "logits"),
            guard("other", "y"),
        ];
        assert!(edit(&model(&nodes.concat())).is_none());
    }

    #[test]
    fn what_is_no_model_is_left_alone() {
        let model = fixture("llama");
        for length in [0, 1, 100, model.len() / 2] {
            assert!(edit(&model[..length]).is_none(), "{length}");
        }
        assert!(edit(b"version https://git-lfs.github.com/spec/v1\n").is_none());
    }
}
