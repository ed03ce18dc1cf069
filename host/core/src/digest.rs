//! Digests: what a content is named by.

/// Whether a text is a SHA-256 in hexadecimal, in either case.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_sixty_four_hexadecimal_digits() {
        assert!(is_digest(&"0aF9".repeat(16)));
        for text in
            ["", "../../etc/passwd", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)]
        {
            assert!(!is_digest(text), "{text}");
        }
    }
}
