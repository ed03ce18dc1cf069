//! Models that the benchmark lends to the plugin.

#[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "natively a scripted model answers"))]
mod host;
mod request;

pub use request::{
    Chat, FinishReason, Generation, GenerationRequest, LogLikelihood, Message, Prompt, Role, Sampling,
    ScoringRequest,
};

use crate::{Error, Result};

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::Backend;
#[cfg(target_arch = "wasm32")]
use host::Backend;

/// A model that plays one part in the benchmark.
///
/// Requests come in lists, and one call is one batch: ask for all choices at once, not one by one. Answers come in
/// the order of the requests, one for each. A call that fails gives no answers at all.
pub struct Model(Backend);

impl Model {
    /// Borrows the model that plays a part: `"subject"` (in `solve` alone), `"judge"`, `"embedder"`.
    ///
    /// # Errors
    /// `denied` where the benchmark binds no such part or does not grant it to this call.
    pub fn open(part: &str) -> Result<Self> {
        Backend::open(part).map(Self)
    }

    /// Writes on from one prompt, and gives the new text: without the prompt, without the stop text.
    ///
    /// ```no_run
    /// use llm_bench_plugin_sdk::{Model, Sampling};
    ///
    /// let model = Model::open("subject")?;
    /// let answer = model.complete("Question: 2 + 2?\nAnswer:", Sampling::greedy(8).until(["\n"]))?;
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn complete(&self, prompt: impl Into<Prompt>, sampling: Sampling) -> Result<String> {
        let request = GenerationRequest { prompt: prompt.into(), sampling };
        only(self.generate([request])?).map(|generation| generation.text)
    }

    /// Writes on from each prompt.
    ///
    /// ```no_run
    /// use llm_bench_plugin_sdk::{GenerationRequest, Message, Model, Sampling};
    ///
    /// let turns = vec![Message::system("Answer with one word."), Message::user("The capital of France?")];
    /// let answers = Model::open("subject")?
    ///     .generate([GenerationRequest { prompt: turns.into(), sampling: Sampling::greedy(8) }])?;
    /// println!("{} after {} tokens", answers[0].text, answers[0].prompt_tokens);
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn generate(&self, requests: impl IntoIterator<Item = GenerationRequest>) -> Result<Vec<Generation>> {
        self.0.generate(requests.into_iter().collect())
    }

    /// Scores each continuation after its context. What the contexts share is computed once.
    ///
    /// ```no_run
    /// use llm_bench_plugin_sdk::{Model, ScoringRequest};
    ///
    /// let choices = [" Paris", " London"];
    /// let likelihoods = Model::open("subject")?.log_likelihood(
    ///     choices.iter().map(|choice| ScoringRequest::new("The capital of France is", *choice)),
    /// )?;
    /// assert!(likelihoods[0].sum > likelihoods[1].sum);
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`; an empty continuation is an error.
    pub fn log_likelihood(
        &self,
        requests: impl IntoIterator<Item = ScoringRequest>,
    ) -> Result<Vec<LogLikelihood>> {
        self.0.log_likelihood(requests.into_iter().collect())
    }

    /// The option that is the likeliest continuation of a prompt: of equal ones the first. A judge that is asked so has no
    /// answer that could be misread. An option begins with a space where the prompt ends without one.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::testing::{self, ScriptedModel};
    /// use llm_bench_plugin_sdk::{LogLikelihood, Model, Result, ScoringRequest};
    ///
    /// struct Judge;
    /// impl ScriptedModel for Judge {
    ///     fn log_likelihood(&self, request: &ScoringRequest) -> Result<LogLikelihood> {
    ///         let sum = if request.continuation == " no" { -0.1 } else { -3.0 };
    ///         Ok(LogLikelihood { sum, is_greedy: false, tokens: 1 })
    ///     }
    /// }
    ///
    /// let _judge = testing::bind("judge", Judge);
    /// assert_eq!(Model::open("judge")?.choose("Is 2 + 2 five? Answer:", [" yes", " no"])?, " no");
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`; `other` where there are no options, or none is possible.
    pub fn choose<'o>(
        &self,
        prompt: impl Into<Prompt>,
        options: impl IntoIterator<Item = &'o str>,
    ) -> Result<&'o str> {
        let (prompt, options) = (prompt.into(), options.into_iter().collect::<Vec<_>>());
        let requests = options.iter().map(|option| ScoringRequest::new(prompt.clone(), *option));
        let likelihoods = self.log_likelihood(requests)?;
        let mut best: Option<(&'o str, f64)> = None;
        for (option, likelihood) in options.iter().zip(likelihoods) {
            if likelihood.sum > best.map_or(f64::NEG_INFINITY, |(_, sum)| sum) {
                best = Some((option, likelihood.sum));
            }
        }
        best.map(|(option, _)| option).ok_or_else(|| Error::other("no option is a possible continuation"))
    }

    /// Scores whole texts, however long: each token once, in windows of the model's length.
    ///
    /// ```no_run
    /// # use llm_bench_plugin_sdk::Model;
    /// let likelihoods = Model::open("subject")?.log_likelihood_rolling(["Once upon a time …"])?;
    /// println!("perplexity of a token: {}", (-likelihoods[0].sum / f64::from(likelihoods[0].tokens)).exp());
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn log_likelihood_rolling(
        &self,
        texts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<LogLikelihood>> {
        self.0.log_likelihood_rolling(owned(texts))
    }

    /// Turns each text into a vector; all of one length.
    ///
    /// ```no_run
    /// # use llm_bench_plugin_sdk::Model;
    /// let vectors = Model::open("embedder")?.embed(["a cat", "a dog"])?;
    /// assert_eq!(vectors[0].len(), vectors[1].len());
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn embed(&self, texts: impl IntoIterator<Item = impl Into<String>>) -> Result<Vec<Vec<f32>>> {
        self.0.embed(owned(texts))
    }

    /// Scores how well each document fits the query: the higher, the better.
    ///
    /// ```no_run
    /// # use llm_bench_plugin_sdk::Model;
    /// let scores = Model::open("judge")?.rank("how do cats purr?", ["Purring is …", "Dogs bark …"])?;
    /// assert!(scores[0] > scores[1]);
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn rank(
        &self,
        query: &str,
        documents: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<f32>> {
        self.0.rank(query, owned(documents))
    }

    /// Counts each text's tokens, special tokens not among them.
    ///
    /// ```no_run
    /// # use llm_bench_plugin_sdk::Model;
    /// let counts: Vec<u32> = Model::open("subject")?.count_tokens(["a few words"])?;
    /// # Ok::<(), llm_bench_plugin_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `model`, `unsupported` or `limit`.
    pub fn count_tokens(&self, texts: impl IntoIterator<Item = impl Into<String>>) -> Result<Vec<u32>> {
        self.0.count_tokens(owned(texts))
    }
}

fn owned(texts: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

fn only<T>(answers: Vec<T>) -> Result<T> {
    answers.into_iter().next().ok_or_else(|| Error::model("the model gave no answer to one request"))
}
