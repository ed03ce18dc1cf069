//! A graph as a list of nodes that can be looked through, changed, and written again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::constant::Constant;
use super::node::Node;
use super::protobuf::{Field, fields, key, message, numbers, text_field, varint};

/// Nodes that are followed back from one place. Real graphs have a few there; a hostile one may have a circle.
pub(super) const MOST_STEPS: usize = 8;

/// A graph of a model (`GraphProto`).
pub(super) struct Graph<'model> {
    pub(super) nodes: Vec<Node<'model>>,
    /// Everything but the nodes, as it stands.
    rest: Vec<Part<'model>>,
    initializers: HashMap<&'model str, &'model [u8]>,
    /// By name what is said of the type (`ValueInfoProto`).
    inputs: HashMap<&'model str, &'model [u8]>,
    outputs: HashSet<&'model str>,
    /// Index of the node that gives a value.
    producers: HashMap<String, usize>,
    /// Indices of the nodes that take a value, one for each time; subgraphs may take it without being counted.
    consumers: HashMap<String, Vec<usize>>,
}

/// A field of the graph that is no node.
enum Part<'model> {
    Initializer { name: &'model str, whole: &'model [u8] },
    Other(Cow<'model, [u8]>),
}

/// The type of an input: its numbers and its sizes, 0 for those that vary.
pub(super) struct InputType {
    /// Of `TensorProto`.
    pub(super) element: u64,
    pub(super) sizes: Vec<u64>,
}

/// A constant `[rows, columns]` in single precision, row by row.
pub(super) struct Matrix<'model> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) numbers: &'model [u8],
}

impl<'model> Graph<'model> {
    pub(super) fn read(bytes: &'model [u8]) -> Option<Self> {
        let mut graph = Self {
            nodes: Vec::new(),
            rest: Vec::new(),
            initializers: HashMap::new(),
            inputs: HashMap::new(),
            outputs: HashSet::new(),
            producers: HashMap::new(),
            consumers: HashMap::new(),
        };
        for field in fields(bytes) {
            let Field { number, whole, content, .. } = field?;
            let whole = &bytes[whole];
            let content = content.map(|content| &bytes[content]);
            match (number, content) {
                (1, Some(content)) => {
                    graph.nodes.push(Node::read(content)?);
                    continue;
                }
                (5, Some(content)) => {
                    if let Some(name) = text_field(content, 8) {
                        graph.initializers.insert(name, content);
                        graph.rest.push(Part::Initializer { name, whole });
                        continue;
                    }
                }
                (11, Some(content)) => {
                    graph.inputs.insert(text_field(content, 1)?, content);
                }
                (12, Some(content)) => {
                    graph.outputs.insert(text_field(content, 1)?);
                }
                _ => {}
            }
            graph.rest.push(Part::Other(whole.into()));
        }
        graph.index();
        Some(graph)
    }

    /// Notes anew who gives and takes which value.
    pub(super) fn index(&mut self) {
        self.producers.clear();
        self.consumers.clear();
        for (index, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                self.producers.insert(output.clone().into_owned(), index);
            }
            for input in &node.inputs {
                self.consumers.entry(input.clone().into_owned()).or_default().push(index);
            }
        }
    }

    /// Appends the graph to a model as its field `number`. Weights are most of it: they are copied once.
    pub(super) fn write(&self, number: u64, model: &mut Vec<u8>) {
        let nodes: Vec<u8> = self.nodes.iter().flat_map(|node| message(1, &node.write())).collect();
        let parts = self.rest.iter().map(|part| match part {
            Part::Initializer { whole, .. } => *whole,
            Part::Other(whole) => whole,
        });
        let length = nodes.len() + parts.clone().map(<[u8]>::len).sum::<usize>();
        model.reserve(length + 32);
        model.extend(key(number));
        model.extend(varint(length as u64));
        model.extend(nodes);
        parts.for_each(|part| model.extend_from_slice(part));
    }

    /// Adds an input (`ValueInfoProto`).
    pub(super) fn add_input(&mut self, input: &[u8]) {
        self.rest.push(Part::Other(message(11, input).into()));
    }

    /// Adds a constant (`TensorProto`).
    pub(super) fn add_initializer(&mut self, tensor: &[u8]) {
        self.rest.push(Part::Other(message(5, tensor).into()));
    }

    /// Takes out the nodes that no output depends on. Only of a graph without subgraphs.
    pub(super) fn remove_unused_nodes(&mut self) {
        let mut wanted: Vec<usize> =
            self.outputs.iter().filter_map(|output| self.producers.get(*output).copied()).collect();
        let mut is_used = vec![false; self.nodes.len()];
        while let Some(index) = wanted.pop() {
            if !std::mem::replace(&mut is_used[index], true) {
                let inputs = self.nodes[index].inputs.iter();
                wanted.extend(inputs.filter_map(|input| self.producers.get(&**input).copied()));
            }
        }
        let mut is_used = is_used.into_iter();
        self.nodes.retain(|_| is_used.next().unwrap_or(false));
        self.index();
    }

    /// Takes out the initializers that no node reads, as [`Self::remove_unused_nodes`].
    pub(super) fn remove_unused_initializers(&mut self) {
        let (consumers, outputs) = (&self.consumers, &self.outputs);
        self.rest.retain(|part| match part {
            Part::Initializer { name, .. } => consumers.contains_key(*name) || outputs.contains(name),
            Part::Other(_) => true,
        });
    }

    pub(super) fn has_input(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.inputs.contains_key(name))
    }

    pub(super) fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    pub(super) fn has_subgraphs(&self) -> bool {
        self.nodes.iter().any(Node::has_subgraph)
    }

    /// The type of an input of the graph; none where the model doesn't say it.
    pub(super) fn input_type(&self, name: &str) -> Option<InputType> {
        fn inner(message: &[u8], number: u64) -> Option<&[u8]> {
            let content = fields(message).flatten().find(|field| field.number == number)?.content?;
            Some(&message[content])
        }
        let tensor = inner(inner(self.inputs.get(name)?, 2)?, 1)?;
        let element = numbers(tensor, 1)?.first().copied()?;
        let shape = inner(tensor, 2)?;
        let mut sizes = Vec::new();
        for field in fields(shape) {
            let Field { number: 1, content: Some(content), .. } = field? else { continue };
            sizes.push(numbers(&shape[content], 1)?.first().copied().unwrap_or(0));
        }
        Some(InputType { element, sizes })
    }

    pub(super) fn producer(&self, value: &str) -> Option<&Node<'model>> {
        self.producers.get(value).map(|&index| &self.nodes[index])
    }

    /// The node that gives a value, if it is such an operation of the standard.
    pub(super) fn made_by(&self, value: &str, operator: &str) -> Option<&Node<'model>> {
        self.producer(value).filter(|node| node.is(operator))
    }

    /// Where among the nodes the one is that gives a value.
    pub(super) fn place(&self, value: &str) -> Option<usize> {
        self.producers.get(value).copied()
    }

    pub(super) fn consumers(&self, value: &str) -> impl Iterator<Item = &Node<'model>> {
        self.consumers.get(value).into_iter().flatten().map(|&index| &self.nodes[index])
    }

    /// The one node that takes a value, which nothing else does.
    pub(super) fn only_consumer(&self, value: &str) -> Option<&Node<'model>> {
        let mut consumers = self.consumers(value);
        consumers.next().filter(|_| consumers.next().is_none() && !self.is_output(value))
    }

    pub(super) fn is_used_once(&self, value: &str) -> bool {
        self.consumers(value).count() + usize::from(self.is_output(value)) == 1
    }

    /// A value before casts to single precision, which change nothing where all numbers have it.
    pub(super) fn uncast<'graph>(&'graph self, mut value: &'graph str) -> &'graph str {
        for _ in 0..MOST_STEPS {
            match self.producer(value) {
                Some(node)
                    if node.is("Identity")
                        || node.is("Cast") && node.integers("to").as_deref() == Some(&[1]) =>
                {
                    let Some(before) = node.inputs.first() else { break };
                    value = before;
                }
                _ => break,
            }
        }
        value
    }

    /// What a value is in every run, where that is a tensor of few numbers.
    pub(super) fn constant(&self, value: &str) -> Option<Constant> {
        if let Some(tensor) = self.initializers.get(value) {
            return Constant::of_tensor(tensor);
        }
        self.made_by(value, "Constant").and_then(Constant::of_node)
    }

    pub(super) fn integers(&self, value: &str) -> Option<Vec<i64>> {
        self.constant(value)?.integers()
    }

    /// A constant matrix that stands in the graph's own bytes.
    pub(super) fn matrix(&self, value: &str) -> Option<Matrix<'model>> {
        /// Single precision, in `TensorProto`.
        const FLOAT: u64 = 1;
        let tensor: &'model [u8] = self.initializers.get(value)?;
        let sizes: Vec<usize> =
            numbers(tensor, 1)?.into_iter().map(usize::try_from).collect::<Result<_, _>>().ok()?;
        let [rows, columns] = sizes[..] else { return None };
        let raw = fields(tensor).flatten().find(|field| field.number == 9)?.content?;
        let bytes = rows.checked_mul(columns)?.checked_mul(size_of::<f32>())?;
        (numbers(tensor, 2)? == [FLOAT] && raw.len() == bytes && bytes > 0).then(|| Matrix {
            rows,
            columns,
            numbers: &tensor[raw],
        })
    }

    /// How many axes a constant has.
    pub(super) fn constant_rank(&self, value: &str) -> Option<usize> {
        let sizes = |tensor: &[u8]| numbers(tensor, 1).map(|sizes| sizes.len());
        if let Some(tensor) = self.initializers.get(value) {
            return sizes(tensor);
        }
        let attribute = self.made_by(value, "Constant")?.attribute("value")?;
        let tensor = fields(attribute).flatten().find(|field| field.number == 5)?.content?;
        sizes(&attribute[tensor])
    }

    /// Whether a value is the same in every run.
    pub(super) fn is_constant(&self, value: &str) -> bool {
        self.is_constant_within(value, MOST_STEPS)
    }

    /// As [`Self::is_constant`], looking at most `steps` nodes back.
    fn is_constant_within(&self, value: &str, steps: usize) -> bool {
        const PASSES_ON: [&str; 4] = ["Transpose", "Cast", "Identity", "DequantizeLinear"];
        /// Those of `DequantizeLinear`. A hostile node may have any number, and each is followed.
        const MOST_INPUTS: usize = 3;
        if self.initializers.contains_key(value) {
            return true;
        }
        self.producer(value).is_some_and(|node| {
            node.operator == "Constant"
                || steps > 0
                    && node.inputs.len() <= MOST_INPUTS
                    && PASSES_ON.contains(&node.operator)
                    && node.inputs.iter().all(|input| self.is_constant_within(input, steps - 1))
        })
    }
}
