//! What counts as white space, as Python decides it: the reference implementation is written in Python.

/// `str.isspace` of Python: Unicode's white space and the four separators U+001C to U+001F, which Rust leaves out.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::is_space;

    #[test]
    fn the_information_separators_are_space_and_the_zero_width_space_is_not() {
        assert!(is_space('\u{1c}') && is_space('\u{1f}') && is_space('\u{85}') && is_space('\u{3000}'));
        assert!(!is_space('\u{200b}') && !is_space('\u{1b}') && !is_space('x'));
    }
}
