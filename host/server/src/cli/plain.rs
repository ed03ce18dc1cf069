//! Text for a terminal: what plugins, models and data wrote stands in it, and must not steer it.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every character that a terminal obeys instead of showing it written as JSON escapes it, so that JSON
/// stays JSON. Line breaks and tabs stay.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A message of several lines, the further ones set in, so that none of them passes for a message of its own.
pub(super) fn message(text: &str) -> String {
    plain(text).replace('\n', "\n  ")
}

/// Control characters, and those that turn the direction of writing, with which a text can look like another.
fn steers(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}31m\r\u{7f}"), "a\\u001b[2Jb\\u009b31m\\u000d\\u007f");
        assert_eq!(plain("file\u{202e}gpj.exe"), "file\\u202egpj.exe");
    }

    #[test]
    fn text_of_any_language_stays_as_it_is() {
        for text in ["", "naïve 問い שאלה 👩‍👩‍👧", "a\tb\n"] {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn json_still_means_the_same() {
        let json = serde_json::to_string("\x1b\u{9b}\u{202e}").unwrap();
        assert_eq!(serde_json::from_str::<String>(&plain(&json)).unwrap(), "\x1b\u{9b}\u{202e}");
    }

    #[test]
    fn a_message_cannot_add_another() {
        assert_eq!(message("it failed\nerror: all is well"), "it failed\n  error: all is well");
    }
}
