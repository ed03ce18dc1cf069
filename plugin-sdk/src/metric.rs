/// One number that a plugin yields for a benchmark.
///
/// ```
/// use llm_bench_plugin_sdk::{Aggregation, Metric};
///
/// let accuracy = Metric::mean("acc", "share of samples whose likeliest choice is the right one");
/// let perplexity = Metric {
///     aggregation: Aggregation::WeightedPerplexity,
///     higher_is_better: false,
///     ..Metric::mean("word_perplexity", "exp(-log-likelihood / words) of the whole text")
/// };
/// assert!(accuracy.higher_is_better && !perplexity.higher_is_better);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Name as tables show it: lower case letters, digits and `_`.
    pub name: String,
    /// How the answer was read before it was judged ("strict-match"); none: as it is.
    pub filter: Option<String>,
    /// One sentence: what the number means, with its formula or its source.
    pub description: String,
    /// How the samples' values become one.
    pub aggregation: Aggregation,
    /// Whether a larger number is a better one.
    pub higher_is_better: bool,
}

impl Metric {
    /// The mean over all samples; higher is better.
    pub fn mean(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            filter: None,
            description: description.into(),
            aggregation: Aggregation::Mean,
            higher_is_better: true,
        }
    }

    /// What the plugin's [`Aggregator`](crate::Aggregator) makes of all samples together; higher is better.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::{Aggregation, Metric};
    ///
    /// let bleu = Metric::corpus("bleu", "BLEU of all answers, 0 to 100, as sacrebleu computes it");
    /// assert_eq!(bleu.aggregation, Aggregation::Corpus);
    /// ```
    pub fn corpus(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { aggregation: Aggregation::Corpus, ..Self::mean(name, description) }
    }
}

/// How the measurements of all samples become one number. `v` is a measurement's value, `w` its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Σ v / count.
    Mean,
    /// Σ v.
    Sum,
    /// The middle value; the upper one of an even count.
    Median,
    /// Σ v / Σ w: v is a total over w units.
    WeightedMean,
    /// exp(−mean): v is a log-likelihood.
    Perplexity,
    /// exp(−Σ v / Σ w): v is a log-likelihood summed over w words or bytes.
    WeightedPerplexity,
    /// −(Σ v / Σ w) / ln 2: v is a log-likelihood summed over w bytes.
    BitsPerByte,
    /// What the plugin's [`Aggregator`](crate::Aggregator) makes of all samples together; no sample has a measurement
    /// of it.
    Corpus,
}

/// One value of one metric on one sample, or, of an [`Aggregator`](crate::Aggregator), on the whole corpus.
///
/// ```
/// use llm_bench_plugin_sdk::Measurement;
///
/// assert_eq!(Measurement::of("acc", true).value, Some(1.0));
/// assert_eq!(Measurement::of("f1", 0.8).value, Some(0.8));
/// assert_eq!(Measurement { weight: 12.0, ..Measurement::of("word_perplexity", -30.5) }.weight, 12.0);
/// // An unparsable verdict is not a wrong answer.
/// assert_eq!(Measurement::undefined("faithful", "the verdict is not yes or no").value, None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name of a metric that the plugin declares.
    pub metric: String,
    /// The filter of the same metric.
    pub filter: Option<String>,
    /// A finite number; none where the metric is undefined on this sample.
    pub value: Option<f64>,
    /// Read by weighted aggregations alone; else 1.
    pub weight: f64,
    /// Why there is no value, or what a person should know of this one.
    pub reason: Option<String>,
}

impl Measurement {
    /// A value of weight 1: a number, or right or wrong.
    pub fn of(metric: impl Into<String>, value: impl Into<Score>) -> Self {
        Self { metric: metric.into(), filter: None, value: Some(value.into().0), weight: 1.0, reason: None }
    }

    /// A judge's verdict, or no value where it could not be read: `answer` is what the judge said, for the reason.
    ///
    /// ```
    /// use llm_bench_plugin_sdk::{Measurement, verdict};
    ///
    /// let judged = |answer: &str| {
    ///     let verdict = verdict::one_of(answer, &["yes", "no"]);
    ///     Measurement::judged("faithful", verdict.map(|verdict| verdict == "yes"), answer)
    /// };
    /// assert_eq!(judged("Yes.").value, Some(1.0));
    /// assert_eq!(judged("Hm.").value, None);
    /// assert_eq!(judged("Hm.").reason.unwrap(), "the judge's verdict cannot be read: \"Hm.\"");
    /// ```
    pub fn judged(metric: impl Into<String>, verdict: Option<impl Into<Score>>, answer: &str) -> Self {
        const SHOWN: usize = 200;
        if let Some(verdict) = verdict {
            return Self::of(metric, verdict);
        }
        let mut shown: String = answer.chars().take(SHOWN).collect();
        if answer.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Self::undefined(metric, format!("the judge's verdict cannot be read: {shown:?}"))
    }

    /// No value, with the reason: the sample is counted beside the metric and does not enter it.
    pub fn undefined(metric: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { metric: metric.into(), filter: None, value: None, weight: 1.0, reason: Some(reason.into()) }
    }
}

/// What [`Measurement::of`] takes: a number, or right (1) or wrong (0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score(pub f64);

impl From<f64> for Score {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<bool> for Score {
    fn from(right: bool) -> Self {
        Self(f64::from(u8::from(right)))
    }
}
