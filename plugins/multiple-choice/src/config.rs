use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a benchmark may set. Templates see the row without its gold column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Stands before everything: a template. Under a chat template it is the system message.
    pub description: Template,
    /// The question: a template.
    pub prompt: Template,
    /// The choices: a column that holds a list of texts (`choices`, `choices.text`), or a list of templates, one for
    /// each choice (`["no", "yes"]`, `["{{ sol1 }}", "{{ sol2 }}"]`).
    pub choices: Choices,
    /// How a choice is shown: a template that sees the row and, as `choice`, the choice.
    pub choice: Template,
    /// A column that holds a list of names of the choices (`choices.label`): the gold column then gives such a name.
    pub labels: Option<String>,
    /// The gold column. It gives the text of a choice, or its number from 0, or its letter from A, or a list of
    /// these where several are right.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
    /// What stands between question and choice. Nothing does in a chat.
    pub delimiter: String,
    /// Whether the question is asked as a chat, few-shot examples as its turns.
    pub chat: bool,
    /// Which accuracies to measure.
    pub metrics: Vec<Accuracy>,
}

/// Where the choices come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawChoices", into = "RawChoices")]
pub enum Choices {
    /// A column that holds a list of texts.
    Column(String),
    /// A template for each.
    Templates(Vec<Template>),
}

/// What the likeliest choice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// That of the greatest log-likelihood.
    Acc,
    /// That of the greatest log-likelihood per character.
    AccNorm,
    /// That of the greatest log-likelihood per UTF-8 byte.
    AccBytes,
}

impl Default for Config {
    fn default() -> Self {
        let template = |source| Template::parse(source).expect("the defaults parse");
        Self {
            description: template(""),
            prompt: template("{% if context %}{{ context }}\n{% endif %}Question: {{ question }}\nAnswer:"),
            choices: Choices::Column("choices".into()),
            choice: template("{{ choice }}"),
            labels: None,
            answer: "answer".into(),
            delimiter: " ".into(),
            chat: false,
            metrics: vec![Accuracy::Acc, Accuracy::AccNorm],
        }
    }
}

impl Config {
    /// Refuses what has the right shape and makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let repeated =
            |accuracy: &Accuracy| self.metrics.iter().filter(|other| *other == accuracy).count() > 1;
        if self.metrics.is_empty() {
            return Err(Error::invalid_config(
                "config: `metrics`: empty; name at least one, such as \"acc\"",
            ));
        }
        if let Some(accuracy) = self.metrics.iter().find(|accuracy| repeated(accuracy)) {
            return Err(Error::invalid_config(format!(
                "config: `metrics`: \"{}\" stands twice",
                accuracy.name()
            )));
        }
        match &self.choices {
            Choices::Templates(templates) if templates.is_empty() => Err(Error::invalid_config(
                "config: `choices`: empty; name a column, or give at least one choice",
            )),
            _ => Ok(()),
        }
    }

    /// The choices of a row, as the model sees them.
    pub(crate) fn choices_of(&self, row: &Row) -> Result<Vec<String>> {
        let choices: Vec<String> = match &self.choices {
            Choices::Column(column) => row.texts(column)?.into_iter().map(Into::into).collect(),
            Choices::Templates(templates) => {
                templates.iter().map(|template| template.render(row)).collect::<Result<_>>()?
            }
        };
        if choices.is_empty() {
            return Err(match &self.choices {
                Choices::Column(column) => Error::invalid_sample(format!("column `{column}`: no choices")),
                Choices::Templates(_) => Error::invalid_config("config: `choices`: empty"),
            });
        }
        if self.choice.source() == "{{ choice }}" {
            return Ok(choices);
        }
        let mut variables = row.clone();
        let show = |choice| {
            variables.0.insert("choice".into(), Value::String(choice));
            self.choice.render(&variables)
        };
        choices.into_iter().map(show).collect()
    }
}

impl Accuracy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Acc => "share of samples whose right choice has the greatest log-likelihood",
            Self::AccNorm => {
                "share of samples whose right choice has the greatest log-likelihood per character"
            }
            Self::AccBytes => {
                "share of samples whose right choice has the greatest log-likelihood per UTF-8 byte"
            }
        }
    }
}

/// The choices as a config spells them.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a column's name or a list of texts")]
enum RawChoices {
    Column(String),
    Templates(Vec<String>),
}

impl TryFrom<RawChoices> for Choices {
    type Error = Error;

    fn try_from(raw: RawChoices) -> Result<Self> {
        Ok(match raw {
            RawChoices::Column(column) => Self::Column(column),
            RawChoices::Templates(sources) => {
                Self::Templates(sources.iter().map(|source| Template::parse(source)).collect::<Result<_>>()?)
            }
        })
    }
}

impl From<Choices> for RawChoices {
    fn from(choices: Choices) -> Self {
        match choices {
            Choices::Column(column) => Self::Column(column),
            Choices::Templates(templates) => Self::Templates(templates.into_iter().map(Into::into).collect()),
        }
    }
}
