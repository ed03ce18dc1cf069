//! Holding two benchmarks over the same samples against each other, sample by sample.

use std::cmp::Ordering;
use std::collections::VecDeque;

use futures::TryStreamExt;

use crate::benchmark::{Benchmark, BenchmarkRepository, SampleCursor};
use crate::id::BenchmarkId;
use crate::plugin::{Aggregation, MetricDeclaration};
use crate::sample::Measurement;
use crate::statistics::{Difference, McNemar, McNemarTest, PairedMeans, PairedRatios, Total};
use crate::{Error, Result};

/// Samples of a benchmark that are read at once.
const SAMPLES_AT_ONCE: usize = 1000;

/// What became of the samples that two benchmarks share.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Samples with measurements in both, which alone enter the metrics.
    pub paired: u64,
    /// Samples with measurements in the first alone: the second did not get so far, or failed there.
    pub only_first: u64,
    pub only_second: u64,
    /// Of the metrics that both have, in the order of the first.
    pub metrics: Vec<MetricComparison>,
    pub not_compared: Vec<NotCompared>,
}

/// One metric over the paired samples.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricComparison {
    pub name: String,
    pub filter: Option<String>,
    pub higher_is_better: bool,
    /// The metric in the first and in the second benchmark; none where it is undefined.
    pub first: Option<f64>,
    pub second: Option<f64>,
    pub difference: Option<Difference>,
    pub scale: Scale,
    /// Pairs with a value on both sides.
    pub count: u64,
    /// Where every value is 0 or 1.
    pub mcnemar: Option<(McNemar, McNemarTest)>,
}

/// What a difference is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Of the two figures.
    Linear,
    /// Of their natural logarithms: perplexities differ by a factor.
    Logarithmic,
}

/// A metric that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompared {
    pub name: String,
    pub filter: Option<String>,
    pub reason: &'static str,
}

/// Compares two benchmarks that have ended: paired by row and repeat, over the metrics that both have. Memory is
/// constant, but for the metrics with weights, which keep 32 bytes a sample.
///
/// # Errors
/// `benchmark-not-ended`; `different-data` when they are not over the same file.
pub async fn compare(
    benchmarks: &dyn BenchmarkRepository,
    first: &Benchmark,
    second: &Benchmark,
) -> Result<Comparison> {
    ensure_comparable(first, second)?;
    let (mut pairings, not_compared) = pairings(&first.plan.metrics, &second.plan.metrics);
    let (mut of_first, mut of_second) =
        (Samples::of(benchmarks, first.id), Samples::of(benchmarks, second.id));
    let (mut paired, mut only_first, mut only_second) = (0, 0, 0);
    loop {
        let order = match (of_first.peek().await?, of_second.peek().await?) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(first), Some(second)) => first.cmp(&second),
        };
        match order {
            Ordering::Less => {
                of_first.take();
                only_first += 1;
            }
            Ordering::Greater => {
                of_second.take();
                only_second += 1;
            }
            Ordering::Equal => {
                let (first, second) = (of_first.take(), of_second.take());
                for pairing in &mut pairings {
                    pairing.add(&first, &second);
                }
                paired += 1;
            }
        }
    }
    let metrics = pairings.into_iter().map(Pairing::finish).collect();
    Ok(Comparison { paired, only_first, only_second, metrics, not_compared })
}

fn ensure_comparable(first: &Benchmark, second: &Benchmark) -> Result<()> {
    for benchmark in [first, second] {
        if !benchmark.status.has_ended() {
            let message = format!(
                "benchmark {} is {}: it can be compared once it has ended",
                benchmark.id,
                benchmark.status.as_str()
            );
            return Err(Error::conflict("benchmark-not-ended", message));
        }
    }
    if first.plan.split.digest != second.plan.split.digest {
        let over = |benchmark: &Benchmark| {
            let plan = &benchmark.plan;
            let digest: String = plan.split.digest.chars().take(12).collect();
            format!("{}/{} (sha256 {digest}…)", plan.dataset, plan.split.name)
        };
        let message = format!(
            "the benchmarks are over different data, {} and {}: only runs over the same file can be paired by sample",
            over(first),
            over(second)
        );
        return Err(Error::conflict("different-data", message));
    }
    Ok(())
}

/// The metrics that are compared, and why the others are not.
fn pairings(first: &[MetricDeclaration], second: &[MetricDeclaration]) -> (Vec<Pairing>, Vec<NotCompared>) {
    let find = |among: &[MetricDeclaration], wanted: &MetricDeclaration| {
        among.iter().find(|metric| metric.name == wanted.name && metric.filter == wanted.filter).cloned()
    };
    let mut compared = Vec::new();
    let mut not_compared = Vec::new();
    let mut refuse = |metric: &MetricDeclaration, reason| {
        let MetricDeclaration { name, filter, .. } = metric.clone();
        not_compared.push(NotCompared { name, filter, reason });
    };
    for metric in first {
        match find(second, metric) {
            None => refuse(metric, "only the first benchmark has it"),
            Some(other) if other.aggregation != metric.aggregation => {
                refuse(metric, "the benchmarks aggregate it in different ways");
            }
            Some(_) => match Gathered::new(metric.aggregation) {
                Some(gathered) => compared.push(Pairing { metric: metric.clone(), gathered }),
                None if metric.is_of_corpus() => {
                    refuse(metric, "it is computed over the whole corpus, so that samples cannot be paired");
                }
                None => refuse(
                    metric,
                    "a median is not the sum of its samples, so that it has no paired difference",
                ),
            },
        }
    }
    for metric in second.iter().filter(|metric| find(first, metric).is_none()) {
        refuse(metric, "only the second benchmark has it");
    }
    (compared, not_compared)
}

/// A metric while its pairs are gathered.
struct Pairing {
    metric: MetricDeclaration,
    gathered: Gathered,
}

enum Gathered {
    Means {
        means: PairedMeans,
        /// None as soon as a value is neither 0 nor 1.
        mcnemar: Option<McNemar>,
    },
    Ratios(PairedRatios),
}

impl Gathered {
    /// None for what has no paired difference.
    fn new(aggregation: Aggregation) -> Option<Self> {
        let means = |mcnemar| Self::Means { means: PairedMeans::default(), mcnemar };
        match aggregation {
            Aggregation::Mean => Some(means(Some(McNemar::default()))),
            Aggregation::Sum | Aggregation::Perplexity => Some(means(None)),
            Aggregation::WeightedMean | Aggregation::WeightedPerplexity | Aggregation::BitsPerByte => {
                Some(Self::Ratios(PairedRatios::default()))
            }
            Aggregation::Median | Aggregation::Corpus => None,
        }
    }
}

impl Pairing {
    /// Adds a sample, unless the metric is undefined on a side of it.
    fn add(&mut self, first: &[Measurement], second: &[Measurement]) {
        let find = |measurements: &[Measurement]| {
            let found = measurements.iter().find(|measurement| {
                measurement.metric == self.metric.name && measurement.filter == self.metric.filter
            })?;
            Some(Total { value: found.value?, weight: found.weight })
        };
        let (Some(first), Some(second)) = (find(first), find(second)) else { return };
        match &mut self.gathered {
            Gathered::Means { means, mcnemar } => {
                means.add(first.value, second.value);
                match (as_bit(first.value), as_bit(second.value), mcnemar.as_mut()) {
                    (Some(first), Some(second), Some(mcnemar)) => mcnemar.add(first, second),
                    _ => *mcnemar = None,
                }
            }
            Gathered::Ratios(ratios) => ratios.add(first, second),
        }
    }

    fn finish(self) -> MetricComparison {
        let MetricDeclaration { name, filter, aggregation, higher_is_better, .. } = self.metric;
        let (count, figures, difference, mcnemar) = match self.gathered {
            Gathered::Means { means, mcnemar } => (means.count(), means.means(), means.difference(), mcnemar),
            Gathered::Ratios(ratios) => (ratios.count(), ratios.ratios(), ratios.difference(), None),
        };
        // From means of log-likelihoods to what the metric makes of them.
        let (factor, scale) = match aggregation {
            Aggregation::Perplexity | Aggregation::WeightedPerplexity => (-1.0, Scale::Logarithmic),
            Aggregation::BitsPerByte => (-1.0 / std::f64::consts::LN_2, Scale::Linear),
            Aggregation::Sum => (count as f64, Scale::Linear),
            Aggregation::Mean | Aggregation::WeightedMean | Aggregation::Median | Aggregation::Corpus => {
                (1.0, Scale::Linear)
            }
        };
        let figure = |run: usize| {
            let scaled = figures?[run] * factor;
            let figure = if scale == Scale::Logarithmic { scaled.exp() } else { scaled };
            figure.is_finite().then_some(figure)
        };
        MetricComparison {
            name,
            filter,
            higher_is_better,
            first: figure(0),
            second: figure(1),
            difference: difference
                .map(|difference| difference.scaled(factor))
                .filter(|difference| difference.value.is_finite()),
            scale,
            count,
            mcnemar: mcnemar.filter(|_| count > 0).map(|mcnemar| (mcnemar, mcnemar.test())),
        }
    }
}

#[expect(clippy::float_cmp, reason = "right and wrong are exactly 1 and 0")]
fn as_bit(value: f64) -> Option<bool> {
    if value == 1.0 { Some(true) } else { (value == 0.0).then_some(false) }
}

/// The measurements of a benchmark, a sample at a time. Two of these never hold a connection at once, so that
/// comparisons can't wait for each other's.
struct Samples<'a> {
    benchmarks: &'a dyn BenchmarkRepository,
    id: BenchmarkId,
    read: VecDeque<(SampleCursor, Vec<Measurement>)>,
    /// The last sample that was read.
    after: Option<SampleCursor>,
    ended: bool,
}

impl<'a> Samples<'a> {
    fn of(benchmarks: &'a dyn BenchmarkRepository, id: BenchmarkId) -> Self {
        Self { benchmarks, id, read: VecDeque::new(), after: None, ended: false }
    }

    /// The place of the next sample; none at the end.
    async fn peek(&mut self) -> Result<Option<SampleCursor>> {
        if self.read.is_empty() && !self.ended {
            self.read_on().await?;
        }
        Ok(self.read.front().map(|(place, _)| *place))
    }

    /// The measurements of the sample that was peeked at.
    fn take(&mut self) -> Vec<Measurement> {
        self.read.pop_front().map(|(_, measurements)| measurements).unwrap_or_default()
    }

    async fn read_on(&mut self) -> Result<()> {
        let mut measurements = self.benchmarks.measurements(self.id, self.after);
        while let Some((place, measurement)) = measurements.try_next().await? {
            if self.after != Some(place) {
                if self.read.len() == SAMPLES_AT_ONCE {
                    return Ok(());
                }
                self.read.push_back((place, Vec::new()));
                self.after = Some(place);
            }
            if let Some((_, of_sample)) = self.read.back_mut() {
                of_sample.push(measurement);
            }
        }
        self.ended = true;
        Ok(())
    }
}
