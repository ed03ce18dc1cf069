//! Native tensors made of plain vectors.

use half::f16;

use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use crate::graph::{Float, Integer};

pub(crate) fn integers(integer: Integer, shape: Vec<usize>, values: Vec<i64>) -> ort::Result<DynValue> {
    Ok(match integer {
        Integer::I64 => Tensor::from_array((shape, values))?.into_dyn(),
        Integer::I32 => {
            let values: Vec<i32> =
                values.into_iter().map(|value| i32::try_from(value).unwrap_or(i32::MAX)).collect();
            Tensor::from_array((shape, values))?.into_dyn()
        }
    })
}

pub(crate) fn boolean(value: bool) -> ort::Result<DynValue> {
    Ok(Tensor::from_array((vec![1_usize], vec![value]))?.into_dyn())
}

/// A tensor without elements.
pub(crate) fn empty(float: Float, shape: [usize; 4]) -> ort::Result<DynValue> {
    Ok(match float {
        Float::F32 => Tensor::from_array((shape, Vec::<f32>::new()))?.into_dyn(),
        Float::F16 => Tensor::from_array((shape, Vec::<f16>::new()))?.into_dyn(),
    })
}

/// A copy of the given rows (the first dimension) of a tensor.
pub(crate) fn select_rows(value: &DynValue, float: Float, rows: &[usize]) -> ort::Result<DynValue> {
    match float {
        Float::F32 => select::<f32>(value, rows),
        Float::F16 => select::<f16>(value, rows),
    }
}

fn select<T>(value: &DynValue, rows: &[usize]) -> ort::Result<DynValue>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    let (shape, values) = value.try_extract_tensor::<T>()?;
    let mut shape: Vec<i64> = shape.iter().copied().collect();
    let given_rows = shape.first().map_or(0, |&rows| usize::try_from(rows).unwrap_or(0));
    let width = values.len().checked_div(given_rows).unwrap_or(0);
    let mut kept = Vec::with_capacity(width * rows.len());
    for row in rows {
        let Some(row) = values.get(row * width..(row + 1) * width) else {
            return Err(ort::Error::new("the graph gave a cache of fewer rows than it was asked for"));
        };
        kept.extend_from_slice(row);
    }
    if let Some(first) = shape.first_mut() {
        *first = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    }
    Ok(Tensor::from_array((shape, kept))?.into_dyn())
}
