//! The end of a benchmark: from stored samples to metrics, speed and hardware figures.

use std::fmt::Write;

use futures::TryStreamExt;

use super::corpus::{Aggregated, OfCorpus};
use super::lease::{Claim, Interruptions};
use super::{Orchestrator, execute};
use crate::benchmark::{Benchmark, ErrorNote, Metric, Outcome, Progress, Speed, Status};
use crate::hardware::HardwareSummary;
use crate::rescore::Source;
use crate::sample::FailureCounts;
use crate::statistics::{Aggregator, Moments};
use crate::{Error, Result};

/// Samples in which the first failure is looked for.
const SAMPLES_LOOKED_AT: u32 = 100;
/// Hardware readings read back at once.
const READINGS_PAGE: u32 = 1000;

impl Orchestrator {
    /// Ends a benchmark as completed, or as failed because of `error` or of its samples. Where that is interrupted, it goes
    /// back into the queue with all its samples.
    pub(super) async fn conclude(
        &self,
        claim: Claim,
        error: Option<Error>,
        mut interruptions: Interruptions<'_>,
    ) -> Result<()> {
        let Claim { id, .. } = claim;
        let benchmark = self.find(id).await?;
        if let Some(error) = &error {
            tracing::warn!(benchmark = %id, ?error, "a benchmark failed");
        }
        let failures = self.ports.benchmarks.failures(id).await?;
        let error = match &error {
            Some(error) => Some(ErrorNote::from(error)),
            None => self.too_many_failures(&benchmark, &failures).await?,
        };
        let status = if error.is_some() { Status::Failed } else { Status::Completed };
        self.close(claim, &benchmark, status, (failures, error), &mut interruptions).await
    }

    /// Ends a benchmark as cancelled, with the figures of what was done of it.
    pub(super) async fn conclude_cancelled(
        &self,
        claim: Claim,
        mut interruptions: Interruptions<'_>,
    ) -> Result<()> {
        let benchmark = self.find(claim.id).await?;
        let failures = self.ports.benchmarks.failures(claim.id).await?;
        interruptions.is_cancelled = true;
        self.close(claim, &benchmark, Status::Cancelled, (failures, None), &mut interruptions).await
    }

    async fn close(
        &self,
        claim: Claim,
        benchmark: &Benchmark,
        status: Status,
        (failures, error): (FailureCounts, Option<ErrorNote>),
        interruptions: &mut Interruptions<'_>,
    ) -> Result<()> {
        let corpus = match self.aggregate_corpus(benchmark, interruptions).await? {
            Aggregated::Done(corpus) => corpus,
            Aggregated::PutOff => return self.ports.benchmarks.release(claim.id, claim.worker).await,
        };
        let mut metrics = self.aggregate(benchmark).await?;
        if let Some(corpus) = &corpus {
            corpus.complete(&benchmark.plan.metrics, &mut metrics);
        }
        let agreement = match &benchmark.plan.source {
            Some(source) if source.is_compared => Some(self.ports.benchmarks.agreement(benchmark.id).await?),
            _ => None,
        };
        let outcome = Outcome {
            metrics,
            aggregation_failure: corpus.and_then(OfCorpus::failure),
            failures,
            speed: speed(benchmark.progress, benchmark.plan.source.as_ref()),
            hardware: self.summarise_hardware(benchmark).await?,
            agreement,
            error,
        };
        let now = self.ports.clock.now();
        self.ports.benchmarks.finish(claim.id, claim.worker, status, &outcome, now).await?;
        let ended = self.find(benchmark.id).await?;
        self.announce(&ended, ended.progress);
        Ok(())
    }

    async fn aggregate(&self, benchmark: &Benchmark) -> Result<Vec<Metric>> {
        let mut aggregator = Aggregator::new(benchmark.plan.metrics.clone());
        let mut measurements = self.ports.benchmarks.measurements(benchmark.id, None);
        while let Some((_, measurement)) = measurements.try_next().await? {
            aggregator.add(&measurement);
        }
        // Bootstrap replicates take seconds of computing, which a worker thread of the runtime must not.
        tokio::task::spawn_blocking(move || aggregator.finish()).await.map_err(|error| {
            Error::internal("aggregation-failed", "cannot aggregate the metrics").because(error)
        })
    }

    /// Why a benchmark fails that has more failed samples than it may; with the words of the first of them, since
    /// most often they all fail for one reason.
    async fn too_many_failures(
        &self,
        benchmark: &Benchmark,
        failures: &FailureCounts,
    ) -> Result<Option<ErrorNote>> {
        let Progress { failed, total, .. } = benchmark.progress;
        let max_failed = benchmark.plan.max_failed;
        if !execute::exceeds(benchmark.progress, max_failed) {
            return Ok(None);
        }
        let kinds: Vec<_> =
            failures.iter().map(|(kind, count)| format!("{} {count}", kind.as_str())).collect();
        let mut message = format!(
            "{failed} of {total} samples failed ({}), more than the share of {max_failed} that was allowed",
            kinds.join(", "),
        );
        let samples = self.ports.benchmarks.samples(benchmark.id, None, SAMPLES_LOOKED_AT).await?;
        if let Some((index, failure)) =
            samples.items.into_iter().find_map(|sample| sample.failure.map(|failure| (sample.index, failure)))
        {
            let _ = write!(message, "; sample {index}: {}", failure.message);
        }
        Ok(Some(ErrorNote { code: "too-many-failures".to_owned(), message }))
    }

    /// None when no reading was taken while the benchmark ran.
    async fn summarise_hardware(&self, benchmark: &Benchmark) -> Result<Option<HardwareSummary>> {
        let mut cpu = Moments::default();
        let mut gpu_power = Moments::default();
        let (mut process_memory, mut used_memory, mut gpu_memory) = (0, 0, None);
        let mut after = None;
        loop {
            let page = self.ports.benchmarks.hardware(benchmark.id, after, READINGS_PAGE).await?;
            for reading in &page.items {
                cpu.add(f64::from(reading.cpu_percent));
                process_memory = process_memory.max(reading.process_memory_bytes);
                used_memory = used_memory.max(reading.used_memory_bytes);
                let used = reading.gpus.iter().filter_map(|gpu| gpu.used_memory_bytes).reduce(|a, b| a + b);
                gpu_memory = gpu_memory.max(used);
                if let Some(watts) =
                    reading.gpus.iter().filter_map(|gpu| gpu.power_watts).reduce(|a, b| a + b)
                {
                    gpu_power.add(watts);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(cpu.mean().map(|mean_cpu_percent| HardwareSummary {
            info: self.ports.hardware.info(),
            readings: cpu.count(),
            mean_cpu_percent,
            peak_process_memory_bytes: process_memory,
            peak_used_memory_bytes: used_memory,
            peak_gpu_memory_bytes: gpu_memory,
            mean_gpu_power_watts: gpu_power
                .mean()
                .filter(|_| is_all_computed(benchmark.progress, benchmark.plan.source.as_ref())),
        }))
    }
}

fn speed(progress: Progress, source: Option<&Source>) -> Speed {
    let active_s = progress.active_ms as f64 / 1000.0;
    let is_measured = is_all_computed(progress, source) && active_s > 0.0;
    let per_second = |count: u64| is_measured.then(|| count as f64 / active_s);
    Speed {
        active_s,
        samples_per_s: per_second(progress.finished()),
        prompt_tokens: progress.tokens.prompt,
        completion_tokens: progress.tokens.completion,
        prompt_tokens_per_s: per_second(progress.tokens.prompt),
        completion_tokens_per_s: per_second(progress.tokens.completion),
        cached_samples: progress.cached_samples,
        cached_calls: progress.cached_calls,
    }
}

/// Whether a model gave every answer. Samples run beside one another, so the seconds of those that the response cache
/// answered cannot be told from the rest: with one of them, no figure over time is the model's alone. A benchmark that
/// judges what another one recorded has no model under test at all.
fn is_all_computed(progress: Progress, source: Option<&Source>) -> bool {
    source.is_none() && progress.cached_calls == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::PluginPin;
    use crate::id::BenchmarkId;
    use crate::model::TokenUsage;
    use crate::rescore::Takes;

    const COMPUTED: Progress = Progress {
        total: 10,
        completed: 9,
        failed: 1,
        tokens: TokenUsage { prompt: 100, completion: 0 },
        cached_samples: 0,
        cached_calls: 0,
        recorded_bytes: 0,
        active_ms: 2_000,
    };

    #[test]
    fn speed_counts_what_was_computed() {
        let speed = speed(COMPUTED, None);
        assert_eq!((speed.samples_per_s, speed.prompt_tokens_per_s), (Some(5.0), Some(50.0)));
        assert_eq!(speed.completion_tokens_per_s, Some(0.0));
    }

    fn rates(speed: Speed) -> [Option<f64>; 3] {
        [speed.samples_per_s, speed.prompt_tokens_per_s, speed.completion_tokens_per_s]
    }

    #[test]
    fn with_answers_from_the_cache_there_are_counts_and_no_rates() {
        let speed = speed(Progress { cached_samples: 6, cached_calls: 7, ..COMPUTED }, None);
        assert_eq!(rates(speed), [None; 3]);
        assert_eq!((speed.cached_samples, speed.cached_calls, speed.prompt_tokens), (6, 7, 100));
    }

    #[test]
    fn without_a_moment_of_work_there_are_no_rates() {
        assert_eq!(rates(speed(Progress { active_ms: 0, ..COMPUTED }, None)), [None; 3]);
    }

    #[test]
    fn what_only_judges_a_record_has_no_rates() {
        let source = Source {
            benchmark: BenchmarkId::new(),
            task: PluginPin {
                name: "t".to_owned(),
                version: "1.0.0".to_owned(),
                digest: String::new(),
                data_files: None,
            },
            takes: Takes::Calls,
            recorded_parts: Vec::new(),
            is_compared: true,
        };
        assert_eq!(rates(speed(COMPUTED, Some(&source))), [None; 3]);
    }
}
