use crate::{GenerationRequest, Message, Model, Prompt, Result, Role, Sampling};

/// Several turns with a model, which sees all that was said before.
///
/// ```
/// use llm_bench_plugin_sdk::testing::{self, ScriptedModel};
/// use llm_bench_plugin_sdk::{Dialogue, Generation, GenerationRequest, Model, Prompt, Result, Sampling};
///
/// struct Parrot;
/// impl ScriptedModel for Parrot {
///     fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
///         let Prompt::Chat(chat) = &request.prompt else { panic!("a chat is asked for") };
///         let said = &chat.messages[chat.messages.len() - 1].content;
///         Ok(testing::generation(&format!("{said} ({} messages)", chat.messages.len())))
///     }
/// }
///
/// let _subject = testing::bind("subject", Parrot);
/// let model = Model::open("subject")?;
/// let mut dialogue = Dialogue::chat(&model, Sampling::greedy(32)).system("Be brief.");
/// assert_eq!(dialogue.ask("Hello?")?, "Hello? (2 messages)");
/// assert_eq!(dialogue.ask("Again?")?, "Again? (4 messages)");
/// assert_eq!(dialogue.messages().len(), 5);
/// # Ok::<(), llm_bench_plugin_sdk::Error>(())
/// ```
pub struct Dialogue<'m> {
    model: &'m Model,
    sampling: Sampling,
    is_chat: bool,
    messages: Vec<Message>,
}

/// Who speaks, where there is no chat template.
const NAMES: [(Role, &str); 4] =
    [(Role::System, "System"), (Role::User, "User"), (Role::Assistant, "Assistant"), (Role::Tool, "Tool")];

impl<'m> Dialogue<'m> {
    /// By the model's chat template. A model without one refuses it with `unsupported`.
    pub fn chat(model: &'m Model, sampling: Sampling) -> Self {
        Self { model, sampling, is_chat: true, messages: Vec::new() }
    }

    /// As plain text, a paragraph a turn, each begun with who speaks (`User: …`): for models without a chat template. An
    /// answer ends where the next paragraph would begin.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::testing::{self, ScriptedModel};
    /// use llm_bench_plugin_sdk::{Dialogue, Generation, GenerationRequest, Model, Prompt, Result, Sampling};
    ///
    /// struct Agrees;
    /// impl ScriptedModel for Agrees {
    ///     fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
    ///         assert!(matches!(&request.prompt, Prompt::Text(text) if text.ends_with("\nAssistant:")));
    ///         Ok(testing::generation(" Yes."))
    ///     }
    /// }
    ///
    /// let _subject = testing::bind("subject", Agrees);
    /// let model = Model::open("subject")?;
    /// let mut dialogue = Dialogue::plain(&model, Sampling::greedy(8));
    /// dialogue.ask("Is water wet?")?;
    /// dialogue.ask("Are you sure?")?;
    /// assert_eq!(
    ///     dialogue.transcript(),
    ///     "User: Is water wet?\nAssistant: Yes.\nUser: Are you sure?\nAssistant: Yes."
    /// );
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    pub fn plain(model: &'m Model, sampling: Sampling) -> Self {
        let mut sampling = sampling;
        sampling.stop.extend(NAMES.iter().map(|(_, name)| format!("\n{name}:")));
        Self { model, sampling, is_chat: false, messages: Vec::new() }
    }

    /// With instructions before everything that was said so far.
    #[must_use]
    pub fn system(mut self, instructions: impl Into<String>) -> Self {
        self.messages.insert(0, Message::system(instructions));
        self
    }

    /// Says something, and gives what the model answers, without white space around it. Both belong to the dialogue from
    /// then on.
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`; then the dialogue is as it was before.
    pub fn ask(&mut self, text: impl Into<String>) -> Result<String> {
        let mut messages = self.messages.clone();
        messages.push(Message::user(text));
        let prompt: Prompt =
            if self.is_chat { messages.clone().into() } else { plain_text(&messages).into() };
        let request = GenerationRequest { prompt, sampling: self.sampling.clone() };
        let answers = self.model.generate([request])?;
        let answer =
            answers.into_iter().next().map_or_else(String::new, |answer| answer.text.trim().to_owned());
        messages.push(Message::assistant(answer.clone()));
        self.messages = messages;
        Ok(answer)
    }

    /// All that was said, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All that was said as text, to be shown to a judge.
    pub fn transcript(&self) -> String {
        paragraphs(&self.messages)
    }
}

fn paragraphs(messages: &[Message]) -> String {
    let paragraph = |message: &Message| {
        let name = NAMES.iter().find(|(role, _)| *role == message.role).map_or("", |(_, name)| name);
        format!("{name}: {}", message.content)
    };
    messages.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

fn plain_text(messages: &[Message]) -> String {
    paragraphs(messages) + "\nAssistant:"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ScriptedModel};
    use crate::{Error, Generation};

    /// Answers how its prompt ends, and fails when it is told to.
    struct Model;

    impl ScriptedModel for Model {
        fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
            let Prompt::Text(text) = &request.prompt else { panic!("plain text is asked for") };
            if text.contains("fail") {
                return Err(Error::model("told to"));
            }
            assert!(request.sampling.stop.contains(&"\nUser:".to_owned()));
            Ok(testing::generation(&format!(" {} lines\n", text.lines().count())))
        }
    }

    #[test]
    fn without_a_chat_template_turns_are_paragraphs() {
        let _subject = testing::bind("subject", Model);
        let model = crate::Model::open("subject").unwrap();
        let mut dialogue = Dialogue::plain(&model, Sampling::greedy(8)).system("Count.");
        assert_eq!(dialogue.ask("one?").unwrap(), "3 lines");
        assert_eq!(dialogue.ask("two?").unwrap(), "5 lines");
        let transcript = "System: Count.\nUser: one?\nAssistant: 3 lines\nUser: two?\nAssistant: 5 lines";
        assert_eq!(dialogue.transcript(), transcript);
    }

    #[test]
    fn what_was_not_answered_was_not_said() {
        let _subject = testing::bind("subject", Model);
        let model = crate::Model::open("subject").unwrap();
        let mut dialogue = Dialogue::plain(&model, Sampling::greedy(8));
        assert!(dialogue.ask("fail").is_err());
        assert!(dialogue.messages().is_empty());
    }
}
