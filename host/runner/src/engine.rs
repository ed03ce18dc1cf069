//! A loaded model: turns requests into rows. It lives on the model's thread.

use std::path::Path;

use llm_bench_core::model::{
    FinishReason, Generation, GenerationRequest, LogLikelihood, ModelRequest, ModelResponse, Prompt,
    ScoringRequest,
};
use llm_bench_core::{Error, Result};
use ort::environment::Environment;

use crate::chat::ChatTemplate;
use crate::folder::ModelFolder;
use crate::forward::run_length;
use crate::generation::Order;
use crate::graph::{Continues, Padding};
use crate::network::{LoadOptions, Network};
use crate::prefix::Prefixes;
use crate::prompt::PromptText;
use crate::runner::{Execution, RunnerConfig};
use crate::sampling::{Settings, too_long, truncation, unknown_setting};
use crate::scoring::{Fit, ScoringRow};
use crate::settings::ModelSettings;
use crate::tokenizer::TextTokenizer;

/// What the logits of one batch may take, however large the budget is.
const MAX_LOGITS_BYTES: usize = 512 << 20;

/// Generations at once, at most: more wait.
const MAX_GENERATIONS: usize = 64;

pub(crate) struct Engine {
    pub(crate) network: Network,
    pub(crate) tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    settings: ModelSettings,
    /// Tokens that end a generation.
    pub(crate) end_ids: Vec<u32>,
    /// The EOS token's text, which ends a generation too.
    end_text: Option<String>,
    pub(crate) execution: Execution,
    pub(crate) prefixes: Prefixes,
    pub(crate) limits: Limits,
}

/// What the rows of one batch may take together. One row alone always may, but for its slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// New tokens in one run, padding included.
    run_tokens: usize,
    /// Positions whose logits one run gives.
    logit_positions: usize,
    /// Whether a run gives the logits of wanted positions only.
    selects_logits: bool,
    /// Whether long rows run in parts, also several together.
    cuts: bool,
    rows: usize,
    /// Slots of the caches of one batch, over all rows.
    slots: usize,
}

impl Limits {
    /// Whether `rows` rows of up to `new_tokens` new tokens and `wanted` wanted logits each, and `slots` slots in all,
    /// may run together.
    pub(crate) fn allow(&self, rows: usize, new_tokens: usize, wanted: usize, slots: usize) -> bool {
        let length = if self.cuts { run_length(new_tokens) } else { new_tokens };
        let positions = if self.selects_logits { wanted.min(length) } else { length };
        let fits =
            rows <= self.rows && rows * length <= self.run_tokens && rows * positions <= self.logit_positions;
        self.allow_slots(slots) && (fits || rows == 1)
    }

    /// Whether a batch may have so many slots.
    pub(crate) fn allow_slots(&self, slots: usize) -> bool {
        slots <= self.slots
    }

    /// Whether so many generations may be on their way.
    pub(crate) fn allow_rows(&self, rows: usize) -> bool {
        rows <= self.run_tokens.min(MAX_GENERATIONS)
    }
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
        let rewrites = config.execution != Execution::Reference;
        let options = LoadOptions { threads: config.threads, rewrites, provider: config.provider };
        let mut network = Network::open(environment, &folder, options)?;
        if settings.sliding_window.is_some() {
            network.forbid_gaps();
        }
        let graph = network.graph();
        if let Some(vocabulary) = graph.vocabulary {
            tokenizer.limit_to(vocabulary)?;
        }
        let vocabulary = graph.vocabulary.unwrap_or_else(|| tokenizer.vocabulary_size()).max(1);
        // A run holds its past and the longer cache that comes out of it; the rest is for what it computes between.
        let bytes_per_slot = graph.cache_bytes_per_token().max(1) * 3;
        let limits = Limits {
            run_tokens: config.max_batch_tokens.max(1),
            logit_positions: ((config.memory_bytes / 4).min(MAX_LOGITS_BYTES) / 4 / vocabulary).max(1),
            selects_logits: network.selects_logits(),
            cuts: graph.can_be_cut(2),
            rows: if graph.padding == Padding::Alone { 1 } else { usize::MAX },
            slots: config.memory_bytes / 2 / bytes_per_slot,
        };
        let shares = config.execution == Execution::Shared && graph.can_be_cut(1);
        let prefixes = Prefixes::new(config.memory_bytes / 4, shares);
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
            execution: config.execution,
            prefixes,
            limits,
        })
    }

    /// Whether the continuations of a context of so many tokens are scored as one family. Branches of different length
    /// leave gaps in the cache, and a short context is computed faster than it is shared.
    pub(crate) fn shares_contexts(&self, tokens: usize) -> bool {
        const LEAST_CONTEXT: usize = 8;
        let graph = self.network.graph();
        self.execution == Execution::Shared
            && tokens >= LEAST_CONTEXT
            && graph.continues == Continues::Many
            && graph.padding == Padding::Anywhere
    }

    /// Computes what sequences share. Without room for it, each is computed for itself.
    pub(crate) fn compute_shared(&mut self, sequences: &[&[u32]]) {
        if let Err(error) = self.prefixes.compute_shared(&mut self.network, sequences) {
            tracing::warn!(?error, "a shared prefix could not be computed");
        }
    }

    /// # Errors
    /// `memory-budget` for a sequence whose cache alone is larger than the budget.
    pub(crate) fn check_memory(&self, tokens: usize) -> Result<()> {
        if self.network.graph().continues == Continues::Never || self.limits.allow_slots(tokens) {
            return Ok(());
        }
        Err(Error::too_large(
            "memory-budget",
            format!(
                "a sequence of {tokens} tokens does not fit in the memory that the model may use: {} tokens do; raise \
                 the budget or shorten the prompt",
                self.limits.slots
            ),
        ))
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

    fn pair(&mut self, request: &ScoringRequest) -> Result<ScoringRow> {
        let mut truncates = true;
        for (name, value) in &request.extra {
            match name.as_str() {
                "truncate" => truncates = truncation(value)?,
                _ => return Err(unknown_setting(name, "`truncate` is the one that scoring has")),
            }
        }
        let context = self.text(&request.context)?;
        let fit = Fit { max_length: self.settings.max_length, truncates };
        ScoringRow::pair(&mut self.tokenizer, context, &request.continuation, fit)
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
        if prompt.len() > room && !settings.truncates {
            return Err(too_long(prompt.len(), room));
        }
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

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn a_long_row_counts_whole_where_it_cannot_be_cut() {
        let cut = Limits {
            run_tokens: 1024,
            logit_positions: 1024,
            selects_logits: false,
            cuts: true,
            rows: usize::MAX,
            slots: usize::MAX,
        };
        let whole = Limits { cuts: false, ..cut };
        assert!(cut.allow(4, 2048, 1, 0) && !cut.allow(5, 2048, 1, 0));
        assert!(whole.allow(2, 512, 1, 0) && !whole.allow(2, 2048, 1, 0));
        assert!(whole.allow(1, 1_000_000, 1, 0), "one row always runs");
        let small = Limits { slots: 100, ..cut };
        assert!(!small.allow(2, 60, 1, 120) && !small.allow(1, 60, 1, 120) && small.allow(1, 60, 1, 100));
    }
}
