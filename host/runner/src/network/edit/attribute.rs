//! Attributes of new nodes (`AttributeProto`).

use super::protobuf::{number, text};

/// A whole number.
pub(super) fn whole(name: &str, value: u64) -> Vec<u8> {
    [text(1, name), number(3, value), number(20, 2)].concat()
}

/// Whole numbers.
pub(super) fn list(name: &str, values: &[i64]) -> Vec<u8> {
    let mut attribute = text(1, name);
    attribute.extend(values.iter().flat_map(|value| number(8, value.cast_unsigned())));
    attribute.extend(number(20, 7));
    attribute
}

pub(super) fn fraction(name: &str, value: f32) -> Vec<u8> {
    let mut attribute = text(1, name);
    // The key of a number in four bytes.
    attribute.push(2 << 3 | 5);
    attribute.extend(value.to_le_bytes());
    attribute.extend(number(20, 1));
    attribute
}
