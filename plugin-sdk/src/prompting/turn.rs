use crate::text::is_space;
use crate::{Chat, Message, Role};

/// A turn that is not yet text or part of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) content: String,
    /// What stands behind it in plain text.
    pub(crate) gap: String,
}

/// A question, and its answer where there is one. `prefix` begins the answer; without an answer the model goes on
/// from it. An empty answer is none.
pub(crate) fn exchange(
    question: &str,
    prefix: &str,
    answer: Option<&str>,
    delimiter: &str,
    separator: &str,
) -> Vec<Turn> {
    let answer = answer.filter(|answer| !answer.is_empty());
    let is_delimited =
        if prefix.is_empty() { answer.is_some() } else { !question.is_empty() && !touch(question, prefix) };
    let gap = if is_delimited { delimiter } else { "" };
    let mut turns = vec![Turn { role: Role::User, content: question.into(), gap: gap.into() }];
    match answer {
        Some(answer) => {
            let content = joined(prefix, answer, " ");
            turns.push(Turn { role: Role::Assistant, content, gap: separator.into() });
        }
        None if prefix.is_empty() => {}
        None => turns.push(Turn { role: Role::Assistant, content: prefix.into(), gap: String::new() }),
    }
    turns
}

/// Both texts, the separator between them where neither is empty nor has white space there.
pub(crate) fn joined(first: &str, second: &str, separator: &str) -> String {
    let separator =
        if first.is_empty() || second.is_empty() || touch(first, second) { "" } else { separator };
    [first, separator, second].concat()
}

/// Whether white space stands where two texts meet.
fn touch(first: &str, second: &str) -> bool {
    first.chars().next_back().is_some_and(is_space) || second.chars().next().is_some_and(is_space)
}

/// One text.
pub(crate) fn as_text(turns: &[Turn]) -> String {
    turns.iter().flat_map(|turn| [turn.content.as_str(), turn.gap.as_str()]).collect()
}

/// A chat: each turn a message, or all but the system's and an open last turn in one message of the user.
pub(crate) fn as_chat(mut turns: Vec<Turn>, multi_turn: bool) -> Chat {
    let continue_final = turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if !multi_turn {
        let end = turns.len() - usize::from(continue_final);
        let start = usize::from(turns.first().is_some_and(|turn| turn.role == Role::System));
        if let Some(last) = turns[start..end].last_mut() {
            last.gap.clear();
        }
        let content = as_text(&turns[start..end]);
        turns.splice(start..end, [Turn { role: Role::User, content, gap: String::new() }]);
    }
    let messages = turns.into_iter().map(|turn| Message { role: turn.role, content: turn.content });
    Chat { messages: messages.collect(), continue_final }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_empty_leaves_its_question_without_delimiter_and_blank_line() {
        assert_eq!(as_text(&exchange("1?", "", Some(""), " ", "\n\n")), "1?");
        assert_eq!(as_text(&exchange("1?", "", Some("one"), " ", "\n\n")), "1? one\n\n");
    }

    #[test]
    fn a_prefix_is_set_apart_only_where_no_white_space_stands() {
        assert_eq!(as_text(&exchange("1?", "It is", Some("one"), " ", "\n\n")), "1? It is one\n\n");
        assert_eq!(as_text(&exchange("1?\n", "It is ", Some("one"), " ", "\n\n")), "1?\nIt is one\n\n");
        assert_eq!(as_text(&exchange("1?", "It is", None, " ", "\n\n")), "1? It is");
        assert_eq!(as_text(&exchange("", "It is", None, " ", "\n\n")), "It is");
    }

    #[test]
    fn examples_in_one_turn_keep_their_delimiters() {
        let system = Turn { role: Role::System, content: "Sums.".into(), gap: String::new() };
        let mut turns = vec![system];
        turns.extend(exchange("1 + 1?", "", Some("2"), " ", "\n\n"));
        turns.extend(exchange("2 + 2?", "=", None, " ", ""));
        let chat = as_chat(turns.clone(), false);
        assert!(chat.continue_final);
        assert_eq!(
            chat.messages,
            [Message::system("Sums."), Message::user("1 + 1? 2\n\n2 + 2?"), Message::assistant("=")]
        );
        assert_eq!(as_chat(turns, true).messages.len(), 5);
    }
}
