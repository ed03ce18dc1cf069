//! How well a model predicts a text. No column is gold: the text itself is what is scored.
//!
//! The definitions are those of lm-evaluation-harness 0.4.13 (`output_type: loglikelihood_rolling`).

mod detokenizer;

use llm_bench_plugin_sdk::Aggregation;
use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::count_words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use detokenizer::Detokenizer;

/// The plugin.
pub struct Perplexity;

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The column that holds the text.
    pub text: String,
    /// What is done to the text before the model sees it. Words and bytes are those of the text as it stands in the
    /// dataset.
    pub detokenizer: Detokenizer,
}

impl Default for Config {
    fn default() -> Self {
        Self { text: "text".into(), detokenizer: Detokenizer::None }
    }
}

/// What the scorer needs of a solution.
#[derive(Debug, Serialize, Deserialize)]
struct Detail {
    /// Natural log, summed over all tokens.
    log_likelihood: f64,
    /// Tokens that were scored.
    tokens: u32,
}

impl Plugin for Perplexity {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(_config: &Config) -> Result<Vec<Metric>> {
        let metric = |name, description, aggregation| Metric {
            aggregation,
            higher_is_better: false,
            ..Metric::mean(name, description)
        };
        Ok(vec![
            metric("word_perplexity", "exp(-log-likelihood / words)", Aggregation::WeightedPerplexity),
            metric("byte_perplexity", "exp(-log-likelihood / UTF-8 bytes)", Aggregation::WeightedPerplexity),
            metric("bits_per_byte", "-log-likelihood / UTF-8 bytes / ln 2", Aggregation::BitsPerByte),
        ])
    }
}

impl Solver for Perplexity {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let text = sample.input.text(&context.config.text)?;
        let text = context.config.detokenizer.apply(text);
        let likelihoods = Model::open("subject")?.log_likelihood_rolling([text])?;
        let [likelihood] = &likelihoods[..] else {
            return Err(Error::model(format!("{} answers to one text", likelihoods.len())));
        };
        if !likelihood.sum.is_finite() {
            return Err(Error::model(format!("the log-likelihood of the text is {}", likelihood.sum)));
        }
        let detail = Detail { log_likelihood: likelihood.sum, tokens: likelihood.tokens };
        Solution::default().with_detail(&detail)
    }
}

impl Scorer for Perplexity {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        _target: &Row,
    ) -> Result<Vec<Measurement>> {
        let text = sample.input.text(&context.config.text)?;
        let Detail { log_likelihood, .. } = solution.detail_as()?;
        let measure =
            |metric, units| Measurement { weight: units, ..Measurement::of(metric, log_likelihood) };
        let words = float(count_words(text));
        let bytes = float(text.len());
        Ok(vec![
            measure("word_perplexity", words),
            measure("byte_perplexity", bytes),
            measure("bits_per_byte", bytes),
        ])
    }
}

#[expect(clippy::cast_precision_loss, reason = "no text has 2^52 bytes")]
fn float(count: usize) -> f64 {
    count as f64
}

export_task!(Perplexity);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::LogLikelihood;
    use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
    use serde_json::json;

    use super::*;

    /// Every byte costs one half.
    struct Half;

    impl ScriptedModel for Half {
        fn log_likelihood_rolling(&self, text: &str) -> Result<LogLikelihood> {
            let tokens = u32::try_from(text.len()).unwrap();
            Ok(LogLikelihood { sum: -0.5 * f64::from(tokens), is_greedy: false, tokens })
        }
    }

    #[test]
    fn words_and_bytes_are_those_of_the_original_text() {
        let _subject = testing::bind("subject", Half);
        let case = Case {
            config: json!({"detokenizer": "wikitext"}),
            input: json!({"text": " = Title = \n two @-@ fold ."}),
            ..Case::default()
        };
        let solution = case.solve::<Perplexity>().unwrap();
        let measured = case.score::<Perplexity>(&solution).unwrap();
        // " = Title =\ntwo-fold ." has 21 bytes.
        assert!(measured.iter().all(|measurement| measurement.value == Some(-10.5)));
        assert_eq!(
            measured.iter().map(|measurement| measurement.weight).collect::<Vec<_>>(),
            [8.0, 27.0, 27.0]
        );
    }

    #[test]
    fn a_row_without_the_column_is_refused_by_its_name() {
        let refuse = |input| Case { input, ..Case::default() }.solve::<Perplexity>().unwrap_err().message;
        assert_eq!(refuse(json!({"page": "x"})), "column `text`: missing; the row has `page`");
    }

    #[test]
    fn an_empty_text_counts_as_the_reference_counts_it() {
        let _subject = testing::bind("subject", Half);
        let case = Case { input: json!({"text": ""}), ..Case::default() };
        let measured = case.score::<Perplexity>(&case.solve::<Perplexity>().unwrap()).unwrap();
        let counted = measured.iter().map(|measurement| (measurement.value, measurement.weight));
        // Split at white space, it is one empty word.
        assert_eq!(counted.collect::<Vec<_>>(), [(Some(0.0), 1.0), (Some(0.0), 0.0), (Some(0.0), 0.0)]);
    }

    #[test]
    fn no_column_is_gold() {
        let (schema, _) = testing::config_of::<Perplexity>();
        assert!(!schema.to_string().contains("x-gold"));
    }
}
