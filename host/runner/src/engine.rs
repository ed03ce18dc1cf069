//! A loaded model: turns requests into rows and rows into answers. It lives on the model's thread.

use std::path::Path;

use llm_bench_core::model::{
    FinishReason, Generation, GenerationRequest, LogLikelihood, ModelRequest, ModelResponse, Prompt,
    ScoringRequest,
};
use llm_bench_core::{Error, Result};
use ort::environment::Environment;

use crate::chat::ChatTemplate;
use crate::folder::ModelFolder;
use crate::generation::{Language, Order, Outcome, Phases, generate};
use crate::graph::Padding;
use crate::network::Network;
use crate::prompt::PromptText;
use crate::runner::RunnerConfig;
use crate::sampling::{Settings, unknown_setting};
use crate::scoring::{RowScore, ScoringRow, score};
use crate::settings::ModelSettings;
use crate::tokenizer::TextTokenizer;

/// What the logits of one batch may take.
const MAX_LOGITS_BYTES: usize = 512 << 20;

pub(crate) struct Engine {
    network: Network,
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    settings: ModelSettings,
    /// Tokens that end a generation.
    end_ids: Vec<u32>,
    /// The EOS token's text, which ends a generation too.
    end_text: Option<String>,
    /// Tokens that one batch may hold, padding included.
    pub(crate) batch_tokens: usize,
}

/// The rows of a call, before the model sees them, and the answer that they fill.
pub(crate) struct Prepared {
    pub(crate) rows: Rows,
    pub(crate) response: ModelResponse,
    pub(crate) prompt_tokens: u64,
}

/// Rows with the index of the request that each belongs to.
pub(crate) enum Rows {
    Score(Vec<(usize, ScoringRow)>),
    Generate(Vec<(usize, Order)>),
}

impl Engine {
    pub(crate) fn open(environment: &Environment, path: &Path, config: &RunnerConfig) -> Result<Self> {
        let folder = ModelFolder::open(path)?;
        let settings = ModelSettings::read(&folder)?;
        let mut tokenizer = TextTokenizer::open(path, &settings)?;
        let template = match &settings.chat_template {
            Some(source) => {
                Some(ChatTemplate::new(source, &settings.tokens.texts, tokenizer.special_texts())?)
            }
            None => None,
        };
        let network = Network::open(environment, &folder, config.threads, config.provider)?;
        if let Some(vocabulary) = network.graph().vocabulary {
            tokenizer.limit_to(vocabulary)?;
        }
        let vocabulary = network.graph().vocabulary.unwrap_or_else(|| tokenizer.vocabulary_size()).max(1);
        let batch_tokens = match network.graph().padding {
            Padding::Alone => 1,
            _ => config.max_batch_tokens.min(MAX_LOGITS_BYTES / 4 / vocabulary).max(1),
        };
        let mut end_ids = settings.end_ids.clone();
        end_ids.extend(tokenizer.eos());
        let end_text = tokenizer.eos().map(|id| tokenizer.decode(&[id], false)).transpose()?;
        Ok(Self {
            network,
            tokenizer,
            template,
            settings,
            end_ids,
            end_text: end_text.filter(|text| !text.is_empty()),
            batch_tokens,
        })
    }

    /// Turns a call into rows.
    ///
    /// # Errors
    /// Of the first request that cannot be served; the call as a whole fails.
    pub(crate) fn prepare(&mut self, request: &ModelRequest) -> Result<Prepared> {
        let done = |response| Prepared { rows: Rows::Score(Vec::new()), response, prompt_tokens: 0 };
        match request {
            ModelRequest::LogLikelihood(requests) => {
                let rows =
                    requests.iter().enumerate().map(|(index, request)| Ok((index, self.pair(request)?)));
                let rows = rows.collect::<Result<Vec<_>>>()?;
                Ok(Prepared::scoring(rows, ModelResponse::LogLikelihood(unscored(requests.len()))))
            }
            ModelRequest::LogLikelihoodRolling(texts) => {
                let mut rows = Vec::new();
                for (index, text) in texts.iter().enumerate() {
                    let windows = ScoringRow::rolling(&mut self.tokenizer, text, self.settings.max_length)?;
                    rows.extend(windows.into_iter().map(|row| (index, row)));
                }
                Ok(Prepared::scoring(rows, ModelResponse::LogLikelihoodRolling(unscored(texts.len()))))
            }
            ModelRequest::Generate(requests) => {
                let orders =
                    requests.iter().enumerate().map(|(index, request)| Ok((index, self.order(request)?)));
                let orders = orders.collect::<Result<Vec<_>>>()?;
                Ok(Prepared::generating(orders))
            }
            ModelRequest::CountTokens(texts) => {
                let counts = texts
                    .iter()
                    .map(|text| self.tokenizer.encode_text(text, false).map(|ids| count(ids.len())));
                Ok(done(ModelResponse::CountTokens(counts.collect::<Result<_>>()?)))
            }
            ModelRequest::Embed(_) => Err(cannot("embed texts")),
            ModelRequest::Rank(_) => Err(cannot("rank documents")),
        }
    }

    pub(crate) fn score(&mut self, rows: &[&ScoringRow]) -> Result<Vec<RowScore>> {
        score(&mut self.network, rows)
    }

    pub(crate) fn generate(
        &mut self,
        orders: &[&Order],
        is_cancelled: &dyn Fn(usize) -> bool,
        phases: &mut Phases,
    ) -> Result<Vec<Outcome>> {
        let language = Language { tokenizer: &self.tokenizer, end_ids: &self.end_ids };
        generate(&mut self.network, &language, orders, is_cancelled, phases)
    }

    /// Whether prompts of different length may be generated from together.
    pub(crate) fn pads_left(&self) -> bool {
        self.network.graph().pads_left()
    }

    fn pair(&mut self, request: &ScoringRequest) -> Result<ScoringRow> {
        if let Some((name, _)) = request.extra.first() {
            return Err(unknown_setting(name, "scoring has none"));
        }
        let context = self.text(&request.context)?;
        ScoringRow::pair(&mut self.tokenizer, context, &request.continuation, self.settings.max_length)
    }

    fn order(&mut self, request: &GenerationRequest) -> Result<Order> {
        let max_length = self.settings.max_length;
        let mut settings = Settings::new(&request.sampling, &self.settings.generation, max_length)?;
        settings.stop.extend(self.end_text.clone());
        let text = self.text(&request.prompt)?;
        let mut prompt = self.tokenizer.encode(&text)?;
        if prompt.is_empty() {
            prompt.push(self.tokenizer.prefix()?);
        }
        let room = max_length.saturating_sub(settings.max_tokens).max(1);
        prompt.drain(..prompt.len().saturating_sub(room));
        Ok(Order { prompt, settings })
    }

    fn text(&self, prompt: &Prompt) -> Result<PromptText> {
        match (prompt, &self.template) {
            (Prompt::Text(text), _) => Ok(PromptText::new(text.as_str())),
            (Prompt::Chat(chat), Some(template)) => template.render(chat),
            (Prompt::Chat(_), None) => Err(Error::unsupported(
                "no-chat-template",
                "the model has no chat template: ask it with a text, or add `chat_template.jinja` to its folder",
            )),
        }
    }
}

impl Prepared {
    fn scoring(rows: Vec<(usize, ScoringRow)>, response: ModelResponse) -> Self {
        let prompt_tokens = rows.iter().map(|(_, row)| u64::from(count(row.input.len())) + 1).sum();
        Self { rows: Rows::Score(rows), response, prompt_tokens }
    }

    fn generating(orders: Vec<(usize, Order)>) -> Self {
        let generations = (orders.iter())
            .map(|(_, order)| Generation {
                text: String::new(),
                finish_reason: FinishReason::Other,
                prompt_tokens: count(order.prompt.len()),
                completion_tokens: 0,
            })
            .collect::<Vec<_>>();
        let prompt_tokens = generations.iter().map(|generation| u64::from(generation.prompt_tokens)).sum();
        Self { rows: Rows::Generate(orders), response: ModelResponse::Generate(generations), prompt_tokens }
    }
}

fn unscored(requests: usize) -> Vec<LogLikelihood> {
    vec![LogLikelihood { sum: 0.0, is_greedy: true, tokens: 0 }; requests]
}

fn cannot(what: &str) -> Error {
    Error::unsupported("not-an-embedder", format!("this language model cannot {what}"))
}

/// A number of tokens, as answers hold it.
pub(crate) fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
