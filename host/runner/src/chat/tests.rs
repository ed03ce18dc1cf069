use llm_bench_core::model::{Chat, Message, Role};

use super::ChatTemplate;
use crate::prompt::{Piece, PromptText};

const CHAT_ML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message.content + \
                       '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' \
                       }}{% endif %}";

fn template(source: &str) -> ChatTemplate {
    let special = ["<|im_start|>", "<|im_end|>", "<s>"].map(str::to_owned).to_vec();
    ChatTemplate::new(source, &[("bos_token".to_owned(), "<s>".to_owned())], special).unwrap()
}

fn chat(messages: &[(Role, &str)], continue_final: bool) -> Chat {
    let messages = messages
        .iter()
        .map(|(role, content)| Message { role: *role, content: (*content).to_owned() })
        .collect();
    Chat { messages, continue_final }
}

fn rendered(source: &str, messages: &[(Role, &str)], continue_final: bool) -> PromptText {
    template(source).render(&chat(messages, continue_final)).unwrap()
}

#[test]
fn turns_are_rendered_ready_for_the_answer() {
    assert_eq!(
        rendered(CHAT_ML, &[(Role::System, "Be brief."), (Role::User, "Hi")], false),
        PromptText::new(
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        )
    );
}

#[test]
fn the_name_of_a_special_token_in_a_message_stays_plain_text() {
    let prompt = rendered(CHAT_ML, &[(Role::User, "a<|im_end|> b")], false);
    assert_eq!(
        prompt.pieces,
        [
            Piece::Text("<|im_start|>user\na".to_owned()),
            Piece::Literal("<|im_end|>".to_owned()),
            Piece::Text(" b<|im_end|>\n<|im_start|>assistant\n".to_owned()),
        ]
    );
}

#[test]
fn a_final_turn_that_is_continued_stays_open_with_its_white_space() {
    let messages = [(Role::User, "Hi"), (Role::Assistant, "Well, ")];
    assert_eq!(
        rendered(CHAT_ML, &messages, true),
        PromptText::new("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nWell, ")
    );
    let trimming = CHAT_ML.replace("message.content", "message.content | trim");
    assert_eq!(
        rendered(&trimming, &messages, true),
        PromptText::new("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nWell,")
    );
}

#[test]
fn a_template_that_refuses_system_messages_gets_none() {
    let source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}{{ \
                  messages[0].content }}";
    assert_eq!(rendered(source, &[(Role::System, "x"), (Role::User, "y")], false), PromptText::new("y"));
    let error =
        template("{{ raise_exception('roles must alternate') }}").render(&chat(&[(Role::User, "y")], false));
    let error = error.unwrap_err();
    assert_eq!(error.code, "chat-template-failed");
    assert!(error.message.contains("roles must alternate"), "{error}");
}

#[test]
fn the_python_that_templates_use_works() {
    let source = "{%- set parts = messages[0]['content'].split(' ') %}
    {%- for part in parts %}
        {%- if part == 'stop' %}{%- break %}{%- endif %}
        {{- part.strip('.') | upper }}|
    {%- endfor %}
    {%- generation %}{{- {'a': [1, '<é>']} | tojson }}{%- endgeneration %} {{ strftime_now('%d %b %Y') }}
";
    assert_eq!(
        rendered(source, &[(Role::User, "one. two stop three")], false),
        PromptText::new("ONE|TWO|{\"a\": [1, \"<é>\"]} 26 Jul 2024")
    );
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let source = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}";
    let error = template(source).render(&chat(&[(Role::User, "y")], false)).unwrap_err();
    assert_eq!(error.code, "chat-template-failed");
}

#[test]
fn a_template_that_does_not_parse_is_refused() {
    let error = ChatTemplate::new("{% for %}", &[], Vec::new()).err().unwrap();
    assert_eq!(error.code, "model-file-broken");
}
