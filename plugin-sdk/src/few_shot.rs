use crate::prompting::{Turn, as_chat, as_text, exchange};
use crate::{Message, Role};

/// A question after solved ones, as text or as a chat.
///
/// ```
/// use llm_bench_plugin_sdk::{FewShot, Message};
///
/// let prompt = FewShot {
///     description: "Sums.\n\n".into(),
///     solved: vec![("1 + 1 =".into(), "2".into())],
///     question: "2 + 2 =".into(),
/// };
/// assert_eq!(prompt.as_text(" "), "Sums.\n\n1 + 1 = 2\n\n2 + 2 =");
/// assert_eq!(
///     prompt.into_chat(),
///     [Message::system("Sums.\n\n"), Message::user("1 + 1 ="), Message::assistant("2"), Message::user("2 + 2 =")]
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FewShot {
    /// What stands before everything; may be empty.
    pub description: String,
    /// Questions with their answers.
    pub solved: Vec<(String, String)>,
    /// The question to answer.
    pub question: String,
}

impl FewShot {
    /// One text: the description as it is, then question, delimiter and answer of each solved one, a blank line after
    /// each, then the question. An answer that is empty leaves its question alone: without delimiter and blank line.
    pub fn as_text(&self, delimiter: &str) -> String {
        as_text(&self.turns(delimiter))
    }

    /// A chat: the description as system message, where there is one; each question and answer as turns, an answer that
    /// is empty as none.
    pub fn into_chat(self) -> Vec<Message> {
        as_chat(self.turns(""), true).messages
    }

    fn turns(&self, delimiter: &str) -> Vec<Turn> {
        let description = Some(&self.description).filter(|description| !description.is_empty());
        let description = description.map(|description| Turn {
            role: Role::System,
            content: description.clone(),
            gap: String::new(),
        });
        let solved = self
            .solved
            .iter()
            .flat_map(|(question, answer)| exchange(question, "", Some(answer), delimiter, "\n\n"));
        description
            .into_iter()
            .chain(solved)
            .chain(exchange(&self.question, "", None, delimiter, ""))
            .collect()
    }
}
