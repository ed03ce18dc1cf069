use crate::Message;

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
///     [Message::system("Sums."), Message::user("1 + 1 ="), Message::assistant("2"), Message::user("2 + 2 =")]
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
    /// each, then the question.
    pub fn as_text(&self, delimiter: &str) -> String {
        let mut text = self.description.clone();
        for (question, answer) in &self.solved {
            text.extend([question, delimiter, answer, "\n\n"]);
        }
        text + &self.question
    }

    /// A chat: the description as system message, stripped, where there is one; each question and answer as turns.
    pub fn into_chat(self) -> Vec<Message> {
        let description = crate::text::strip(&self.description);
        let system = (!description.is_empty()).then(|| Message::system(description));
        let turns = self
            .solved
            .into_iter()
            .flat_map(|(question, answer)| [Message::user(question), Message::assistant(answer)]);
        system.into_iter().chain(turns).chain([Message::user(self.question)]).collect()
    }
}
