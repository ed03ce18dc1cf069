//! Chat templates: turns to the text that the model was trained on, as transformers renders them.

mod functions;

use std::sync::Arc;

use llm_bench_core::model::{Chat, Message, Role};
use llm_bench_core::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};

use crate::prompt::{Piece, PromptText};
use crate::white_space::is_space;

/// What rendering one chat may cost: about 64 bytes of text or one instruction each.
const FUEL: u64 = 50_000_000;

const TEMPLATE: &str = "chat_template";

/// A model's chat template, compiled.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// Names of special tokens (`bos_token`, …) and their texts.
    tokens: Vec<(String, String)>,
    /// The texts of all special tokens, the longest first.
    special_texts: Vec<String>,
}

impl ChatTemplate {
    /// # Errors
    /// `model-file-broken` for a template that does not parse.
    pub(crate) fn new(source: &str, tokens: &[(String, String)], special_texts: Vec<String>) -> Result<Self> {
        let broken = |error: minijinja::Error| {
            Error::invalid(
                "model-file-broken",
                format!("the chat template does not parse: {}", describe(&error)),
            )
        };
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(broken)?;
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        functions::add(&mut environment);
        environment
            .add_template_owned(TEMPLATE, functions::without_generation_marks(source))
            .map_err(broken)?;
        Ok(Self { environment, tokens: tokens.to_vec(), special_texts })
    }

    /// Renders a chat, ready for the model's answer or, with `continue_final`, in the middle of the last turn.
    ///
    /// The name of a special token in a message stays plain text ([`Piece::Literal`]), so that a message cannot end
    /// its own turn. Like the reference, a template that fails is tried once more without the system messages.
    pub(crate) fn render(&self, chat: &Chat) -> Result<PromptText> {
        if chat.messages.is_empty() {
            return Err(Error::invalid("invalid-request", "`messages` of the chat is empty"));
        }
        let marks = Marks::new(&chat.messages)?;
        let mut literals = Vec::new();
        let mut messages: Vec<(Role, String)> = (chat.messages.iter())
            .map(|message| (message.role, marks.hide(&message.content, &self.special_texts, &mut literals)))
            .collect();
        if let Some((_, content)) = messages.last_mut().filter(|_| chat.continue_final) {
            content.push(marks.end);
            content.push(' ');
        }
        let rendered = self.text(&messages, chat).or_else(|error| {
            messages.retain(|(role, _)| *role != Role::System);
            if messages.len() == chat.messages.len() || messages.is_empty() {
                return Err(error);
            }
            tracing::warn!("the chat template refused the system message, which is left out: {error}");
            self.text(&messages, chat)
        })?;
        let rendered = if chat.continue_final { marks.cut(&rendered)? } else { &rendered };
        marks.split(rendered, &literals)
    }

    fn text(&self, messages: &[(Role, String)], chat: &Chat) -> Result<String> {
        let messages: Value = (messages.iter())
            .map(|(role, content)| context! { role => role_name(*role), content => content })
            .collect();
        let tokens: Value = self.tokens.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let variables = context! {
            messages,
            add_generation_prompt => !chat.continue_final,
            tools => (),
            documents => (),
            ..tokens
        };
        let template = self.environment.get_template(TEMPLATE);
        template.and_then(|template| template.render(variables)).map_err(|error| {
            Error::invalid(
                "chat-template-failed",
                format!("the model's chat template failed: {}", describe(&error)),
            )
        })
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn describe(error: &minijinja::Error) -> String {
    match (error.detail(), error.line()) {
        (Some(detail), Some(line)) => format!("{detail} (line {line})"),
        (Some(detail), None) => detail.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// Two characters that no message holds; they carry marks through the template.
struct Marks {
    /// Stands on both sides of a number, the index of a hidden literal.
    literal: char,
    /// Stands at the end of the message that the model continues.
    end: char,
}

impl Marks {
    fn new(messages: &[Message]) -> Result<Self> {
        let is_free = |mark: &char| messages.iter().all(|message| !message.content.contains(*mark));
        let mut free = ('\u{10ff00}'..='\u{10fffd}').filter(is_free);
        match (free.next(), free.next()) {
            (Some(literal), Some(end)) => Ok(Self { literal, end }),
            _ => Err(Error::invalid(
                "invalid-request",
                "the messages use every character of the last private plane",
            )),
        }
    }

    /// Replaces the names of special tokens by marks.
    fn hide(&self, content: &str, special_texts: &[String], literals: &mut Vec<Arc<str>>) -> String {
        let mut hidden = String::with_capacity(content.len());
        let mut rest = content;
        while let Some(character) = rest.chars().next() {
            let special =
                special_texts.iter().find(|text| !text.is_empty() && rest.starts_with(text.as_str()));
            if let Some(text) = special {
                hidden.push(self.literal);
                hidden.push_str(&literals.len().to_string());
                hidden.push(self.literal);
                literals.push(Arc::from(text.as_str()));
                rest = &rest[text.len()..];
            } else {
                hidden.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        hidden
    }

    /// Cuts the text at the end mark; where the template took the mark's space away, white space before it goes too.
    fn cut<'text>(&self, rendered: &'text str) -> Result<&'text str> {
        let lost = || {
            Error::invalid(
                "chat-template-failed",
                "the chat template leaves out the message that is to be continued",
            )
        };
        let end = rendered.rfind(self.end).ok_or_else(lost)?;
        let text = &rendered[..end];
        let keeps_space = rendered[end + self.end.len_utf8()..].starts_with(' ');
        Ok(if keeps_space { text } else { text.trim_end_matches(is_space) })
    }

    fn split(&self, rendered: &str, literals: &[Arc<str>]) -> Result<PromptText> {
        let mut prompt = PromptText::default();
        for (index, part) in rendered.split(self.literal).enumerate() {
            if index % 2 == 0 {
                if index == 0 || !part.is_empty() {
                    prompt.pieces.push(Piece::Text(part.to_owned()));
                }
                continue;
            }
            let literal =
                part.parse().ok().and_then(|index: usize| literals.get(index)).ok_or_else(|| {
                    Error::invalid(
                        "chat-template-failed",
                        "the chat template changes the name of a special token",
                    )
                })?;
            prompt.pieces.push(Piece::Literal(literal.to_string()));
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests;
