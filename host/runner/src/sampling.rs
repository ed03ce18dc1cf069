//! How the next token is chosen, and the settings that decide it.

use std::collections::BTreeSet;

use llm_bench_core::model::Sampling;
use llm_bench_core::{Error, Result};
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use crate::settings::GenerationDefaults;
use crate::softmax::not_a_number;

/// The reference's limit where neither the request nor the model states one.
const DEFAULT_MAX_TOKENS: u32 = 256;

/// A request's settings, checked, with the model's defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) max_tokens: usize,
    pub(crate) stop: Vec<String>,
    /// 0 is greedy.
    temperature: f32,
    top_p: f32,
    /// 0 keeps every token.
    top_k: usize,
    repetition_penalty: f32,
    seed: u64,
    /// Whether a prompt that is too long loses its beginning.
    pub(crate) truncates: bool,
}

impl Settings {
    /// Without a temperature the model's own default holds: greedy, unless `generation_config.json` says `do_sample`.
    /// A request without a seed is one with the seed 0, as is every greedy one. The settings in `extra` are
    /// `repetition_penalty` and `truncate`.
    ///
    /// # Errors
    /// `invalid-request` naming the field.
    pub(crate) fn new(request: &Sampling, defaults: &GenerationDefaults, max_length: usize) -> Result<Self> {
        let fallback = if defaults.do_sample { defaults.temperature.unwrap_or(1.0) } else { 0.0 };
        let temperature = request.temperature.unwrap_or(fallback);
        let is_sampled = temperature > 0.0;
        let mut settings = Self {
            max_tokens: max_tokens(request, defaults, max_length)?,
            stop: request.stop.clone(),
            temperature,
            top_p: request.top_p.or(defaults.top_p.filter(|_| is_sampled)).unwrap_or(1.0),
            top_k: usize::try_from(request.top_k.or(defaults.top_k.filter(|_| is_sampled)).unwrap_or(0))
                .unwrap_or(usize::MAX),
            repetition_penalty: defaults.repetition_penalty.unwrap_or(1.0),
            seed: request.seed.filter(|_| is_sampled).unwrap_or(0),
            truncates: true,
        };
        for (name, value) in &request.extra {
            match name.as_str() {
                "repetition_penalty" => {
                    settings.repetition_penalty =
                        value.parse().map_err(|_| invalid("repetition_penalty", value, "a number"))?;
                }
                "truncate" => settings.truncates = truncation(value)?,
                _ => {
                    return Err(unknown_setting(
                        name,
                        "`repetition_penalty` and `truncate` are those that are known",
                    ));
                }
            }
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(invalid("temperature", self.temperature, "0 (greedy) or a positive number"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(invalid("top_p", self.top_p, "above 0 and at most 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return Err(invalid("repetition_penalty", self.repetition_penalty, "a positive number"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::invalid(
                "invalid-request",
                "`stop` holds an empty string, which would end every text",
            ));
        }
        Ok(())
    }
}

fn max_tokens(request: &Sampling, defaults: &GenerationDefaults, max_length: usize) -> Result<usize> {
    match request.max_tokens {
        Some(0) => Err(invalid("max_tokens", 0, "at least 1")),
        Some(tokens) => match usize::try_from(tokens) {
            Ok(tokens) if tokens < max_length => Ok(tokens),
            _ => Err(invalid(
                "max_tokens",
                tokens,
                &format!("below the model's longest sequence, {max_length}"),
            )),
        },
        // A default leaves at least half of a short sequence to the prompt.
        None => {
            let tokens = defaults.max_new_tokens.filter(|&tokens| tokens > 0).unwrap_or(DEFAULT_MAX_TOKENS);
            let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
            Ok(if tokens < max_length { tokens } else { (max_length / 2).max(1) })
        }
    }
}

fn invalid(field: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::invalid("invalid-request", format!("`{field}` is {value}; it must be {allowed}"))
}

/// The setting `truncate` of a request's `extra`: whether what is too long for the model loses its beginning, as in the
/// reference, or is refused.
///
/// # Errors
/// `invalid-request` for anything but `true` and `false`.
pub(crate) fn truncation(value: &str) -> Result<bool> {
    value.parse().map_err(|_| invalid("truncate", value, "`true` or `false`"))
}

/// A prompt is too long, and may not be cut.
pub(crate) fn too_long(tokens: usize, room: usize) -> Error {
    Error::too_large(
        "prompt-too-long",
        format!(
            "a prompt of {tokens} tokens is longer than the {room} that the model can read of it: shorten it, or set \
             `truncate` to cut its beginning"
        ),
    )
}

/// The refusal of a name in a request's `extra`.
pub(crate) fn unknown_setting(name: &str, known: &str) -> Error {
    Error::invalid(
        "invalid-request",
        format!("`extra` holds the setting `{name}`, which is not known; {known}"),
    )
}

/// Chooses the tokens of one generation. What it draws depends on its seed and the logits alone, not on the batch.
pub(crate) struct Sampler {
    settings: Settings,
    random: ChaCha12Rng,
    /// Tokens of the prompt and of the text so far; kept only for a repetition penalty.
    seen: BTreeSet<u32>,
}

impl Sampler {
    pub(crate) fn new(settings: &Settings, prompt: &[u32]) -> Self {
        let penalises = is_not(settings.repetition_penalty, 1.0);
        Self {
            settings: settings.clone(),
            random: ChaCha12Rng::seed_from_u64(settings.seed),
            seen: if penalises { prompt.iter().copied().collect() } else { BTreeSet::new() },
        }
    }

    /// The next token after `logits`, one for each word of the vocabulary.
    ///
    /// # Errors
    /// `logits-not-a-number` when the model gave NaN.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Result<u32> {
        let penalty = self.settings.repetition_penalty;
        let token = if is_not(penalty, 1.0) {
            let mut penalised = logits.to_vec();
            for &token in &self.seen {
                if let Some(logit) = usize::try_from(token).ok().and_then(|token| penalised.get_mut(token)) {
                    *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
                }
            }
            let token = self.pick(&penalised)?;
            self.seen.insert(token);
            token
        } else {
            self.pick(logits)?
        };
        Ok(token)
    }

    fn pick(&mut self, logits: &[f32]) -> Result<u32> {
        let best = arg_max(logits)?;
        let index = if is_not(self.settings.temperature, 0.0) { self.draw(logits, best) } else { best };
        u32::try_from(index).map_err(|_| Error::internal("model-failed", "the vocabulary is too large"))
    }

    fn draw(&mut self, logits: &[f32], best: usize) -> usize {
        let Settings { temperature, top_p, top_k, .. } = self.settings;
        let mut candidates: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
        let by_logit = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if 0 < top_k && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, by_logit);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(by_logit);
        let weight = |logit: f32| f64::from((logit - logits[best]) / temperature).exp();
        let mut weights: Vec<f64> = candidates.iter().map(|&(_, logit)| weight(logit)).collect();
        // The fewest best tokens whose share reaches `top_p`.
        let mut total: f64 = weights.iter().sum();
        if top_p < 1.0 {
            let goal = f64::from(top_p) * total;
            let mut reached = 0.0;
            let kept = weights.iter().take_while(|&&weight| {
                let is_short = reached < goal;
                reached += weight;
                is_short
            });
            let kept = kept.count().max(1);
            weights.truncate(kept);
            total = weights.iter().sum();
        }
        let mut drawn = self.random.random::<f64>() * total;
        for (&(index, _), weight) in candidates.iter().zip(&weights) {
            drawn -= weight;
            if drawn < 0.0 {
                return index;
            }
        }
        best
    }
}

/// The index of the largest logit, the first of equals.
///
/// # Errors
/// `logits-not-a-number` when one is NaN.
pub(crate) fn arg_max(logits: &[f32]) -> Result<usize> {
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return Err(not_a_number());
        }
        if logit > logits[best] {
            best = index;
        }
    }
    Ok(best)
}

/// Whether a setting differs from the value that switches it off.
fn is_not(value: f32, neutral: f32) -> bool {
    (value - neutral).abs() > 0.0
}

#[cfg(test)]
mod tests;
