//! Generation: a prefill over the prompts, then one token per row and step, with the KV cache handed on.

use std::time::{Duration, Instant};

use llm_bench_core::model::FinishReason;
use llm_bench_core::{Error, Result};

use crate::graph::Continues;
use crate::network::{Cache, Logits, Network, Step};
use crate::sampling::{Sampler, Settings};
use crate::stop::Completion;
use crate::tokenizer::TextTokenizer;

/// What is to be generated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// At least one token, at most the model's longest sequence less the tokens to come.
    pub(crate) prompt: Vec<u32>,
    pub(crate) settings: Settings,
}

/// What was generated. The number of tokens includes one that ended the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) finish_reason: FinishReason,
    pub(crate) tokens: u32,
}

/// Where a model's generations end and how its tokens read.
pub(crate) struct Language<'model> {
    pub(crate) tokenizer: &'model TextTokenizer,
    /// Tokens that end a generation.
    pub(crate) end_ids: &'model [u32],
}

/// Time spent in the model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phases {
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

/// Generates for several prompts at once; rows of different length are padded at the left.
///
/// `is_cancelled` is asked for each row between steps; such a row ends with [`FinishReason::Cancelled`].
pub(crate) fn generate(
    network: &mut Network,
    language: &Language<'_>,
    orders: &[&Order],
    is_cancelled: &dyn Fn(usize) -> bool,
    phases: &mut Phases,
) -> Result<Vec<Outcome>> {
    let mut rows: Vec<Row> = orders.iter().map(|order| Row::new(order)).collect();
    let has_cache = network.graph().continues != Continues::Never;
    let longest = orders.iter().map(|order| order.prompt.len()).max().unwrap_or(0);
    let mut batch = Batch {
        padding: orders.iter().map(|order| longest - order.prompt.len()).collect(),
        members: (0..orders.len()).collect(),
        length: longest,
    };
    let mut time = Instant::now();
    let (mut logits, mut cache) = network.advance(batch.whole(&rows), None)?;
    let mut last = longest - 1;
    phases.prefill += time.elapsed();
    loop {
        time = Instant::now();
        for (place, &index) in batch.members.iter().enumerate() {
            if is_cancelled(index) {
                rows[index].finish_reason.get_or_insert(FinishReason::Cancelled);
            }
            rows[index].choose(&logits, place, last, language)?;
        }
        let alive: Vec<usize> =
            (0..batch.members.len()).filter(|&place| rows[batch.members[place]].is_alive()).collect();
        if alive.is_empty() {
            phases.decode += time.elapsed();
            break;
        }
        batch.length += 1;
        if has_cache {
            cache = batch.compact(network, cache, &alive)?;
            (logits, cache) = network.advance(batch.next(&rows), Some(cache))?;
            last = 0;
        } else {
            batch.keep(&alive);
            (logits, cache) = network.advance(batch.whole(&rows), None)?;
            last = batch.length - 1;
        }
        phases.decode += time.elapsed();
    }
    rows.into_iter().map(|row| row.outcome(language)).collect()
}

/// One generation on its way.
struct Row {
    /// The prompt and what follows it so far.
    ids: Vec<u32>,
    prompt_length: usize,
    max_tokens: usize,
    stops: Vec<String>,
    sampler: Sampler,
    completion: Completion,
    finish_reason: Option<FinishReason>,
}

impl Row {
    fn new(order: &Order) -> Self {
        Self {
            ids: order.prompt.clone(),
            prompt_length: order.prompt.len(),
            max_tokens: order.settings.max_tokens,
            stops: order.settings.stop.clone(),
            sampler: Sampler::new(&order.settings, &order.prompt),
            completion: Completion::new(),
            finish_reason: None,
        }
    }

    fn is_alive(&self) -> bool {
        self.finish_reason.is_none()
    }

    fn generated(&self) -> usize {
        self.ids.len() - self.prompt_length
    }

    fn choose(&mut self, logits: &Logits, place: usize, last: usize, language: &Language<'_>) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let token = self.sampler.choose(&logits.at(place, last)?)?;
        self.ids.push(token);
        if language.end_ids.contains(&token)
            || self.completion.push(token, &self.stops, language.tokenizer)?
        {
            self.finish_reason = Some(FinishReason::Stop);
        } else if self.generated() >= self.max_tokens {
            self.finish_reason = Some(FinishReason::Length);
        }
        Ok(())
    }

    fn outcome(self, language: &Language<'_>) -> Result<Outcome> {
        let tokens = u32::try_from(self.generated()).unwrap_or(u32::MAX);
        let text = self.completion.text(&self.stops, language.tokenizer)?;
        let finish_reason =
            self.finish_reason.ok_or_else(|| Error::internal("model-failed", "a row did not end"))?;
        Ok(Outcome { text, finish_reason, tokens })
    }
}

/// The rows that run together, by their place in the batch.
struct Batch {
    /// Indices of rows; a finished one may stay until enough have finished.
    members: Vec<usize>,
    /// Tokens of padding before each member.
    padding: Vec<usize>,
    /// Tokens of the longest member, which is the length of every padded one.
    length: usize,
}

impl Batch {
    /// A step over all tokens of the members.
    fn whole(&self, rows: &[Row]) -> Step {
        let mut step =
            Step { rows: self.members.len(), ids: Vec::new(), mask: Vec::new(), positions: Vec::new() };
        for (&index, &padding) in self.members.iter().zip(&self.padding) {
            for place in 0..self.length {
                let token = place.checked_sub(padding);
                step.ids
                    .push(token.and_then(|token| rows[index].ids.get(token)).map_or(0, |&id| i64::from(id)));
                step.mask.push(i64::from(token.is_some()));
                step.positions.push(signed(token.unwrap_or(0)));
            }
        }
        step
    }

    /// A step over the last token of each member. A finished member takes part with any token: nobody reads its logits.
    fn next(&self, rows: &[Row]) -> Step {
        let mut step =
            Step { rows: self.members.len(), ids: Vec::new(), mask: Vec::new(), positions: Vec::new() };
        for (&index, &padding) in self.members.iter().zip(&self.padding) {
            let last = self.length - 1 - padding;
            step.ids.push(rows[index].ids.get(last).map_or(0, |&id| i64::from(id)));
            step.mask.extend((0..self.length).map(|place| i64::from(place >= padding)));
            step.positions.push(signed(last));
        }
        step
    }

    /// Leaves out finished members once they are half of the batch: that copies the cache, so not for each.
    fn compact(&mut self, network: &Network, cache: Cache, alive: &[usize]) -> Result<Cache> {
        if alive.len() * 2 > self.members.len() {
            return Ok(cache);
        }
        self.keep(alive);
        network.keep_rows(&cache, alive)
    }

    fn keep(&mut self, alive: &[usize]) {
        self.members = alive.iter().map(|&place| self.members[place]).collect();
        self.padding = alive.iter().map(|&place| self.padding[place]).collect();
    }
}

fn signed(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
