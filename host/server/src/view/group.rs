use serde::{Deserialize, Serialize};

use super::{BenchmarkView, MetricView};

/// The results of a group of presets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    pub group: String,
    pub description: String,
    /// Means over the members, weighted by size, with pooled standard errors. Empty unless all that have data were
    /// completed.
    pub metrics: Vec<MetricView>,
    pub members: Vec<MemberView>,
    /// Members that were not run: without data, refused, or behind the end of a run that was stopped.
    pub skipped: Vec<SkippedView>,
}

/// One member's benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// The preset's name.
    pub name: String,
    pub benchmark: BenchmarkView,
}

/// A member that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedView {
    pub name: String,
    /// Why not.
    pub reason: String,
}
