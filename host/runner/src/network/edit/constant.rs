//! Small constants of a graph.

use super::node::Node;
use super::protobuf::{Field, fields, numbers};

/// Numbers that are read at most: sizes, places and scales are few.
const MOST_NUMBERS: usize = 16;

/// A tensor of a few numbers.
pub(super) enum Constant {
    Integers(Vec<i64>),
    Floats(Vec<f32>),
}

impl Constant {
    /// Of a `TensorProto`: int64 or float32.
    pub(super) fn of_tensor(tensor: &[u8]) -> Option<Self> {
        let sizes = numbers(tensor, 1)?;
        let count = sizes.iter().try_fold(1_u64, |count, &size| count.checked_mul(size))?;
        let count = usize::try_from(count).ok().filter(|&count| count <= MOST_NUMBERS)?;
        // Data in another file is not read.
        if fields(tensor).flatten().any(|field| field.number == 14 && field.value != Some(0)) {
            return None;
        }
        let raw = fields(tensor).flatten().find(|field| field.number == 9).and_then(|field| field.content);
        let raw = raw.map(|range| &tensor[range]);
        match numbers(tensor, 2)?.first()? {
            7 => {
                let values = match raw {
                    Some(raw) => {
                        let (values, rest) = raw.as_chunks::<8>();
                        rest.is_empty()
                            .then(|| values.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect())?
                    }
                    None => numbers(tensor, 7)?.into_iter().map(u64::cast_signed).collect::<Vec<_>>(),
                };
                (values.len() == count).then_some(Self::Integers(values))
            }
            1 => {
                let values = raw.map_or_else(|| floats(tensor, 4), little_endian)?;
                (values.len() == count).then_some(Self::Floats(values))
            }
            _ => None,
        }
    }

    /// Of a node that gives a constant.
    pub(super) fn of_node(node: &Node<'_>) -> Option<Self> {
        if let Some(attribute) = node.attribute("value") {
            let tensor = fields(attribute).flatten().find(|field| field.number == 5)?.content?;
            return Self::of_tensor(&attribute[tensor]);
        }
        let integers = node.integers("value_ints").or_else(|| node.integers("value_int"));
        if let Some(integers) = integers {
            return (integers.len() <= MOST_NUMBERS).then_some(Self::Integers(integers));
        }
        floats(node.attribute("value_float")?, 2).map(Self::Floats)
    }

    pub(super) fn integers(self) -> Option<Vec<i64>> {
        match self {
            Self::Integers(values) => Some(values),
            Self::Floats(_) => None,
        }
    }

    /// The number, where it is one and no whole one.
    pub(super) fn factor(self) -> Option<f32> {
        match self {
            Self::Floats(values) => match values[..] {
                [value] => Some(value),
                _ => None,
            },
            Self::Integers(_) => None,
        }
    }
}

/// The floats of a field, packed or one by one.
fn floats(message: &[u8], number: u64) -> Option<Vec<f32>> {
    let mut values = Vec::new();
    for field in fields(message) {
        let Field { number: found, whole, content, .. } = field?;
        if found == number {
            // Without a length the value is all that follows the key, which is one byte for these.
            let bytes = content.map_or_else(|| &message[whole.start + 1..whole.end], |range| &message[range]);
            values.extend(little_endian(bytes)?);
        }
    }
    Some(values)
}

fn little_endian(bytes: &[u8]) -> Option<Vec<f32>> {
    let (values, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::Constant;
    use crate::network::edit::protobuf::{key, message, number};

    #[test]
    fn numbers_are_read_however_they_are_written() {
        let raw: Vec<u8> = [3_i64, -1].iter().flat_map(|value| value.to_le_bytes()).collect();
        let minus_one = [vec![0xff; 9], vec![1]].concat();
        for tensor in [
            [number(1, 2), number(2, 7), message(9, &raw)].concat(),
            [message(1, &[2]), number(2, 7), message(7, &[&[3][..], &minus_one].concat())].concat(),
            [number(1, 2), number(2, 7), number(7, 3), number(7, u64::MAX)].concat(),
        ] {
            assert_eq!(Constant::of_tensor(&tensor).unwrap().integers().unwrap(), [3, -1]);
        }
        let float = [number(2, 1), message(9, &0.5_f32.to_le_bytes())].concat();
        assert_eq!(Constant::of_tensor(&float).unwrap().factor(), Some(0.5));
        let packed = [number(2, 1), key(4), vec![4], 0.25_f32.to_le_bytes().to_vec()].concat();
        assert_eq!(Constant::of_tensor(&packed).unwrap().factor(), Some(0.25));
    }

    #[test]
    fn what_is_not_what_it_says_is_no_constant() {
        let eight = 8_i64.to_le_bytes();
        for tensor in [
            [number(1, 2), number(2, 7), message(9, &eight)].concat(),
            [number(2, 7), message(9, &eight[..7])].concat(),
            [number(1, u64::MAX), number(1, 2), number(2, 7), message(9, &eight)].concat(),
            [number(2, 7), message(9, &eight), number(14, 1)].concat(),
            [number(2, 6), message(9, &eight)].concat(),
        ] {
            assert!(Constant::of_tensor(&tensor).is_none());
        }
    }
}
