//! What an ONNX file says of itself before the library opens it: where its weights lie, what it computes with.
//!
//! The file's protobuf is walked, without a schema and without reading the weights: onnx.proto, field numbers in
//! [`child`] and [`text_of`].

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use llm_bench_core::{Error, Result};

/// Subgraphs (`If`, `Loop`) nest; real ones a few levels deep.
const MAX_DEPTH: usize = 64;

/// The longest name that is read.
const MAX_NAME_BYTES: u64 = 4096;

/// The most names of one kind that are kept: far above real graphs, far below what would fill the memory.
const MAX_NAMES: usize = 1 << 16;

/// `TensorProto.DataType.BFLOAT16`.
const BFLOAT16: u64 = 16;

/// Sets of operators that ONNX Runtime brings along; any other comes from a library of its author.
const DOMAINS: [&str; 9] = [
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];

/// Operators of [`DOMAINS`] that run what the model brings: code compiled for a device, or Python.
const CARRIERS: [&str; 3] = ["EPContext", "PythonOp", "PythonOpGrad"];

/// What was found in a file.
#[derive(Debug, Default)]
pub(crate) struct GraphFile {
    /// Files with weights, as the tensors name them.
    pub(crate) locations: BTreeSet<String>,
    /// Domain and name of every operator that the nodes use; those that the file defines itself are left out.
    operators: BTreeSet<(String, String)>,
    /// An input, an output or a weight in bfloat16.
    pub(crate) bfloat16: Option<String>,
}

impl GraphFile {
    /// Reads the file in `path`, which the caller calls `name`.
    ///
    /// # Errors
    /// `model-file-broken` when the file is not a whole ONNX model, `custom-operator` naming one that is not part of
    /// ONNX Runtime: no library of others is ever loaded.
    pub(crate) fn read(path: &Path, name: &str) -> Result<Self> {
        let broken = |what: &str| Error::invalid("model-file-broken", format!("`{name}` {what}"));
        let file = File::open(path).map_err(|error| broken("cannot be read").because(error))?;
        let length = file.metadata().map_err(|error| broken("cannot be read").because(error))?.len();
        if length == 0 {
            return Err(broken("is empty"));
        }
        let mut walker = Walker {
            reader: BufReader::new(file),
            position: 0,
            found: Self::default(),
            functions: BTreeSet::new(),
            graphs: 0,
        };
        match walker.message(Message::Model, length, 0) {
            Ok(_) if walker.graphs > 0 => {}
            Ok(_) => return Err(broken("is not an ONNX model: it holds no graph")),
            Err(error) => {
                return Err(broken("is broken or cut short: it is not a whole ONNX model").because(error));
            }
        }
        let Walker { mut found, functions, .. } = walker;
        // The library's own operator of that name comes before a function.
        let is_carrier = |(domain, operator): &&(String, String)| {
            DOMAINS.contains(&domain.as_str()) && CARRIERS.contains(&operator.as_str())
        };
        let carriers: Vec<_> = found.operators.iter().filter(is_carrier).cloned().collect();
        found.operators.retain(|operator| !functions.contains(operator));
        found.operators.extend(carriers);
        let is_custom = |(domain, operator): &&(String, String)| {
            !DOMAINS.contains(&domain.as_str()) || CARRIERS.contains(&operator.as_str())
        };
        match found.operators.iter().find(is_custom) {
            None => Ok(found),
            Some((domain, operator)) => Err(Error::unsupported(
                "custom-operator",
                format!(
                    "`{name}` uses the operator `{}` of `{}`, which is not part of ONNX Runtime or runs what a model \
                     brings: export the model without operators of one's own",
                    operator.escape_default(),
                    domain.escape_default()
                ),
            )),
        }
    }

    /// Whether a node uses an operator of that name, such as `GroupQueryAttention`.
    pub(crate) fn uses(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.operators.iter().any(|(_, operator)| is_meant(operator))
    }
}

/// The message types on the way to what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    /// How a model was trained; graphs again.
    Training,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    /// A key and a value of a tensor's `external_data`.
    Entry,
    /// An input or an output.
    Value,
    Type,
    TensorType,
}

/// What the field of a message holds, where that leads on.
fn child(message: Message, field: u64) -> Option<Message> {
    use Message::{
        Attribute, Entry, Function, Graph, Model, Node, SparseTensor, Tensor, TensorType, Training, Type,
        Value,
    };
    Some(match (message, field) {
        (Model, 7) | (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
        (Model, 20) => Training,
        (Model, 25) => Function,
        (Graph, 1) | (Function, 7) => Node,
        (Node, 5) | (Function, 11) => Attribute,
        (Graph, 15) | (Attribute, 22 | 23) => SparseTensor,
        (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Tensor,
        (Graph, 11 | 12) => Value,
        (Value, 2) => Type,
        (Type, 1) => TensorType,
        (Tensor, 13) => Entry,
        _ => return None,
    })
}

/// The texts that are kept of a message: a name in the second place, what qualifies it in the first.
fn text_of(message: Message, field: u64) -> Option<usize> {
    use Message::{Entry, Function, Node, Tensor, Value};
    match (message, field) {
        // Key, domain.
        (Entry, 1) | (Node, 7) | (Function, 10) => Some(0),
        // Value, operator, name.
        (Entry, 2) | (Node, 4) | (Function | Value, 1) | (Tensor, 8) => Some(1),
        _ => None,
    }
}

/// Whether the field states the type of a tensor's elements.
fn is_element(message: Message, field: u64) -> bool {
    matches!((message, field), (Message::Tensor, 2) | (Message::TensorType, 1))
}

struct Walker {
    reader: BufReader<File>,
    position: u64,
    found: GraphFile,
    /// Operators that the file defines by others.
    functions: BTreeSet<(String, String)>,
    graphs: usize,
}

impl Walker {
    /// Walks a message up to `end` and gives the type of its elements, where it or its type states one.
    fn message(&mut self, message: Message, end: u64, depth: usize) -> std::io::Result<u64> {
        if depth > MAX_DEPTH {
            return Err(malformed("messages nest too deeply"));
        }
        let (mut texts, mut element) = ([String::new(), String::new()], 0);
        while self.position < end {
            let tag = self.varint()?;
            let field = tag >> 3;
            match tag & 7 {
                0 => {
                    let value = self.varint()?;
                    if is_element(message, field) {
                        element = value;
                    }
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint()?;
                    let inner_end = self.position.checked_add(length).filter(|&inner_end| inner_end <= end);
                    let inner_end = inner_end.ok_or_else(|| malformed("a field reaches past its message"))?;
                    if let Some(child) = child(message, field) {
                        self.graphs += usize::from(message == Message::Model && child == Message::Graph);
                        let inner = self.message(child, inner_end, depth + 1)?;
                        if matches!(child, Message::Type | Message::TensorType) {
                            element = inner;
                        }
                    } else if let Some(place) = text_of(message, field) {
                        if length > MAX_NAME_BYTES {
                            return Err(malformed("a name that is too long"));
                        }
                        texts[place] = self.text(length)?;
                    } else {
                        self.skip(length, end)?;
                    }
                }
                _ => return Err(malformed("an unknown wire type")),
            }
        }
        if self.position != end {
            return Err(malformed("a field reaches past its message"));
        }
        self.keep(message, texts, element)?;
        Ok(element)
    }

    fn keep(&mut self, message: Message, texts: [String; 2], element: u64) -> std::io::Result<()> {
        let [qualifier, name] = texts;
        match message {
            Message::Entry if qualifier == "location" => {
                self.found.locations.insert(name);
            }
            Message::Node => {
                self.found.operators.insert((qualifier, name));
            }
            Message::Function => {
                self.functions.insert((qualifier, name));
            }
            Message::Tensor | Message::Value if element == BFLOAT16 => {
                self.found.bfloat16.get_or_insert(name);
            }
            _ => {}
        }
        let GraphFile { locations, operators, .. } = &self.found;
        match locations.len().max(operators.len()).max(self.functions.len()) {
            0..=MAX_NAMES => Ok(()),
            _ => Err(malformed("more names than any graph has")),
        }
    }

    fn varint(&mut self) -> std::io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("a number of more than ten bytes"))
    }

    fn text(&mut self, length: u64) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes)?;
        self.position += length;
        String::from_utf8(bytes).map_err(|_| malformed("a name that is not UTF-8"))
    }

    fn skip(&mut self, length: u64, end: u64) -> std::io::Result<()> {
        let target = self.position.checked_add(length).filter(|&target| target <= end);
        let target = target.ok_or_else(|| malformed("a field reaches past its message"))?;
        self.reader.seek_relative(i64::try_from(length).map_err(|_| malformed("a field is too long"))?)?;
        self.position = target;
        Ok(())
    }
}

fn malformed(what: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests;
