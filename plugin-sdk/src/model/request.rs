/// What the model reads.
///
/// ```
/// use llm_bench_plugin_sdk::{Message, Prompt};
///
/// let text: Prompt = "Question: 2 + 2?\nAnswer:".into();
/// let chat: Prompt = vec![Message::user("2 + 2?")].into();
/// assert!(matches!(text, Prompt::Text(_)) && matches!(chat, Prompt::Chat(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Text as it is: no chat template.
    Text(String),
    /// A conversation that the model's own chat template turns into text.
    Chat(Chat),
}

/// A conversation.
///
/// ```
/// use llm_bench_plugin_sdk::{Chat, Message, Prompt};
///
/// // The model writes on after "It is".
/// let messages = vec![Message::user("2 + 2?"), Message::assistant("It is")];
/// let prompt: Prompt = Chat { messages, continue_final: true }.into();
/// # assert!(matches!(prompt, Prompt::Chat(chat) if chat.continue_final));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// The turns, oldest first.
    pub messages: Vec<Message>,
    /// The last message is an assistant turn that the model continues.
    pub continue_final: bool,
}

/// One turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions that stand before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What a tool gave back.
    Tool,
}

impl Message {
    /// Instructions that stand before the conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }

    /// What the person says.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// What the model said.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Message>> for Prompt {
    fn from(messages: Vec<Message>) -> Self {
        Self::Chat(Chat { messages, continue_final: false })
    }
}

impl From<Chat> for Prompt {
    fn from(chat: Chat) -> Self {
        Self::Chat(chat)
    }
}

/// How tokens are chosen. An absent setting means the model's own default.
///
/// ```
/// use llm_bench_plugin_sdk::Sampling;
///
/// let greedy = Sampling::greedy(64).until(["\n", "Question:"]);
/// assert_eq!(greedy.temperature, Some(0.0));
/// let warm = Sampling { temperature: Some(0.7), seed: Some(1), ..greedy };
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// Most new tokens.
    pub max_tokens: Option<u32>,
    /// 0 is greedy.
    pub temperature: Option<f32>,
    /// The smallest set of tokens whose probabilities reach this sum, 0 < p ≤ 1.
    pub top_p: Option<f32>,
    /// Only the k most likely tokens.
    pub top_k: Option<u32>,
    /// Seed of this request's draws. Absent: derived from the benchmark's seed and the sample.
    pub seed: Option<u64>,
    /// Texts that end the answer; it is cut before the first of them.
    pub stop: Vec<String>,
    /// Further settings by name; the host refuses one that it does not know.
    pub extra: Vec<(String, String)>,
}

impl Sampling {
    /// The most likely token, always; at most so many.
    pub fn greedy(max_tokens: u32) -> Self {
        Self { max_tokens: Some(max_tokens), temperature: Some(0.0), ..Self::default() }
    }

    /// The same, ended by any of these texts.
    #[must_use]
    pub fn until(self, stop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { stop: stop.into_iter().map(Into::into).collect(), ..self }
    }
}

/// One text to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    /// What the model reads; cut at the left where it does not fit.
    pub prompt: Prompt,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// A generated text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The new text: without the prompt, without the stop text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens that were read.
    pub prompt_tokens: u32,
    /// Tokens that were written.
    pub completion_tokens: u32,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// At a stop text or its end-of-text token.
    Stop,
    /// It wrote as many tokens as it was allowed.
    Length,
    /// The benchmark was cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

/// One continuation to score.
///
/// ```
/// use llm_bench_plugin_sdk::ScoringRequest;
///
/// let request = ScoringRequest::new("The capital of France is", " Paris");
/// assert_eq!(request.continuation, " Paris");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ScoringRequest {
    /// What stands before; may be empty. Trailing white space counts as the continuation's.
    pub context: Prompt,
    /// The text whose probability is asked; not empty.
    pub continuation: String,
    /// Further settings by name; the host refuses one that it does not know.
    pub extra: Vec<(String, String)>,
}

impl ScoringRequest {
    /// A request without further settings.
    pub fn new(context: impl Into<Prompt>, continuation: impl Into<String>) -> Self {
        Self { context: context.into(), continuation: continuation.into(), extra: Vec::new() }
    }
}

/// How likely a text is.
///
/// ```
/// use llm_bench_plugin_sdk::LogLikelihood;
///
/// let likelihood = LogLikelihood { sum: -3.0, is_greedy: false, tokens: 2 };
/// assert_eq!(likelihood.sum / f64::from(likelihood.tokens), -1.5); // of a token, so that long texts lose nothing
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLikelihood {
    /// Natural log, summed over the text's tokens. At most 0.
    pub sum: f64,
    /// Whether greedy decoding would have written exactly this.
    pub is_greedy: bool,
    /// Tokens that were scored.
    pub tokens: u32,
}
