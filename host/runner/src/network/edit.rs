//! Rewrites of a graph before it is loaded: they save work and change no result.
//!
//! - **Logits only where they are wanted** ([`logits`]). Exported graphs project every token to the vocabulary. A gather of
//!   the wanted positions is put before that projection, with a new input [`POSITIONS`].
//! - **No guard against rows without any token** ([`guards`]). Exporters replace NaN by 0 after each softmax, for queries
//!   that may see nothing. Rows are padded at the right here, so that every query sees its row's first token.
//! - **Attention as one operation** ([`attention`]). Exporters write it as some fifty: the cache is copied again for each
//!   query head that shares a key head, and each of many small steps has its price. Where all layers hide the same tokens, a new input [`VISIBLE`]
//!   hides more.
//! - **A norm with the sum before it** ([`norms`]) and **products of one value** ([`products`]), where attention was replaced:
//!   there all is in single precision on the CPU.
//!
//! The file is a protobuf (onnx.proto); only the fields named in [`graph`] and [`node`] are understood, all others are copied.

mod attention;
mod attribute;
mod constant;
mod graph;
mod guards;
mod logits;
mod node;
mod norms;
mod products;
mod protobuf;

pub(crate) use attention::VISIBLE;
use graph::Graph;
pub(crate) use logits::POSITIONS;
use node::LIBRARY;
use protobuf::{Field, fields, message, number, text, text_field};

/// Which of the rewrites are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewrites {
    /// Those that only leave something out.
    Fewer,
    /// All of them.
    All,
}

/// A graph that was rewritten.
pub(crate) struct Edited {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rewritten: Rewritten,
}

/// What became of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rewritten {
    /// Whether it has the input [`POSITIONS`].
    pub(crate) selects_logits: bool,
    /// Whether attention became one operation.
    pub(crate) is_fused: bool,
    /// Whether it has the input [`VISIBLE`].
    pub(crate) hides: bool,
}

/// Rewrites the bytes of a model; none where nothing applies.
pub(crate) fn edit(model: &[u8], rewrites: Rewrites) -> Option<Edited> {
    let mut content = None;
    // The version of the standard operators.
    let mut operators = 0;
    let mut has_library = false;
    let mut rest = Vec::new();
    for field in fields(model) {
        let Field { number, whole, content: range, .. } = field?;
        match (number, range) {
            // A second graph would be merged with the first: not what exporters write.
            (7, Some(_)) if content.is_some() => return None,
            (7, Some(range)) => content = Some(&model[range]),
            (8, Some(range)) if let Some(version) = standard_version(&model[range.clone()]) => {
                operators = operators.max(version);
            }
            (_, range) => {
                has_library |=
                    number == 8 && range.is_some_and(|import| text_field(&model[import], 1) == Some(LIBRARY));
                rest.push(&model[whole]);
            }
        }
    }
    let mut graph = Graph::read(content.filter(|_| operators > 0)?)?;
    let has_guards = guards::remove(&mut graph);
    let fused = if rewrites == Rewrites::All { attention::fuse(&mut graph, operators) } else { None };
    let is_fused = fused.is_some();
    let has_norms = is_fused && norms::fuse(&mut graph);
    if is_fused {
        products::join(&mut graph);
    }
    let selects_logits = logits::select(&mut graph, operators);
    if !has_guards && !is_fused && !selects_logits {
        return None;
    }
    if is_fused {
        operators = operators.max(attention::OPERATORS);
        graph.remove_unused_initializers();
    }
    let mut bytes: Vec<u8> = rest.concat();
    bytes.extend(message(8, &number(2, operators)));
    if has_norms && !has_library {
        bytes.extend(message(8, &[text(1, LIBRARY), number(2, 1)].concat()));
    }
    graph.write(7, &mut bytes);
    let hides = fused.is_some_and(|fused| fused.hides);
    Some(Edited { bytes, rewritten: Rewritten { selects_logits, is_fused, hides } })
}

/// The version of the standard operators, where a model's import names them.
fn standard_version(import: &[u8]) -> Option<u64> {
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
mod tests;
