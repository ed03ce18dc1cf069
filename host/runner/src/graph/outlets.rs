//! What is read of a single input or output.

use llm_bench_core::{Error, Result};
use ort::value::{Outlet, Shape, TensorElementType, ValueType};

use super::{CacheSlot, Float, Integer};

/// The type of an input of integers, whose sizes must be open: the host decides them.
pub(super) fn integer(outlet: &Outlet, dimensions: usize) -> Result<Integer> {
    let (element, shape) = tensor(outlet)?;
    let integer = match element {
        TensorElementType::Int64 => Integer::I64,
        TensorElementType::Int32 => Integer::I32,
        other => {
            return Err(unsupported(&format!("takes `{}` as {other}, not as int64 or int32", outlet.name())));
        }
    };
    if shape.len() != dimensions {
        return Err(unsupported(&format!(
            "takes `{}` in {} dimensions, not in {dimensions}",
            outlet.name(),
            shape.len()
        )));
    }
    if shape.iter().any(|&size| size > 0) {
        return Err(unsupported(&format!(
            "takes `{}` in the fixed shape {shape} only: export it with dynamic axes",
            outlet.name()
        )));
    }
    Ok(integer)
}

/// An integer that stands alone; whether as an array of one.
pub(super) fn number(outlet: &Outlet) -> Result<(Integer, bool)> {
    match tensor(outlet)? {
        (TensorElementType::Int64, shape) if shape.len() <= 1 => Ok((Integer::I64, shape.len() == 1)),
        (TensorElementType::Int32, shape) if shape.len() <= 1 => Ok((Integer::I32, shape.len() == 1)),
        (other, shape) => {
            Err(unsupported(&format!("takes `{}` as {other} {shape}, not as one integer", outlet.name())))
        }
    }
}

pub(super) fn boolean(outlet: &Outlet) -> Result<()> {
    match tensor(outlet)?.0 {
        TensorElementType::Bool => Ok(()),
        other => Err(unsupported(&format!("takes `{}` as {other}, not as bool", outlet.name()))),
    }
}

/// The type of the logits, and the size of the vocabulary where it is stated.
pub(super) fn logits(outputs: &[Outlet]) -> Result<(Float, Option<usize>)> {
    let Some(logits) = outputs.iter().find(|output| output.name() == "logits") else {
        return Err(unsupported("has no output `logits`"));
    };
    let (element, shape) = tensor(logits)?;
    let float = float(logits.name(), element)?;
    if shape.len() != 3 {
        return Err(unsupported("gives `logits` that are not [rows, length, vocabulary]"));
    }
    if shape[1] == 1 {
        return Err(unsupported(
            "gives `logits` of the last token only, which scores no text: export it with the logits of all tokens",
        ));
    }
    Ok((float, usize::try_from(shape[2]).ok().filter(|&size| size > 0)))
}

/// The cache that `input` takes up, where it is one: an output gives it back under a name that goes with it.
pub(super) fn slot(input: &Outlet, outputs: &[Outlet]) -> Result<Option<CacheSlot>> {
    let name = input.name();
    let Some(given) = outputs.iter().find(|output| is_present_of(output.name(), name)) else {
        return Ok(None);
    };
    let (element, shape) = tensor(input)?;
    let float = float(name, element)?;
    let (given_element, given_shape) = tensor(given)?;
    let present = given.name().to_owned();
    if given_element != element {
        return Err(unsupported(&format!("gives `{present}` in another type than it takes `{name}`")));
    }
    if shape.len() != 4 || given_shape.len() != 4 {
        return Err(unsupported(&format!("has a cache `{name}` that is not [rows, heads, length, width]")));
    }
    if shape[2] > 0 {
        return Err(unsupported(&format!(
            "takes its cache `{name}` in the fixed length {} only: export it with dynamic axes",
            shape[2]
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
            Ok(Some(CacheSlot { past: name.to_owned(), present, heads, width, float }))
        }
        _ => Err(unsupported(&format!("does not state the heads and the width of its cache `{name}`"))),
    }
}

/// Whether `present` continues `past`: `past_key_values.0.key` is followed by `present.0.key` or
/// `present_key_values.0.key`, `past_key_0` by `present_key_0`, `past.0.key` by `present.0.key`.
fn is_present_of(present: &str, past: &str) -> bool {
    let (Some(past), Some(present)) = (past.strip_prefix("past"), present.strip_prefix("present")) else {
        return false;
    };
    past == present || past.strip_prefix("_key_values") == Some(present)
}

fn tensor(outlet: &Outlet) -> Result<(TensorElementType, &Shape)> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((*ty, shape)),
        _ => Err(unsupported(&format!("has `{}`, which is not a tensor", outlet.name()))),
    }
}

fn float(name: &str, element: TensorElementType) -> Result<Float> {
    match element {
        TensorElementType::Float32 => Ok(Float::F32),
        TensorElementType::Float16 => Ok(Float::F16),
        TensorElementType::Bfloat16 => Err(in_bfloat16(name)),
        other => Err(unsupported(&format!("has `{name}` in {other}, not in float32 or float16"))),
    }
}

/// The refusal of a graph for its bfloat16; `name` is an input, an output or a weight, empty for one without a name.
pub(crate) fn in_bfloat16(name: &str) -> Error {
    let what = if name.is_empty() { "a constant".to_owned() } else { format!("`{name}`") };
    unsupported(&format!("has {what} in bfloat16, which is not served: export it as float32 or float16"))
}

pub(super) fn unsupported(what: &str) -> Error {
    Error::unsupported("unsupported-graph", format!("the model's graph {what}"))
}

#[cfg(test)]
mod tests {
    use super::is_present_of;

    #[test]
    fn a_cache_is_known_by_the_name_of_what_continues_it() {
        for (past, present) in [
            ("past_key_values.0.key", "present.0.key"),
            ("past_key_values.11.value", "present_key_values.11.value"),
            ("past.3.key", "present.3.key"),
            ("past_key_3", "present_key_3"),
            ("past_value_3", "present_value_3"),
        ] {
            assert!(is_present_of(present, past), "{past}");
        }
        for (past, present) in [
            ("past_key_values.0.key", "present.0.value"),
            ("past_key_values.1.key", "present.11.key"),
            ("past_key_0", "present_0"),
            ("pixel_values", "pixel_values"),
        ] {
            assert!(!is_present_of(present, past), "{past}");
        }
    }
}
