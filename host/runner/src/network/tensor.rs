//! Native tensors made of plain vectors.

use half::f16;

use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::cache::Stretch;
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

pub(crate) fn booleans(shape: Vec<usize>, values: Vec<bool>) -> ort::Result<DynValue> {
    Ok(Tensor::from_array((shape, values))?.into_dyn())
}

/// A tensor without elements.
pub(crate) fn empty(float: Float, shape: [usize; 4]) -> ort::Result<DynValue> {
    Ok(match float {
        Float::F32 => Tensor::from_array((shape, Vec::<f32>::new()))?.into_dyn(),
        Float::F16 => Tensor::from_array((shape, Vec::<f16>::new()))?.into_dyn(),
    })
}

/// A tensor of `[rows, heads, length, width]` made of stretches of others, 0 elsewhere.
pub(crate) fn assemble<'cache>(
    float: Float,
    shape: [usize; 4],
    stretches: impl Iterator<Item = (&'cache DynValue, &'cache Stretch<'cache>)>,
) -> ort::Result<DynValue> {
    match float {
        Float::F32 => assemble_as::<f32>(shape, stretches),
        Float::F16 => assemble_as::<f16>(shape, stretches),
    }
}

fn assemble_as<'cache, T>(
    shape: [usize; 4],
    stretches: impl Iterator<Item = (&'cache DynValue, &'cache Stretch<'cache>)>,
) -> ort::Result<DynValue>
where
    T: PrimitiveTensorElementType + Copy + Default + std::fmt::Debug + 'static,
{
    let [_, heads, length, width] = shape;
    let mut values = vec![T::default(); shape.iter().product()];
    for (source, stretch) in stretches {
        let (_, source) = source.try_extract_tensor::<T>()?;
        for head in 0..heads {
            let from = ((stretch.row * heads + head) * stretch.cache.length + stretch.start) * width;
            let to = ((stretch.to_row * heads + head) * length + stretch.to) * width;
            let count = stretch.length * width;
            match (source.get(from..from + count), values.get_mut(to..to + count)) {
                (Some(source), Some(target)) => target.copy_from_slice(source),
                _ => return Err(ort::Error::new("the graph gave a smaller cache than it was asked for")),
            }
        }
    }
    Ok(Tensor::from_array((shape, values))?.into_dyn())
}
