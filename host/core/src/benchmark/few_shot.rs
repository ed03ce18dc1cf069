//! The solved rows before a question: which they are.

use serde::{Deserialize, Serialize};

use crate::dataset::Split;

/// The solved rows that stand before every question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FewShot {
    pub split: Split,
    /// Examples in a prompt.
    pub count: u32,
    #[serde(default)]
    pub sampling: FewShotSampling,
    /// Row numbers, in the order of the prompt: `count` of them, or more where the evaluated row may be among them
    /// and is left out. Empty where rows are drawn for each evaluated row: see [`FewShotDraws`].
    pub rows: Vec<u64>,
}

/// How few-shot examples are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FewShotSampling {
    /// The first rows of the split, before every question.
    #[default]
    First,
    /// Rows drawn at random for each question, in the order of the evaluated rows.
    Random,
}

/// Rows of the few-shot split that were drawn for each evaluated row. Every draw depends on all before it, so they
/// are made together, when the benchmark is created. Many: they are kept apart from the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FewShotDraws {
    /// Rows of one draw.
    pub count: u32,
    /// Row numbers, draw behind draw.
    pub rows: Vec<u64>,
}

impl FewShotDraws {
    /// The rows for an evaluated row, in the order of the prompt; none of a row beyond the drawn ones.
    pub fn of(&self, index: u64) -> &[u64] {
        let count = self.count as usize;
        let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(count));
        start.and_then(|start| self.rows.get(start..start.checked_add(count)?)).unwrap_or_default()
    }
}

impl FewShotSampling {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Random => "random",
        }
    }
}
