use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::parse_value;
use crate::{Error, ErrorCode, Result};

/// What a solver hands to the scorers. The host stores it as it is.
///
/// ```
/// use llm_bench_plugin_sdk::Solution;
///
/// let solution = Solution::answer("Paris").with_detail(&vec![-1.5, -9.0])?;
/// assert_eq!(solution.text()?, "Paris");
/// assert_eq!(solution.detail_as::<Vec<f64>>()?, [-1.5, -9.0]);
/// # Ok::<(), llm_bench_plugin_sdk::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Solution {
    /// The answer as a scorer reads it; none where it is a number in `detail`, or where the model gave none.
    pub answer: Option<String>,
    /// What was retrieved for it, best first.
    pub passages: Vec<Passage>,
    /// Whatever else the scorer needs, of the plugin's own shape.
    pub detail: Option<Value>,
}

/// A retrieved piece of text.
///
/// ```
/// use llm_bench_plugin_sdk::{Passage, Solution};
///
/// let best = Passage { id: "cats/3".into(), text: "Purring is …".into(), score: 0.9 };
/// let solution = Solution { passages: vec![best], ..Solution::answer("by its larynx") };
/// assert_eq!(solution.passages[0].id, "cats/3");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Stable name of the piece in its collection.
    pub id: String,
    /// The text as the model saw it.
    pub text: String,
    /// The retriever's score: the higher, the better.
    pub score: f64,
}

impl Solution {
    /// A solution that is one text.
    pub fn answer(answer: impl Into<String>) -> Self {
        Self { answer: Some(answer.into()), ..Self::default() }
    }

    /// The same solution with a detail of any serialisable type. JSON has no NaN and no infinity: they become null.
    ///
    /// # Errors
    /// `other` where the value has no JSON form.
    pub fn with_detail(self, detail: &impl Serialize) -> Result<Self> {
        Ok(Self { detail: Some(serde_json::to_value(detail)?), ..self })
    }

    /// The answer.
    ///
    /// # Errors
    /// `other` where the solver gave none.
    pub fn text(&self) -> Result<&str> {
        self.answer.as_deref().ok_or_else(|| Error::other("the solution has no answer"))
    }

    /// The detail, read into a type.
    ///
    /// # Errors
    /// `other` where there is none, or one of another shape: the solution is another solver's.
    pub fn detail_as<T: DeserializeOwned>(&self) -> Result<T> {
        let detail = self
            .detail
            .clone()
            .ok_or_else(|| Error::other("the solution has no detail: is it another solver's?"))?;
        parse_value(ErrorCode::Other, "detail of the solution", detail)
    }
}
