use llm_bench_core::benchmark::Benchmark;
use llm_bench_core::comparison::{Comparison, MetricComparison, NotCompared, Scale};
use llm_bench_core::statistics::{McNemar, McNemarTest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SourceView;

/// Two benchmarks over the same data, held against each other sample by sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComparisonView {
    pub first: ComparedView,
    pub second: ComparedView,
    pub samples: PairedSamplesView,
    /// Of the metrics that both have.
    pub metrics: Vec<MetricComparisonView>,
    /// Metrics that cannot be compared, with the reason.
    pub not_compared: Vec<NotComparedView>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComparedView {
    pub id: String,
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    pub model: String,
    /// `name@version` of the task.
    pub task: String,
    pub dataset: String,
    pub split: String,
    pub few_shot: u32,
    /// Where the answers come from, of a benchmark that judges what another one recorded.
    pub source: Option<SourceView>,
}

/// How the samples of the two meet. Failed samples have no measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairedSamplesView {
    /// Samples with measurements in both, which alone are compared.
    pub paired: u64,
    /// Samples with measurements in the first alone.
    pub only_first: u64,
    /// Samples with measurements in the second alone.
    pub only_second: u64,
}

/// One metric over the paired samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricComparisonView {
    pub name: String,
    /// How the answer was read before it was judged; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub higher_is_better: bool,
    /// The metric in the first benchmark, over the paired samples; null where it is undefined.
    pub first: Option<f64>,
    /// The metric in the second benchmark, over the paired samples; null where it is undefined.
    pub second: Option<f64>,
    /// Second minus first; where `scale` is `logarithmic`, of the natural logarithms.
    pub difference: Option<f64>,
    /// `linear`; `logarithmic` for perplexities, which differ by a factor.
    pub scale: String,
    /// Paired standard error of the difference; null below two samples.
    pub stderr: Option<f64>,
    /// 95 % interval of the difference, low then high.
    pub ci95: Option<[f64; 2]>,
    /// Samples with a value in both.
    pub count: u64,
    /// Where every value is 0 or 1.
    pub mcnemar: Option<McNemarView>,
}

/// `McNemar`'s test of whether both are right equally often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct McNemarView {
    /// Samples that the first alone has right.
    pub only_first: u64,
    /// Samples that the second alone has right.
    pub only_second: u64,
    /// `exact` (binomial) where those are fewer than 25, else `chi-square`, corrected for continuity.
    pub test: String,
    /// Of the chi-square test.
    pub statistic: Option<f64>,
    pub p_value: f64,
}

/// A metric that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotComparedView {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub reason: String,
}

impl ComparisonView {
    pub fn new(first: Benchmark, second: Benchmark, comparison: Comparison) -> Self {
        let Comparison { paired, only_first, only_second, metrics, not_compared } = comparison;
        Self {
            first: first.into(),
            second: second.into(),
            samples: PairedSamplesView { paired, only_first, only_second },
            metrics: metrics.into_iter().map(MetricComparisonView::from).collect(),
            not_compared: not_compared.into_iter().map(NotComparedView::from).collect(),
        }
    }
}

impl From<Benchmark> for ComparedView {
    fn from(benchmark: Benchmark) -> Self {
        let Benchmark { id, status, plan, outcome, .. } = benchmark;
        let agreement = outcome.as_ref().and_then(|outcome| outcome.agreement.as_ref());
        Self {
            id: id.to_string(),
            status: status.as_str().to_owned(),
            model: plan.model.name,
            task: format!("{}@{}", plan.task.name, plan.task.version),
            dataset: plan.dataset,
            split: plan.split.name,
            few_shot: plan.few_shot.map_or(0, |few_shot| few_shot.count),
            source: plan.source.map(|source| SourceView::new(source, agreement)),
        }
    }
}

impl From<MetricComparison> for MetricComparisonView {
    fn from(metric: MetricComparison) -> Self {
        let MetricComparison {
            name,
            filter,
            higher_is_better,
            first,
            second,
            difference,
            scale,
            count,
            mcnemar,
        } = metric;
        Self {
            name,
            filter,
            higher_is_better,
            first,
            second,
            difference: difference.map(|difference| difference.value),
            scale: match scale {
                Scale::Linear => "linear",
                Scale::Logarithmic => "logarithmic",
            }
            .to_owned(),
            stderr: difference.and_then(|difference| difference.stderr),
            ci95: difference.and_then(|difference| difference.ci95),
            count,
            mcnemar: mcnemar.map(McNemarView::from),
        }
    }
}

impl From<(McNemar, McNemarTest)> for McNemarView {
    fn from((counts, test): (McNemar, McNemarTest)) -> Self {
        let McNemar { only_first, only_second } = counts;
        let (name, statistic) = match test {
            McNemarTest::Exact { .. } => ("exact", None),
            McNemarTest::ChiSquare { statistic, .. } => ("chi-square", Some(statistic)),
        };
        Self { only_first, only_second, test: name.to_owned(), statistic, p_value: test.p_value() }
    }
}

impl From<NotCompared> for NotComparedView {
    fn from(metric: NotCompared) -> Self {
        let NotCompared { name, filter, reason } = metric;
        Self { name, filter, reason: reason.to_owned() }
    }
}
