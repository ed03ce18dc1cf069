use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Accuracy;

/// What a benchmark may set. Templates see the row without its gold column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The choices: a column that holds a list of texts (`choices`, `choices.text`), or a list of templates, one for
    /// each choice (`["no", "yes"]`, `["{{ sol1 }}", "{{ sol2 }}"]`).
    pub choices: Choices,
    /// How a choice is shown: a template that sees the row and, as `choice`, the choice.
    pub choice: Template,
    /// What is scored instead of the choice: a template, the same text after each. The prompt then sees `choice` and
    /// is filled once for each, so that choices stand in the question (a blank filled in two ways).
    pub continuation: Option<Template>,
    /// Names of the choices, by which the gold column gives the right one: a column that holds a list of them
    /// (`choices.label`), or the list itself (`["1", "2"]`).
    pub labels: Option<Labels>,
    /// The gold column. It gives the text of a choice, or its number from 0, or its letter from A, or a list of
    /// these where several are right.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
    /// What the gold column gives; `any` takes it for a text where a choice reads so, else for a number, else for a
    /// letter.
    pub answer_kind: AnswerKind,
    /// What to measure.
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

/// Where the names of the choices come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a column's name or a list of texts")]
pub enum Labels {
    /// A column that holds a list of them.
    Column(String),
    /// The same for every row.
    Names(Vec<String>),
}

/// How the gold column gives the right choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Text, number or letter, whichever fits first.
    #[default]
    Any,
    /// A number from 0.
    Index,
    /// A letter from A.
    Letter,
    /// The text of the choice.
    Text,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            choices: Choices::Column("choices".into()),
            choice: Template::parse(AS_IT_IS).expect("the default parses"),
            continuation: None,
            labels: None,
            answer: "answer".into(),
            answer_kind: AnswerKind::Any,
            metrics: vec![Accuracy::Acc, Accuracy::AccNorm],
        }
    }
}

impl TaskSettings for Settings {}

/// The default of [`Settings::choice`].
const AS_IT_IS: &str = "{{ choice }}";

impl Settings {
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
        if self.continuation.is_some() && self.metrics.contains(&Accuracy::AccMutualInfo) {
            return Err(Error::invalid_config(
                "config: `metrics`: \"acc_mutual_info\" compares choices, but `continuation` is scored instead",
            ));
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
        if self.choice.source() == AS_IT_IS {
            return Ok(choices);
        }
        choices.iter().map(|choice| self.choice.render(&with_choice(row, choice))).collect()
    }
}

/// The row as templates see it that may name the choice.
pub(crate) fn with_choice(row: &Row, choice: &str) -> Row {
    let mut row = row.clone();
    row.0.insert("choice".into(), Value::String(choice.into()));
    row
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
