//! Executes one claimed benchmark: rows in, records out, several samples in flight.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::lease::{Claim, Interruptions, LeaseKeeper};
use super::own_task::in_own_task;
use super::sample::{SampleRunner, Trial};
use super::saver::Saver;
use super::{Event, Orchestrator};
use crate::benchmark::{Benchmark, Lease, Progress, Status};
use crate::dataset::RowResult;
use crate::hardware::HardwareReading;
use crate::sample::SampleRecord;
use crate::{Error, Result};

/// Finished samples are written at least this often, so that little is lost with the process.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// The longest wait for a reading of the hardware.
const READING_PATIENCE: Duration = Duration::from_secs(1);
/// A benchmark that is bound to fail is stopped early only after so many failures, so that a person sees more
/// than the first of them.
const EVIDENCE: u64 = 32;

/// What becomes of a benchmark when the host is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenStopped {
    /// Back into the queue, for this host's next start or another's.
    Release,
    /// Ended, as the person in front of it asked.
    Cancel,
}

/// Why no more samples are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    AllRows,
    TooManyFailures,
    RecordFull,
    CancelRequested,
    TaskUnusable,
    Stopped,
    LeaseLost,
}

impl End {
    /// Whether somebody else decided that it must not go on now.
    fn is_given_up(self) -> bool {
        matches!(self, Self::LeaseLost | Self::CancelRequested | Self::TaskUnusable)
    }
}

/// What keeps a benchmark from being executed to its end.
enum Trouble {
    /// Nothing can be stored now: the benchmark stays what it is and is claimed again when its lease runs out.
    Store(Error),
    /// The benchmark itself cannot be executed: it fails.
    Benchmark(Error),
}

impl Orchestrator {
    /// Executes a benchmark that this worker holds, to whatever end. The error is of the store alone: everything
    /// else that goes wrong is the benchmark's outcome.
    pub(super) async fn execute(
        &self,
        benchmark: &Benchmark,
        claim: Claim,
        stop: &CancellationToken,
        when_stopped: WhenStopped,
    ) -> Result<()> {
        let Claim { id, worker } = claim;
        let lease = LeaseKeeper::start(
            self.ports.benchmarks.clone(),
            self.ports.clock.clone(),
            claim,
            self.settings.lease,
        );
        // It holds the lease until the benchmark is concluded, which can take longer than an unrenewed one lasts.
        let mut execution = Execution::new(self, benchmark, claim, stop, lease);
        let end = if benchmark.cancel_requested { Ok(End::CancelRequested) } else { execution.run().await };
        let lease = &mut execution.lease;
        let interruptions = Interruptions { lease, stop, when_stopped, is_cancelled: false };
        match end {
            Ok(End::AllRows | End::TooManyFailures) => self.conclude(claim, None, interruptions).await,
            Ok(End::RecordFull) => {
                let error = record_full(self.settings.record_bytes);
                self.conclude(claim, Some(error), interruptions).await
            }
            Ok(End::CancelRequested) => self.conclude_cancelled(claim, interruptions).await,
            Ok(End::Stopped) if when_stopped == WhenStopped::Cancel => {
                self.conclude_cancelled(claim, interruptions).await
            }
            Ok(End::Stopped) => self.ports.benchmarks.release(id, worker).await,
            Ok(End::TaskUnusable) => {
                tracing::warn!(benchmark = %id, "held: its task may not be used any more");
                self.ports.benchmarks.release(id, worker).await
            }
            Ok(End::LeaseLost) => {
                tracing::warn!(benchmark = %id, "another worker took this benchmark over");
                Ok(())
            }
            Err(Trouble::Store(error)) if error.code == "lease-lost" => {
                tracing::warn!(benchmark = %id, "another worker took this benchmark over");
                Ok(())
            }
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::Benchmark(error)) => self.conclude(claim, Some(error), interruptions).await,
        }
    }
}

/// The state of one execution.
struct Execution<'a> {
    orchestrator: &'a Orchestrator,
    benchmark: &'a Benchmark,
    stop: &'a CancellationToken,
    lease: LeaseKeeper,
    /// Ends samples in flight.
    cancel: CancellationToken,
    readings: watch::Receiver<HardwareReading>,
    saver: Saver,
    /// Whether a reading was taken since the samples began.
    was_watched: bool,
    /// Of what is written.
    progress: Progress,
}

impl<'a> Execution<'a> {
    fn new(
        orchestrator: &'a Orchestrator,
        benchmark: &'a Benchmark,
        claim: Claim,
        stop: &'a CancellationToken,
        lease: LeaseKeeper,
    ) -> Self {
        Self {
            orchestrator,
            benchmark,
            stop,
            lease,
            cancel: CancellationToken::new(),
            readings: orchestrator.ports.hardware.readings(),
            saver: Saver::new(orchestrator.ports.benchmarks.clone(), claim),
            was_watched: false,
            progress: benchmark.progress,
        }
    }

    async fn run(&mut self) -> Result<End, Trouble> {
        let store = &self.orchestrator.ports.benchmarks;
        let draws = store.few_shot_draws(self.benchmark.id).await.map_err(Trouble::Store)?;
        let runner = tokio::select! {
            runner = self.orchestrator.prepare(self.benchmark, draws) => runner.map_err(Trouble::Benchmark)?,
            lease = self.lease.ended() => return Ok(end_of(lease)),
            () = self.stop.cancelled() => return Ok(End::Stopped),
        };
        let finished = self.orchestrator.ports.benchmarks.finished_rows(self.benchmark.id).await;
        let finished = finished.map_err(Trouble::Store)?;
        let recorded = self.recorded_rows().await.map_err(Trouble::Store)?;
        let rows = self.unfinished_rows(finished, recorded);
        self.saver.begin();
        self.readings.mark_unchanged();
        let driven = self.drive(&Arc::new(runner), rows).await;
        if !matches!(driven, Ok(End::LeaseLost)) {
            // What is finished is kept, whatever ended the rest.
            self.save().await?;
            self.await_a_reading().await;
            self.save().await?;
            if self.saver.is_writing() {
                let written = self.saver.written().await;
                self.advance(written)?;
            }
        }
        let is_complete = self.progress.finished() == self.progress.total;
        let end = match driven? {
            End::Stopped if is_complete => End::AllRows,
            end => end,
        };
        if end == End::AllRows && !is_complete {
            return Err(Trouble::Benchmark(Error::invalid(
                "dataset-changed",
                format!(
                    "split `{}` ended after {} rows, but had {} when the benchmark was created",
                    self.benchmark.plan.split.name,
                    self.progress.finished(),
                    self.progress.total
                ),
            )));
        }
        Ok(end)
    }

    /// Keeps the planned number of samples in flight until the rows end or a reason to stop comes up.
    async fn drive(
        &mut self,
        runner: &Arc<SampleRunner>,
        mut rows: BoxStream<'static, RowResult>,
    ) -> Result<End, Trouble> {
        let concurrency = self.benchmark.plan.concurrency as usize;
        let mut in_flight = FuturesUnordered::new();
        let mut tick = tokio::time::interval(FLUSH_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut end = None;
        loop {
            if end.is_some() && in_flight.is_empty() {
                return Ok(end.unwrap_or(End::AllRows));
            }
            tokio::select! {
                biased;
                lease = self.lease.ended(), if !end.is_some_and(End::is_given_up) => {
                    end = Some(end_of(lease));
                    self.cancel.cancel();
                }
                () = self.stop.cancelled(), if !end.is_some_and(|end| end == End::Stopped || end.is_given_up()) => {
                    end = Some(End::Stopped);
                    let (cancel, grace) = (self.cancel.clone(), self.orchestrator.settings.grace);
                    tokio::spawn(async move {
                        tokio::time::sleep(grace).await;
                        cancel.cancel();
                    });
                }
                Some(trial) = in_flight.next() => {
                    let trial: Result<Option<Trial>> = trial;
                    if let Some(trial) = trial.map_err(Trouble::Store)? {
                        self.take(trial.record).await?;
                    }
                }
                written = self.saver.written() => self.advance(written)?,
                _ = tick.tick(), if !self.saver.is_writing() => self.save().await?,
                row = rows.next(), if end.is_none() && in_flight.len() < concurrency => match row {
                    Some(row) => {
                        let row = row.map_err(Trouble::Benchmark)?;
                        let (runner, cancel) = (runner.clone(), self.cancel.clone());
                        in_flight.push(in_own_task(async move { runner.run(row, cancel).await }));
                    }
                    None => end = Some(End::AllRows),
                },
            }
            if end.is_none() && self.has_failed() {
                end = Some(End::TooManyFailures);
            }
            if end.is_none() && self.progress.recorded_bytes > self.orchestrator.settings.record_bytes {
                end = Some(End::RecordFull);
                self.cancel.cancel();
            }
        }
    }

    /// Whether more samples have failed than may, by a margin that leaves something to look at.
    fn has_failed(&self) -> bool {
        self.progress.failed >= EVIDENCE && exceeds(self.progress, self.benchmark.plan.max_failed)
    }

    /// The rows that the benchmark's source finished, which alone can be judged anew; all of them without a source.
    async fn recorded_rows(&self) -> Result<Vec<RangeInclusive<u64>>> {
        match &self.benchmark.plan.source {
            Some(source) => self.orchestrator.ports.benchmarks.finished_rows(source.benchmark).await,
            None => Ok(vec![0..=u64::MAX]),
        }
    }

    /// The rows of the plan, out of those that are wanted, that no earlier execution finished.
    fn unfinished_rows(
        &self,
        finished: Vec<RangeInclusive<u64>>,
        wanted: Vec<RangeInclusive<u64>>,
    ) -> BoxStream<'static, RowResult> {
        let plan = &self.benchmark.plan;
        let total = plan.rows;
        let start = finished.first().filter(|run| *run.start() == 0).map_or(0, |run| run.end() + 1);
        let index = |row: &RowResult| match row {
            Ok(Ok(row)) => Some(row.index),
            Ok(Err(unreadable)) => Some(unreadable.index),
            Err(_) => None,
        };
        self.orchestrator
            .ports
            .datasets
            .rows(&plan.split, start)
            .take_while(move |row| std::future::ready(index(row).is_none_or(|index| index < total)))
            .filter(move |row| {
                let is_in = |runs: &[RangeInclusive<u64>], index| runs.iter().any(|run| run.contains(&index));
                let is_left =
                    index(row).is_none_or(|index| is_in(&wanted, index) && !is_in(&finished, index));
                std::future::ready(is_left)
            })
            .boxed()
    }

    /// A benchmark may be shorter than the pause between two readings; one belongs to it all the same.
    async fn await_a_reading(&mut self) {
        if !self.was_watched {
            // Without a reading in time the monitor has ended, and there is none to wait for.
            let _ = tokio::time::timeout(READING_PATIENCE, self.readings.changed()).await;
            self.readings.mark_changed();
        }
    }

    /// Keeps a finished sample, and has what is finished written once that is much.
    async fn take(&mut self, record: SampleRecord) -> Result<(), Trouble> {
        if self.saver.add(record) {
            self.save().await?;
        }
        Ok(())
    }

    /// Has what is finished written. It waits for the write before, so that what is finished does not pile up.
    async fn save(&mut self) -> Result<(), Trouble> {
        if self.readings.has_changed().unwrap_or(false) {
            self.saver.add_reading(self.readings.borrow_and_update().clone());
            self.was_watched = true;
        }
        let written = self.saver.write().await;
        self.advance(written)
    }

    /// Tells how far the benchmark is after a write.
    fn advance(&mut self, written: Result<Option<Progress>>) -> Result<(), Trouble> {
        if let Some(progress) = written.map_err(Trouble::Store)? {
            self.progress = progress;
            let event = Event { id: self.benchmark.id, status: Status::Running, progress };
            let _ = self.orchestrator.events.send(event);
        }
        Ok(())
    }
}

/// Whether more than the allowed share of all samples failed.
pub(super) fn exceeds(progress: Progress, max_failed: f64) -> bool {
    progress.failed as f64 > max_failed * progress.total as f64
}

/// Why a benchmark ends that would fill the disk.
fn record_full(most: u64) -> Error {
    Error::too_large(
        "record-full",
        format!(
            "the recorded calls, solutions and logs of the benchmark take more than {} MiB; allow more with \
             --max-record-mib, or evaluate fewer rows",
            most >> 20
        ),
    )
}

fn end_of(lease: Lease) -> End {
    match lease {
        Lease::CancelRequested => End::CancelRequested,
        Lease::TaskUnusable => End::TaskUnusable,
        Lease::Held | Lease::Lost => End::LeaseLost,
    }
}
