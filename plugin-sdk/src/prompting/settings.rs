use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::turn::joined;
use super::{Turn, as_chat, as_text, exchange};
use crate::text::is_space;
use crate::{Error, Example, Plugin, Prompt, Result, Role, Row, Template};

/// How a row becomes a prompt: the settings that all tasks with questions share. In a config they stand beside the
/// task's own, see [`Prompted`](super::Prompted). Templates see the row without its gold column.
///
/// ```
/// use llm_bench_plugin_sdk::{Prompt, PromptSettings, Row};
/// use serde_json::{from_value, json};
///
/// let settings: PromptSettings = from_value(json!({"description": "Sums.\n\n", "prompt": "{{ q }} ="}))?;
/// let example: Row = from_value(json!({"q": "1 + 1"}))?;
/// let row: Row = from_value(json!({"q": "2 + 2"}))?;
/// let solved = [settings.solved(&example, "2")?];
/// assert_eq!(settings.ask(&row, &solved)?, Prompt::Text("Sums.\n\n1 + 1 = 2\n\n2 + 2 =".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptSettings {
    /// Instructions to the model, as they are: they stand before the description.
    pub system: String,
    /// What the task is: a template, before everything but the instructions. In a chat both are the system message.
    pub description: Template,
    /// The question: a template.
    pub prompt: Template,
    /// What stands between question and answer. In a chat nothing does.
    pub delimiter: String,
    /// The beginning of every answer: a template. The model goes on from it; in a chat its turn is left open.
    pub answer_prefix: Template,
    /// What stands behind each few-shot example.
    pub separator: String,
    /// Whether the question is asked as a chat, by the model's own chat template.
    pub chat: bool,
    /// Whether few-shot examples are turns of the chat; else they stand with the question in one turn.
    pub multi_turn: bool,
    /// Whether a prompt that is too long for the model loses its beginning; if not, its sample fails.
    pub truncate: bool,
}

/// A few-shot example, filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved {
    question: String,
    prefix: String,
    answer: String,
}

impl Default for PromptSettings {
    fn default() -> Self {
        let template = |source| Template::parse(source).expect("the defaults parse");
        Self {
            system: String::new(),
            description: template(""),
            prompt: template("{% if context %}{{ context }}\n{% endif %}Question: {{ question }}\nAnswer:"),
            delimiter: " ".into(),
            answer_prefix: template(""),
            separator: "\n\n".into(),
            chat: false,
            multi_turn: true,
            truncate: true,
        }
    }
}

impl PromptSettings {
    /// What a request says in its `extra` of these settings.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::{PromptSettings, ScoringRequest};
    ///
    /// let settings = PromptSettings { truncate: false, ..PromptSettings::default() };
    /// let request = ScoringRequest { extra: settings.extra(), ..ScoringRequest::new("1 + 1 =", " 2") };
    /// assert_eq!(request.extra, [("truncate".to_owned(), "false".to_owned())]);
    /// ```
    pub fn extra(&self) -> Vec<(String, String)> {
        if self.truncate { Vec::new() } else { vec![("truncate".into(), "false".into())] }
    }

    /// The examples of a context, each filled in by `solve`, which gets its row and its gold columns.
    ///
    /// # Errors
    /// Those of `solve`, with the number of the example.
    pub fn solve_all<P: Plugin>(
        examples: &[Example<P>],
        solve: impl Fn(&P::Input, &P::Target) -> Result<Solved>,
    ) -> Result<Vec<Solved>> {
        (1..)
            .zip(examples)
            .map(|(number, example)| {
                solve(&example.input, &example.target).map_err(|error| Error {
                    message: format!("few-shot example {number}: {}", error.message),
                    ..error
                })
            })
            .collect()
    }

    /// An example: its question by the template, and its answer.
    ///
    /// # Errors
    /// `invalid-sample` where a template does not fit the row.
    pub fn solved(&self, row: &Row, answer: impl Into<String>) -> Result<Solved> {
        Ok(Solved {
            question: self.prompt.render(row)?,
            prefix: self.answer_prefix.render(row)?,
            answer: answer.into(),
        })
    }

    /// What the model reads: instructions and description, the examples, the question of the row.
    ///
    /// # Errors
    /// `invalid-sample` where a template does not fit the row.
    pub fn ask(&self, row: &Row, examples: &[Solved]) -> Result<Prompt> {
        let system = joined(&self.system, &self.description.render(row)?, &self.separator);
        let mut turns = Vec::new();
        if !system.is_empty() {
            turns.push(Turn { role: Role::System, content: system, gap: String::new() });
        }
        for Solved { question, prefix, answer } in examples {
            turns.extend(exchange(question, prefix, Some(answer), &self.delimiter, &self.separator));
        }
        let (question, prefix) = (self.prompt.render(row)?, self.answer_prefix.render(row)?);
        turns.extend(exchange(&question, &prefix, None, &self.delimiter, ""));
        Ok(if self.chat {
            Prompt::Chat(as_chat(turns, self.multi_turn))
        } else {
            Prompt::Text(as_text(&turns))
        })
    }

    /// What stands before an answer that is scored: in a chat nothing, unless the answer's beginning is given and
    /// leaves no white space.
    pub fn answer_delimiter(&self) -> &str {
        let prefix = self.answer_prefix.source();
        let is_set_apart = prefix.chars().next_back().is_none_or(is_space);
        if self.chat && is_set_apart { "" } else { &self.delimiter }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::Message;

    fn ask(settings: serde_json::Value) -> Prompt {
        let mut settings: PromptSettings = from_value(settings).unwrap();
        settings.prompt = Template::parse("{{ q }}?").unwrap();
        let row = |q: &str| from_value::<Row>(json!({"q": q, "topic": "sums"})).unwrap();
        let solved = [settings.solved(&row("1+1"), "2").unwrap()];
        settings.ask(&row("2+2"), &solved).unwrap()
    }

    #[test]
    fn instructions_and_description_are_joined_by_a_blank_line_unless_white_space_parts_them() {
        let text = |system, description| ask(json!({"system": system, "description": description}));
        assert_eq!(text("Be brief.", "On {{ topic }}."), "Be brief.\n\nOn sums.1+1? 2\n\n2+2?".into());
        assert_eq!(text("Be brief.\n", "On sums. "), "Be brief.\nOn sums. 1+1? 2\n\n2+2?".into());
        assert_eq!(text("", ""), "1+1? 2\n\n2+2?".into());
    }

    #[test]
    fn in_a_chat_the_system_message_keeps_its_white_space() {
        let Prompt::Chat(chat) = ask(json!({"chat": true, "description": "Sums.\n\n"})) else { panic!() };
        assert_eq!(
            chat.messages,
            [
                Message::system("Sums.\n\n"),
                Message::user("1+1?"),
                Message::assistant("2"),
                Message::user("2+2?")
            ]
        );
        assert!(!chat.continue_final);
    }

    #[test]
    fn a_scored_answer_is_set_apart_in_a_chat_only_from_a_beginning_without_space() {
        let delimiter =
            |settings| from_value::<PromptSettings>(settings).unwrap().answer_delimiter().to_owned();
        assert_eq!(delimiter(json!({})), " ");
        assert_eq!(delimiter(json!({"chat": true})), "");
        assert_eq!(delimiter(json!({"chat": true, "answer_prefix": "It is"})), " ");
        assert_eq!(delimiter(json!({"chat": true, "answer_prefix": "It is "})), "");
    }
}
