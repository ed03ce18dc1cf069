use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::{Bleu, Chrf, ExactMatch, Pattern, Rouge};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Filter;

/// What a benchmark may set. Templates see the row without its gold column, but for `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each with a name")]
pub struct Settings {
    /// The gold column: the right answer, or a list of right answers. Few-shot examples show the first.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
    /// Where the gold column holds an object: the entry that holds the answers (`text` in the `answers` of `SQuAD`).
    pub answer_entry: Option<String>,
    /// The right answer: a template that sees the gold column too, instead of what stands in it.
    pub target: Option<Template>,
    /// Texts that end the answer; the model's own end always does.
    pub until: Vec<String>,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// What becomes of an answer that has so many tokens and did not end.
    pub cut_off: CutOff,
    /// 0 takes the most likely token, always.
    pub temperature: f32,
    /// Seed of the draws where the temperature is not 0; absent: the benchmark's.
    pub seed: Option<u64>,
    /// How the answer is read before it is judged; none: as it is, once.
    pub filters: Vec<Filter>,
    /// Whether white space around the answer is ignored.
    pub strip: bool,
    /// `exact_match` compares in lower case.
    pub ignore_case: bool,
    /// `exact_match` leaves out ASCII punctuation.
    pub ignore_punctuation: bool,
    /// `exact_match` leaves out the digits 0 to 9.
    pub ignore_numbers: bool,
    /// `exact_match` leaves out what these regular expressions match, before all else.
    pub regexes_to_ignore: Vec<Pattern>,
    /// What to measure.
    pub metrics: Vec<Judgement>,
    /// How `bleu` is computed.
    pub bleu: Bleu,
    /// How `chrf` is computed.
    pub chrf: Chrf,
}

/// What becomes of an answer that did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CutOff {
    /// It is judged as far as it goes, as lm-evaluation-harness does.
    #[default]
    Judge,
    /// Its sample fails.
    Fail,
}

/// How an answer is compared with the gold ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It equals one of them, but for what the config ignores.
    ExactMatch,
    /// It equals one of them in `SQuAD`'s normal form.
    Em,
    /// `SQuAD`'s F1 over words: the best over them.
    F1,
    /// One of them stands in it, whatever the case of its letters.
    Contains,
    /// BLEU of all answers together, as sacrebleu computes it.
    Bleu,
    /// chrF of all answers together, as sacrebleu computes it.
    Chrf,
    /// F1 of the words in common, as rouge-score computes it: the best over them.
    Rouge1,
    /// The same, of pairs of neighbouring words.
    Rouge2,
    /// The same, of the longest common subsequence of words (ROUGE-L).
    Rougel,
    /// The same, of the longest common subsequences line by line, for summaries of one sentence a line (ROUGE-Lsum).
    Rougelsum,
}

impl TaskSettings for Settings {}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer: "answer".into(),
            answer_entry: None,
            target: None,
            until: vec!["\n".into()],
            max_tokens: 64,
            cut_off: CutOff::default(),
            temperature: 0.0,
            seed: None,
            filters: Vec::new(),
            strip: true,
            ignore_case: false,
            ignore_punctuation: false,
            ignore_numbers: false,
            regexes_to_ignore: Vec::new(),
            metrics: vec![Judgement::ExactMatch],
            bleu: Bleu::default(),
            chrf: Chrf::default(),
        }
    }
}

impl Settings {
    /// Refuses what has the right shape and makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let names: Vec<&str> = self.metrics.iter().map(|judgement| judgement.name()).collect();
        let filters: Vec<&str> = self.filters.iter().map(|filter| filter.name.as_str()).collect();
        let problem = if names.is_empty() {
            "`metrics`: empty; name at least one, such as \"exact_match\"".into()
        } else if let Some(name) = repeated(&names) {
            format!("`metrics`: \"{name}\" stands twice")
        } else if let Some(name) = repeated(&filters) {
            format!("`filters`: two are named \"{name}\"")
        } else if self.max_tokens == 0 {
            "`max_tokens`: must be at least 1".into()
        } else if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            "`temperature`: must not be negative".into()
        } else if self.until.iter().any(String::is_empty) {
            "`until`: an empty text would end every answer at once".into()
        } else {
            return Ok(());
        };
        Err(Error::invalid_config(format!("config: {problem}")))
    }

    /// The ways in which an answer is read: at least one; none is the answer as it is.
    pub(crate) fn readings(&self) -> impl Iterator<Item = Option<&Filter>> {
        let as_it_is = self.filters.is_empty().then_some(None);
        as_it_is.into_iter().chain(self.filters.iter().map(Some))
    }

    pub(crate) fn exact_match(&self) -> ExactMatch {
        ExactMatch {
            ignore_case: self.ignore_case,
            ignore_punctuation: self.ignore_punctuation,
            ignore_numbers: self.ignore_numbers,
            regexes_to_ignore: self.regexes_to_ignore.clone(),
        }
    }
}

impl Judgement {
    /// Whether it is of all answers together.
    pub(crate) fn is_of_corpus(self) -> bool {
        matches!(self, Self::Bleu | Self::Chrf)
    }

    /// The ROUGE that it is.
    pub(crate) fn rouge(self) -> Option<Rouge> {
        match self {
            Self::Rouge1 => Some(Rouge::One),
            Self::Rouge2 => Some(Rouge::Two),
            Self::Rougel => Some(Rouge::L),
            Self::Rougelsum => Some(Rouge::LSum),
            Self::ExactMatch | Self::Em | Self::F1 | Self::Contains | Self::Bleu | Self::Chrf => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ExactMatch => "exact_match",
            Self::Em => "em",
            Self::F1 => "f1",
            Self::Contains => "contains",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::Rouge1 => "rouge1",
            Self::Rouge2 => "rouge2",
            Self::Rougel => "rougel",
            Self::Rougelsum => "rougelsum",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::ExactMatch => "share of answers that equal a right one, but for what the config ignores",
            Self::Em => "share of answers that equal a right one in SQuAD's normal form",
            Self::F1 => "SQuAD's F1 over the words of answer and right answer, the best over the right ones",
            Self::Contains => {
                "share of answers in which a right one stands, whatever the case of its letters"
            }
            Self::Bleu => "BLEU of all answers together against the right ones, 0 to 100, as sacrebleu",
            Self::Chrf => "chrF of all answers together against the right ones, 0 to 100, as sacrebleu",
            Self::Rouge1 => "ROUGE-1 (F1), 0 to 1, the best over the right answers, as rouge-score",
            Self::Rouge2 => "ROUGE-2 (F1), 0 to 1, the best over the right answers, as rouge-score",
            Self::Rougel => "ROUGE-L (F1), 0 to 1, the best over the right answers, as rouge-score",
            Self::Rougelsum => "ROUGE-Lsum (F1), 0 to 1, the best over the right answers, as rouge-score",
        }
    }
}

fn repeated<'n>(names: &[&'n str]) -> Option<&'n str> {
    names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)).map(|(_, name)| *name)
}
