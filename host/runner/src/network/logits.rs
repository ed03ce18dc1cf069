//! What a run gives.

use std::borrow::Cow;

use half::f16;
use llm_bench_core::{Error, Result};
use ort::value::DynValue;

use super::{failed, missing_output};
use crate::graph::Float;

/// The logits of the wanted tokens of each row.
pub(crate) struct Logits {
    value: DynValue,
    float: Float,
    /// For each row the columns of its wanted tokens.
    columns: Vec<Vec<usize>>,
    width: usize,
    vocabulary: usize,
}

impl Logits {
    pub(super) fn new(
        value: Option<DynValue>,
        float: Float,
        width: usize,
        columns: Vec<Vec<usize>>,
    ) -> Result<Self> {
        let value = value.ok_or_else(|| missing_output("logits"))?;
        let shape: Vec<usize> = (value.dtype().tensor_shape().into_iter().flat_map(|shape| shape.iter()))
            .map(|&size| usize::try_from(size).unwrap_or(0))
            .collect();
        match shape[..] {
            [given_rows, given_width, vocabulary]
                if given_rows == columns.len() && given_width == width && vocabulary > 0 =>
            {
                Ok(Self { value, float, columns, width, vocabulary })
            }
            _ => Err(Error::unsupported(
                "unsupported-graph",
                format!(
                    "the model's graph gives logits of shape {shape:?} for {} × {width} tokens",
                    columns.len()
                ),
            )),
        }
    }

    /// The logits after the wanted token number `index` of `row`, one for each word of the vocabulary.
    pub(crate) fn at(&self, row: usize, index: usize) -> Result<Cow<'_, [f32]>> {
        let column = self.columns.get(row).and_then(|columns| columns.get(index));
        let column =
            column.ok_or_else(|| Error::internal("model-failed", "logits that were not asked for"))?;
        let start = (row * self.width + column) * self.vocabulary;
        let range = start..start + self.vocabulary;
        Ok(match self.float {
            Float::F32 => Cow::Borrowed(&self.value.try_extract_tensor::<f32>().map_err(failed)?.1[range]),
            Float::F16 => {
                let halves = &self.value.try_extract_tensor::<f16>().map_err(failed)?.1[range];
                Cow::Owned(halves.iter().map(|half| half.to_f32()).collect())
            }
        })
    }
}
