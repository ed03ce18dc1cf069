use llm_bench_core::Json;
use llm_bench_core::orchestrator::{Rehearsal, Trial};
use llm_bench_core::plugin::{MetricDeclaration, Plugin};
use serde::{Deserialize, Serialize};

use super::{FailureView, MetricView, PluginView, SampleView};

/// A plugin that was checked, and the metrics of its example config.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedPluginView {
    #[serde(flatten)]
    pub plugin: PluginView,
    pub metrics: Vec<MetricDeclaration>,
    /// What works and is not as it should be, a sentence each.
    pub notes: Vec<String>,
}

/// What came of trying a plugin. It serves as answers for the next try.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RehearsalView {
    pub plugin: String,
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    pub config: Json,
    /// Rows that were to be tried; there are fewer samples where it was stopped.
    pub rows: u64,
    pub samples: Vec<TrialView>,
    pub metrics: Vec<MetricView>,
    /// Why the metrics of the whole corpus have no value, where the plugin's aggregator failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_failure: Option<FailureView>,
}

/// A sample, and what its guests wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialView {
    #[serde(flatten)]
    pub sample: SampleView,
    /// The end of it, solving and scoring; null where they wrote nothing.
    pub log: Option<String>,
}

impl RehearsalView {
    pub(crate) fn new(plugin: &Plugin, config: Json, rehearsal: Rehearsal) -> Self {
        let Rehearsal { rows, trials, metrics, aggregation_failure } = rehearsal;
        Self {
            plugin: plugin.name.to_string(),
            version: plugin.version.clone(),
            digest: plugin.digest.clone(),
            config,
            rows,
            samples: trials.into_iter().map(TrialView::from).collect(),
            metrics: metrics.into_iter().map(MetricView::from).collect(),
            aggregation_failure: aggregation_failure.map(FailureView::from),
        }
    }
}

impl From<Trial> for TrialView {
    fn from(Trial { mut record, log }: Trial) -> Self {
        if let Some(failure) = &mut record.failure {
            // It stands beside the sample.
            failure.log = None;
        }
        Self { sample: SampleView::from(record), log }
    }
}
