//! What a graph takes and gives: read from the graph, never assumed.

use llm_bench_core::{Error, Result};
use ort::session::Session;
use ort::value::{Outlet, Shape, TensorElementType, ValueType};

use crate::network::POSITIONS;

/// The integer type of an input of ids or positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    I64,
    I32,
}

/// The type of logits and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F16,
}

/// One tensor of the KV cache, `[rows, heads, past length, width]`: what comes out of a step goes into the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheSlot {
    /// The input, such as `past_key_values.0.key`.
    pub(crate) past: String,
    /// The output, such as `present.0.key`.
    pub(crate) present: String,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) float: Float,
}

/// Inputs and outputs of a decoder's graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) input_ids: Integer,
    pub(crate) attention_mask: Option<Integer>,
    pub(crate) position_ids: Option<Integer>,
    pub(crate) cache_position: Option<Integer>,
    /// A merged decoder: a boolean input chooses between the graphs with and without cache.
    pub(crate) use_cache_branch: bool,
    /// Empty for a graph without a cache.
    pub(crate) cache: Vec<CacheSlot>,
    pub(crate) logits: Float,
    /// Where the graph states it.
    pub(crate) vocabulary: Option<usize>,
}

impl Graph {
    /// # Errors
    /// `unsupported-graph` naming the input or output that this build cannot serve.
    pub(crate) fn of(session: &Session) -> Result<Self> {
        let (inputs, outputs) = (session.inputs(), session.outputs());
        let mut graph = Self {
            input_ids: Integer::I64,
            attention_mask: None,
            position_ids: None,
            cache_position: None,
            use_cache_branch: false,
            cache: Vec::new(),
            logits: Float::F32,
            vocabulary: None,
        };
        let mut has_ids = false;
        for input in inputs {
            match input.name() {
                "input_ids" => {
                    graph.input_ids = integer(input)?;
                    has_ids = true;
                }
                "attention_mask" => graph.attention_mask = Some(integer(input)?),
                "position_ids" => graph.position_ids = Some(integer(input)?),
                "cache_position" => graph.cache_position = Some(integer(input)?),
                "use_cache_branch" => graph.use_cache_branch = true,
                // Added when the graph was loaded.
                POSITIONS => {}
                name => match name.strip_prefix("past_key_values.") {
                    Some(rest) => graph.cache.push(slot(input, rest, outputs)?),
                    None => return Err(unsupported(&format!("has an input `{name}` that is not known"))),
                },
            }
        }
        if !has_ids {
            return Err(unsupported("has no input `input_ids`"));
        }
        let logits = output(outputs, "logits")?;
        let (element, shape) = tensor(logits)?;
        graph.logits = float(logits.name(), element)?;
        if shape.len() != 3 {
            return Err(unsupported("gives `logits` that are not [rows, length, vocabulary]"));
        }
        graph.vocabulary = usize::try_from(shape[2]).ok().filter(|&size| size > 0);
        Ok(graph)
    }

    /// Whether the slots of a cache may hold padding between a row's tokens: only explicit positions keep the places of
    /// those that follow. Otherwise the rows of a batch must be of one length.
    pub(crate) fn allows_gaps(&self) -> bool {
        self.position_ids.is_some() && self.attention_mask.is_some()
    }

    /// Whether several tokens at once may follow a cache.
    pub(crate) fn continues_with_many(&self) -> bool {
        !self.cache.is_empty() && self.attention_mask.is_some()
    }

    /// What one token takes in the cache.
    pub(crate) fn cache_bytes_per_token(&self) -> usize {
        let bytes = |float| match float {
            Float::F32 => 4,
            Float::F16 => 2,
        };
        self.cache.iter().map(|slot| slot.heads * slot.width * bytes(slot.float)).sum()
    }
}

fn slot(input: &Outlet, rest: &str, outputs: &[Outlet]) -> Result<CacheSlot> {
    let present = format!("present.{rest}");
    let given = output(outputs, &present)?;
    let (element, shape) = tensor(input)?;
    let float = float(input.name(), element)?;
    let (given_element, given_shape) = tensor(given)?;
    if given_element != element {
        return Err(unsupported(&format!(
            "gives `{present}` in another type than it takes `{}`",
            input.name()
        )));
    }
    if shape.len() != 4 || given_shape.len() != 4 {
        return Err(unsupported(&format!(
            "has a cache `{}` that is not [rows, heads, length, width]",
            input.name()
        )));
    }
    // An exporter may leave a dimension open on one side and state it on the other.
    let stated = |axis: usize| {
        [shape[axis], given_shape[axis]]
            .into_iter()
            .find_map(|size| usize::try_from(size).ok().filter(|&size| size > 0))
    };
    match (stated(1), stated(3)) {
        (Some(heads), Some(width)) => {
            Ok(CacheSlot { past: input.name().to_owned(), present, heads, width, float })
        }
        _ => Err(unsupported(&format!(
            "does not state the heads and the width of its cache `{}`",
            input.name()
        ))),
    }
}

fn output<'outlet>(outputs: &'outlet [Outlet], name: &str) -> Result<&'outlet Outlet> {
    outputs
        .iter()
        .find(|output| output.name() == name)
        .ok_or_else(|| unsupported(&format!("has no output `{name}`")))
}

fn tensor(outlet: &Outlet) -> Result<(TensorElementType, &Shape)> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((*ty, shape)),
        _ => Err(unsupported(&format!("has `{}`, which is not a tensor", outlet.name()))),
    }
}

fn integer(outlet: &Outlet) -> Result<Integer> {
    match tensor(outlet)?.0 {
        TensorElementType::Int64 => Ok(Integer::I64),
        TensorElementType::Int32 => Ok(Integer::I32),
        other => Err(unsupported(&format!("takes `{}` as {other}, not as int64 or int32", outlet.name()))),
    }
}

fn float(name: &str, element: TensorElementType) -> Result<Float> {
    match element {
        TensorElementType::Float32 => Ok(Float::F32),
        TensorElementType::Float16 => Ok(Float::F16),
        TensorElementType::Bfloat16 => Err(unsupported(&format!(
            "has `{name}` in bfloat16, which is not served: export it as float32 or float16"
        ))),
        other => Err(unsupported(&format!("has `{name}` in {other}, not in float32 or float16"))),
    }
}

fn unsupported(what: &str) -> Error {
    Error::unsupported("unsupported-graph", format!("the model's graph {what}"))
}
