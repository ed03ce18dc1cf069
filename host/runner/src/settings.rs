//! What a model's configuration files say: sizes, special tokens, defaults of generation.

use llm_bench_core::{Error, Json, Result};
use serde_json::json;

use crate::folder::{GENAI_CONFIG, ModelFolder};

/// The reference's limit for a model that states none.
const DEFAULT_MAX_LENGTH: u64 = 2048;

/// Transformers' mark of a tokenizer without a limit (1e30); anything near it means the same.
const NO_LIMIT: f64 = 1e12;

/// What onnxruntime-genai's builder writes where the model's own configuration states no `top_k`.
const GENAI_TOP_K: u64 = 50;

/// Facts and defaults from `config.json` (or `genai_config.json`), `generation_config.json`, `tokenizer_config.json`
/// and `special_tokens_map.json`.
#[derive(Debug, Clone)]
pub(crate) struct ModelSettings {
    pub(crate) architecture: String,
    /// The longest sequence, in tokens.
    pub(crate) max_length: usize,
    pub(crate) vocabulary_size: Option<u64>,
    /// How many tokens back attention reaches, where that is fewer than the longest sequence has.
    pub(crate) sliding_window: Option<usize>,
    pub(crate) tokens: SpecialTokens,
    pub(crate) chat_template: Option<String>,
    /// Ids that end a generation, without the tokenizer's own EOS.
    pub(crate) end_ids: Vec<u32>,
    /// `clean_up_tokenization_spaces`: decoded text loses the spaces before punctuation.
    pub(crate) cleans_up_spaces: bool,
    pub(crate) generation: GenerationDefaults,
}

/// The names of special tokens, as the tokenizer's configuration has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpecialTokens {
    /// Name in a chat template (`bos_token`, …) → the token's text.
    pub(crate) texts: Vec<(String, String)>,
    /// Ids from `config.json`, for a tokenizer whose configuration names neither BOS nor EOS.
    pub(crate) fallback_bos: Option<u32>,
    pub(crate) fallback_eos: Option<u32>,
}

impl SpecialTokens {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }
}

/// `generation_config.json`, as far as it changes what a model writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct GenerationDefaults {
    pub(crate) do_sample: bool,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_p: Option<f32>,
    pub(crate) top_k: Option<u32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) max_new_tokens: Option<u32>,
}

impl ModelSettings {
    /// # Errors
    /// `model-file-broken` naming the file that is not JSON.
    pub(crate) fn read(folder: &ModelFolder) -> Result<Self> {
        let (config, in_config) = if folder.has(GENAI_CONFIG) {
            of_genai(&object(folder, GENAI_CONFIG)?)
        } else {
            (object(folder, "config.json")?, Json::Null)
        };
        let generation = match object(folder, "generation_config.json")? {
            Json::Null => in_config,
            generation => generation,
        };
        let tokenizer = object(folder, "tokenizer_config.json")?;
        let tokens_map = object(folder, "special_tokens_map.json")?;
        let architecture = config["architectures"][0].as_str().or(config["model_type"].as_str());
        let text_config = if config["text_config"].is_object() { &config["text_config"] } else { &config };
        let end_ids = match ids(&generation["eos_token_id"]) {
            none if none.is_empty() => ids(&text_config["eos_token_id"]),
            some => some,
        };
        let max_length = max_length(text_config, &tokenizer);
        Ok(Self {
            architecture: architecture.unwrap_or("unknown").to_owned(),
            max_length: usize::try_from(max_length).unwrap_or(usize::MAX),
            sliding_window: sliding_window(text_config).filter(|&window| (window as u64) < max_length),
            vocabulary_size: text_config["vocab_size"].as_u64(),
            tokens: special_tokens(&tokenizer, &tokens_map, text_config),
            chat_template: chat_template(folder, &tokenizer)?,
            end_ids,
            cleans_up_spaces: tokenizer["clean_up_tokenization_spaces"].as_bool().unwrap_or(false),
            generation: GenerationDefaults {
                do_sample: generation["do_sample"].as_bool().unwrap_or(false),
                temperature: float(&generation["temperature"]),
                top_p: float(&generation["top_p"]),
                top_k: integer(&generation["top_k"]),
                repetition_penalty: float(&generation["repetition_penalty"]),
                max_new_tokens: integer(&generation["max_new_tokens"]),
            },
        })
    }
}

fn object(folder: &ModelFolder, name: &str) -> Result<Json> {
    match folder.json(name)? {
        Some(value) if value.is_object() => Ok(value),
        Some(_) => Err(Error::invalid("model-file-broken", format!("`{name}` is not a JSON object"))),
        None => Ok(Json::Null),
    }
}

/// What `genai_config.json` says, as `config.json` and `generation_config.json` would.
fn of_genai(genai: &Json) -> (Json, Json) {
    let (model, search) = (&genai["model"], &genai["search"]);
    let config = json!({
        "model_type": model["type"],
        "max_position_embeddings": model["context_length"],
        "vocab_size": model["vocab_size"],
        "bos_token_id": model["bos_token_id"],
        "eos_token_id": model["eos_token_id"],
    });
    let mut generation = search.clone();
    if generation["top_k"].as_u64() == Some(GENAI_TOP_K)
        && let Some(settings) = generation.as_object_mut()
    {
        settings.remove("top_k");
    }
    (config, generation)
}

fn sliding_window(config: &Json) -> Option<usize> {
    let window =
        config["sliding_window"].as_u64().filter(|_| config["use_sliding_window"] != Json::Bool(false));
    window.and_then(|window| usize::try_from(window).ok())
}

fn max_length(config: &Json, tokenizer: &Json) -> u64 {
    let stated =
        ["n_positions", "max_position_embeddings", "n_ctx"].iter().find_map(|key| config[key].as_u64());
    let of_tokenizer =
        tokenizer["model_max_length"].as_f64().filter(|&length| (1.0..NO_LIMIT).contains(&length));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e12")]
    let of_tokenizer = of_tokenizer.map(|length| length as u64);
    stated.filter(|&length| length > 0).or(of_tokenizer).unwrap_or(DEFAULT_MAX_LENGTH)
}

fn special_tokens(tokenizer: &Json, tokens_map: &Json, config: &Json) -> SpecialTokens {
    const NAMES: [&str; 7] =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
    // A token is a string, or an object with its text in `content`; null says that there is none.
    let text = |value: &Json| value.as_str().or(value["content"].as_str()).map(str::to_owned);
    let mut tokens = SpecialTokens::default();
    let mut is_named = false;
    for name in NAMES {
        let value = tokenizer.get(name).or_else(|| tokens_map.get(name));
        is_named |= value.is_some() && matches!(name, "bos_token" | "eos_token");
        if let Some(text) = value.and_then(text) {
            tokens.texts.push((name.to_owned(), text));
        }
    }
    if !is_named {
        tokens.fallback_bos = ids(&config["bos_token_id"]).first().copied();
        tokens.fallback_eos = ids(&config["eos_token_id"]).first().copied();
    }
    tokens
}

/// The template: a file of its own, a string, or the one named `default` in a list of named ones.
fn chat_template(folder: &ModelFolder, tokenizer: &Json) -> Result<Option<String>> {
    if let Some(text) = folder.text("chat_template.jinja")? {
        return Ok(Some(text));
    }
    Ok(match &tokenizer["chat_template"] {
        Json::String(text) => Some(text.clone()),
        Json::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default").or(named.first());
            default.and_then(|entry| entry["template"].as_str()).map(str::to_owned)
        }
        _ => None,
    })
}

/// Ids given as a number or a list of numbers.
fn ids(value: &Json) -> Vec<u32> {
    match value {
        Json::Array(values) => values.iter().filter_map(integer).collect(),
        value => integer(value).into_iter().collect(),
    }
}

fn integer(value: &Json) -> Option<u32> {
    value.as_u64().and_then(|value| u32::try_from(value).ok())
}

fn float(value: &Json) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "settings of sampling need no more than f32")]
    value.as_f64().map(|value| value as f32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of_genai;

    #[test]
    fn what_the_builder_fills_in_is_no_default_of_the_model() {
        let settings = |top_k: u64| {
            let genai = json!({
                "model": { "type": "llama", "context_length": 64 },
                "search": { "do_sample": true, "top_k": top_k },
            });
            of_genai(&genai)
        };
        let (config, generation) = settings(50);
        assert_eq!(
            (&config["model_type"], &config["max_position_embeddings"]),
            (&json!("llama"), &json!(64))
        );
        assert_eq!(generation, json!({ "do_sample": true }));
        assert_eq!(settings(20).1["top_k"], 20);
    }
}
