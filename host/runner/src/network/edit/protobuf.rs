//! Protobuf messages as bytes: reading their fields, and writing some.

use std::ops::Range;

pub(super) fn text_field(message: &[u8], number: u64) -> Option<&str> {
    let field = fields(message).flatten().find(|field| field.number == number)?;
    std::str::from_utf8(&message[field.content?]).ok()
}

/// A field of a protobuf message.
pub(super) struct Field {
    pub(super) number: u64,
    /// With its key.
    pub(super) whole: Range<usize>,
    /// Of a text, a message or packed numbers.
    pub(super) content: Option<Range<usize>>,
    /// Of a number.
    pub(super) value: Option<u64>,
}

/// The fields of a message; the last item is `None` where the bytes are no message.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<Field>> {
    let mut position = 0;
    let mut is_broken = false;
    std::iter::from_fn(move || {
        if is_broken || position >= bytes.len() {
            return None;
        }
        let field = field(bytes, position);
        match &field {
            Some(field) => position = field.whole.end,
            None => is_broken = true,
        }
        Some(field)
    })
}

fn field(bytes: &[u8], start: usize) -> Option<Field> {
    let (key, mut end) = read_varint(bytes, start)?;
    let (mut content, mut value) = (None, None);
    match key & 7 {
        0 => {
            let (number, after) = read_varint(bytes, end)?;
            value = Some(number);
            end = after;
        }
        1 => end += 8,
        5 => end += 4,
        2 => {
            let (length, after) = read_varint(bytes, end)?;
            end = after.checked_add(usize::try_from(length).ok()?)?;
            content = Some(after..end);
        }
        _ => return None,
    }
    (end <= bytes.len()).then_some(Field { number: key >> 3, whole: start..end, content, value })
}

fn read_varint(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.get(start..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, start + place + 1));
        }
    }
    None
}

/// The whole numbers of a field, packed or one by one; none where the bytes are no message.
pub(super) fn numbers(message: &[u8], number: u64) -> Option<Vec<u64>> {
    let mut values = Vec::new();
    for field in fields(message) {
        let Field { number: found, content, value, .. } = field?;
        if found != number {
            continue;
        }
        values.extend(value);
        let Some(packed) = content else { continue };
        let mut position = packed.start;
        while position < packed.end {
            let (value, after) = read_varint(&message[..packed.end], position)?;
            values.push(value);
            position = after;
        }
    }
    Some(values)
}

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The key of a text or message.
pub(super) fn key(number: u64) -> Vec<u8> {
    varint(number << 3 | 2)
}

pub(super) fn message(number: u64, content: &[u8]) -> Vec<u8> {
    [&key(number)[..], &varint(content.len() as u64), content].concat()
}

pub(super) fn text(number: u64, content: &str) -> Vec<u8> {
    message(number, content.as_bytes())
}

pub(super) fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}
