//! The port to the storage and the queue of benchmarks.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::{Benchmark, FewShotDraws, Outcome, Progress, Status};
use crate::hardware::HardwareReading;
use crate::id::{BenchmarkId, WorkerId};
use crate::rescore::Agreement;
use crate::sample::{FailureCounts, Measurement, SampleRecord};
use crate::{Result, Row};

/// A page of a list, newest first, and where the next one starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// None: this was the last page.
    pub next: Option<C>,
}

/// Which benchmarks a list holds; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BenchmarkFilter {
    pub status: Option<Status>,
    /// Those whose task is this component: SHA-256 in hexadecimal.
    pub task_digest: Option<String>,
}

/// A place in a benchmark's samples: `(index, repeat)`.
pub type SampleCursor = (u64, u32);

/// Whether a worker may go on with what it claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// Held, and somebody asked for the benchmark's end.
    CancelRequested,
    /// Held, but the task may not be used any more: the benchmark goes back into the queue until it may.
    TaskUnusable,
    /// Another worker has it, or it has ended.
    Lost,
}

/// Storage and queue of benchmarks. One method is one transaction.
#[async_trait]
pub trait BenchmarkRepository: Send + Sync {
    /// Adds a queued benchmark; with a worker, one that is running and leased to it until `until`.
    async fn insert(
        &self,
        benchmark: &Benchmark,
        draws: Option<&FewShotDraws>,
        lease: Option<(WorkerId, Timestamp)>,
    ) -> Result<()>;

    /// The few-shot rows that were drawn for a benchmark; none where it draws none.
    async fn few_shot_draws(&self, id: BenchmarkId) -> Result<Option<FewShotDraws>>;

    /// Leases the oldest benchmark that waits, or whose lease ran out before `now`, until `until`. Those whose task may
    /// not be used are passed over, unless they are to be cancelled.
    /// Its status becomes running; `started_at` is set the first time.
    async fn claim(&self, worker: WorkerId, now: Timestamp, until: Timestamp) -> Result<Option<Benchmark>>;

    /// Prolongs a lease.
    async fn renew(&self, id: BenchmarkId, worker: WorkerId, until: Timestamp) -> Result<Lease>;

    /// Puts a benchmark back into the queue, with what is done of it kept.
    async fn release(&self, id: BenchmarkId, worker: WorkerId) -> Result<()>;

    /// Stores finished samples and adds their counts and tokens, and `active_ms`, to the progress.
    /// A sample that is stored already changes nothing, so that a shard that runs twice counts once.
    ///
    /// # Errors
    /// `lease-lost` when the worker no longer holds the benchmark; nothing is stored then.
    async fn record_samples(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        samples: &[SampleRecord],
        active_ms: u64,
    ) -> Result<Progress>;

    /// Rows that are finished, as runs of row numbers in ascending order.
    async fn finished_rows(&self, id: BenchmarkId) -> Result<Vec<RangeInclusive<u64>>>;

    /// Stores readings taken while the benchmark ran.
    async fn record_hardware(&self, id: BenchmarkId, readings: &[HardwareReading]) -> Result<()>;

    /// Ends a benchmark that the worker holds.
    async fn finish(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        status: Status,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<()>;

    /// Ends a queued benchmark as cancelled, or asks the worker of a running one to stop.
    ///
    /// # Errors
    /// `benchmark-not-found`; `benchmark-ended` when there is nothing left to cancel.
    async fn request_cancel(&self, id: BenchmarkId, at: Timestamp) -> Result<Benchmark>;

    async fn find(&self, id: BenchmarkId) -> Result<Option<Benchmark>>;

    /// Newest first, those that fit the filter and are before `after`, at most `limit`.
    async fn list(
        &self,
        filter: &BenchmarkFilter,
        after: Option<BenchmarkId>,
        limit: u32,
    ) -> Result<Page<Benchmark, BenchmarkId>>;

    /// Samples in dataset order, those behind `after`, at most `limit`.
    async fn samples(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>>;

    /// Completed samples in dataset order, those behind `after`, at most `limit`; without their calls.
    async fn completed(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>>;

    /// One finished sample.
    async fn sample(&self, id: BenchmarkId, place: SampleCursor) -> Result<Option<SampleRecord>>;

    /// The gold answers of the samples that have a solution, in dataset order.
    fn targets(&self, id: BenchmarkId) -> BoxStream<'_, Result<(SampleCursor, Row)>>;

    /// How the samples agree with those of the benchmark's source, as far as they were held against them.
    async fn agreement(&self, id: BenchmarkId) -> Result<Agreement>;

    /// Every measurement of the completed samples behind `after`, in dataset order, each with its sample's place,
    /// without loading them all at once.
    fn measurements(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
    ) -> BoxStream<'_, Result<(SampleCursor, Measurement)>>;

    /// The benchmarks with that task, by its digest, that have not ended; oldest first.
    async fn unfinished(&self, task_digest: &str) -> Result<Vec<BenchmarkId>>;

    /// How many samples failed of each kind.
    async fn failures(&self, id: BenchmarkId) -> Result<FailureCounts>;

    /// Readings in the order they were taken, those behind `after`, at most `limit`.
    async fn hardware(
        &self,
        id: BenchmarkId,
        after: Option<Timestamp>,
        limit: u32,
    ) -> Result<Page<HardwareReading, Timestamp>>;
}
