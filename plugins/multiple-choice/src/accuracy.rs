//! Which choice the model would take, and whether it is right.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Detail;

/// What counts as the model's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// That of the greatest log-likelihood.
    Acc,
    /// That of the greatest log-likelihood per character.
    AccNorm,
    /// That of the greatest log-likelihood per UTF-8 byte.
    AccBytes,
    /// That whose log-likelihood gains most by the question, over none.
    AccMutualInfo,
    /// Any that the model would write by itself.
    ExactMatch,
}

impl Accuracy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::AccMutualInfo => "acc_mutual_info",
            Self::ExactMatch => "exact_match",
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
            Self::AccMutualInfo => {
                "share of samples whose right choice gains most log-likelihood by the question, over none"
            }
            Self::ExactMatch => "share of samples whose right choice the model would write by itself",
        }
    }

    /// Whether the model's choice is one of the right ones.
    #[expect(clippy::cast_precision_loss, reason = "no choice has 2^52 characters")]
    pub(crate) fn is_right(self, detail: &Detail, gold: &[usize]) -> bool {
        let per = |length: fn(&String) -> usize| {
            // An empty choice divides by zero and is never taken, as in the reference.
            let lengths = detail.choices.iter().map(|choice| length(choice) as f64);
            first_maximum(detail.sums().zip(lengths).map(|(sum, length)| sum / length))
        };
        let chosen = match self {
            Self::Acc => first_maximum(detail.sums()),
            Self::AccNorm => per(|choice| choice.chars().count()),
            Self::AccBytes => per(String::len),
            Self::AccMutualInfo => first_maximum(
                detail.sums().zip(detail.sums_without_question()).map(|(sum, without)| sum - without),
            ),
            Self::ExactMatch => return gold.iter().any(|right| detail.is_greedy.get(*right) == Some(&true)),
        };
        gold.contains(&chosen)
    }
}

/// Index of the greatest value, the first of equal ones; 0 of none.
pub(crate) fn first_maximum(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(first_maximum([-2.0, -1.0, -1.0].into_iter()), 1);
        assert_eq!(first_maximum([f64::NEG_INFINITY; 2].into_iter()), 0);
    }

    #[test]
    fn length_is_counted_in_characters_or_bytes_of_the_choice_alone() {
        let detail = Detail {
            choice: 0,
            choices: vec!["ééé".to_owned(), "abcd".into()],
            log_likelihoods: vec![Some(-3.3), Some(-4.0)],
            is_greedy: vec![false, true],
            without_question: vec![Some(-3.0), Some(-5.0)],
        };
        let right = |accuracy: Accuracy| [0, 1].map(|gold| accuracy.is_right(&detail, &[gold]));
        assert_eq!(right(Accuracy::Acc), [true, false]);
        assert_eq!(right(Accuracy::AccNorm), [false, true]);
        assert_eq!(right(Accuracy::AccBytes), [true, false]);
        assert_eq!(right(Accuracy::AccMutualInfo), [false, true]);
        assert_eq!(right(Accuracy::ExactMatch), [false, true]);
    }
}
