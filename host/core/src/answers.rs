//! Answers that are brought along instead of a model: recorded calls, and what else was recorded of samples.

use std::collections::HashMap;
use std::sync::Arc;

use crate::orchestrator::CallTable;
use crate::sample::{ModelCall, SampleRecord, Solution};

/// What answers for models when a plugin is tried. A call is found as it is in a replay: by its part, its kind, its
/// requests, and by which of the equal ones it is.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    samples: HashMap<u64, SampleRecord>,
    common: Arc<CallTable>,
}

impl Answers {
    /// The calls of the sample at a row, in their order, and its solution, which a scorer judges that has no solver. The
    /// seeds of its calls are those that a host with the same seed chose.
    pub fn add_sample(&mut self, index: u64, solution: Option<Solution>, calls: Vec<ModelCall>) {
        let record = self.samples.entry(index).or_insert_with(|| SampleRecord::blank(index));
        record.solution = solution.or(record.solution.take());
        record.calls.extend(calls);
    }

    /// A call that answers once in any sample, after the calls of that sample itself. Its requests are found as they
    /// stand; a seed that the plugin leaves to its host is absent.
    pub fn add_call(&mut self, call: ModelCall) {
        Arc::make_mut(&mut self.common).add(call);
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.common.is_empty()
    }

    /// What is recorded of the sample at a row.
    pub(crate) fn sample(&self, index: u64) -> Option<&SampleRecord> {
        self.samples.get(&index)
    }

    /// The calls that answer in any sample.
    pub(crate) fn common(&self) -> &Arc<CallTable> {
        &self.common
    }
}
