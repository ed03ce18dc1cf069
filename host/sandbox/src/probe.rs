//! Doors to what meets a stranger's bytes first, for tests that try many of them.

use llm_bench_core::Result;
use llm_bench_core::limits::Limits;
use llm_bench_core::sample::{Measurement, Passage, Solution};

use crate::admission;
use crate::bindings::llm_bench::plugin::types;
use crate::convert::lift;

/// Looks at a file as an upload does, and compiles nothing.
///
/// # Errors
/// As an upload.
pub fn inspect(bytes: &[u8]) -> Result<()> {
    admission::inspect(bytes)
}

/// Takes a solution from a guest; `detail` is any text.
///
/// # Errors
/// What is wrong with it.
pub fn solution(
    answer: Option<String>,
    passages: Vec<Passage>,
    detail: Option<String>,
    limits: &Limits,
) -> Result<Solution, String> {
    let passage = |Passage { id, text, score }| types::Passage { id, text, score };
    let passages = passages.into_iter().map(passage).collect();
    lift::solution(types::Solution { answer, passages, detail }, limits)
}

/// Takes measurements from a guest.
///
/// # Errors
/// What is wrong with them.
pub fn measurements(raw: Vec<Measurement>, limits: &Limits) -> Result<Vec<Measurement>, String> {
    let measurement = |Measurement { metric, filter, value, weight, reason }| types::Measurement {
        metric,
        filter,
        value,
        weight,
        reason,
    };
    lift::measurements(raw.into_iter().map(measurement).collect(), limits)
}
