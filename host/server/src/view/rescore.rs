use llm_bench_core::benchmark::PluginPin;
use llm_bench_core::rescore::{Agreement, Source, Takes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a benchmark that asks no subject has its answers from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// The benchmark whose record is judged.
    pub benchmark: String,
    /// `name@version` of its task.
    pub task: String,
    /// SHA-256 of that task's component.
    pub task_digest: String,
    /// `calls`: a task asked anew and was answered from the record; `solutions`: a scorer judged what was solved.
    pub takes: String,
    /// Parts whose calls are answered from the record.
    pub recorded_parts: Vec<String>,
    /// How its samples agree with the source's; null until the benchmark has ended, or where the two measure
    /// different things.
    pub agreement: Option<AgreementView>,
}

/// How samples agree with what was recorded of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgreementView {
    /// Whether solution, measurements and failure of every sample are the recorded ones, bit for bit.
    pub identical: bool,
    /// Samples that were compared.
    pub compared: u64,
    pub differing: u64,
    /// The first samples that differ, at most 100.
    pub samples: Vec<String>,
}

impl SourceView {
    pub fn new(source: Source, agreement: Option<&Agreement>) -> Self {
        let Source {
            benchmark, task: PluginPin { name, version, digest, .. }, takes, recorded_parts, ..
        } = source;
        Self {
            benchmark: benchmark.to_string(),
            task: format!("{name}@{version}"),
            task_digest: digest,
            takes: takes.as_str().to_owned(),
            recorded_parts,
            agreement: agreement.map(AgreementView::from),
        }
    }

    /// What the benchmark is, in a few words.
    pub fn summary(&self) -> String {
        let what = if self.takes == Takes::Calls.as_str() { "replay" } else { "rescored solutions" };
        format!("{what} of {}", self.benchmark)
    }
}

impl From<&Agreement> for AgreementView {
    fn from(agreement: &Agreement) -> Self {
        Self {
            identical: agreement.is_identical(),
            compared: agreement.compared,
            differing: agreement.differing,
            samples: agreement.rows.iter().map(ToString::to_string).collect(),
        }
    }
}
