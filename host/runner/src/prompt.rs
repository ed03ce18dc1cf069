//! The text of a prompt before it becomes tokens.

use crate::white_space::is_space;

/// A stretch of a prompt's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text in which the tokenizer finds special tokens by their names.
    Text(String),
    /// The name of a special token that someone wrote into a message: it stays plain text.
    Literal(String),
}

/// A prompt's text in its stretches; nearly always one [`Piece::Text`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PromptText {
    pub(crate) pieces: Vec<Piece>,
}

impl PromptText {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(text) if text.is_empty()))
    }

    pub(crate) fn starts_with(&self, start: &str) -> bool {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text.starts_with(start),
            Some(Piece::Literal(_)) | None => start.is_empty(),
        }
    }

    /// Takes the white space off the end and returns it.
    pub(crate) fn split_trailing_space(&mut self) -> String {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => {
                let kept = text.trim_end_matches(is_space).len();
                text.split_off(kept)
            }
            Some(Piece::Literal(_)) | None => String::new(),
        }
    }

    pub(crate) fn push_str(&mut self, more: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push_str(more),
            Some(Piece::Literal(_)) | None => self.pieces.push(Piece::Text(more.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, PromptText};

    #[test]
    fn trailing_space_moves_off_the_end_as_python_sees_it() {
        let mut prompt = PromptText::new("a b \n\u{1c}\u{a0}");
        assert_eq!(prompt.split_trailing_space(), " \n\u{1c}\u{a0}");
        assert_eq!(prompt, PromptText::new("a b"));
    }

    #[test]
    fn text_after_a_literal_is_a_piece_of_its_own() {
        let mut prompt = PromptText { pieces: vec![Piece::Literal("<s>".to_owned())] };
        assert_eq!(prompt.split_trailing_space(), "");
        prompt.push_str(" x");
        prompt.push_str("y");
        assert_eq!(prompt.pieces, [Piece::Literal("<s>".to_owned()), Piece::Text(" xy".to_owned())]);
        assert!(!prompt.starts_with("<s>"));
    }
}
