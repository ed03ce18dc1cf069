//! Writes what a benchmark has finished while its samples go on: a full disk or a busy one would hold them up otherwise.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lease::Claim;
use super::own_task::OwnTask;
use crate::Result;
use crate::benchmark::{BenchmarkRepository, Progress};
use crate::hardware::HardwareReading;
use crate::sample::SampleRecord;

/// Finished samples written at once, at most.
const MOST_SAMPLES: usize = 64;
/// Finished samples are written once they hold so many bytes, however few they are.
const MOST_BYTES: u64 = 16 << 20;

/// What is finished and not written yet, and the write under way.
pub(super) struct Saver {
    store: Arc<dyn BenchmarkRepository>,
    claim: Claim,
    samples: Vec<SampleRecord>,
    /// What these hold, about.
    bytes: u64,
    readings: Vec<HardwareReading>,
    /// Up to when the time of the benchmark's work is written, or about to be.
    counted_to: Instant,
    write: Option<OwnTask<Attempt>>,
}

/// How far the benchmark is, where samples were among what was written.
type Written = Result<Option<Progress>>;

/// A write that ended, with what could not be written.
struct Attempt {
    samples: Vec<SampleRecord>,
    readings: Vec<HardwareReading>,
    written: Written,
}

impl Saver {
    pub(super) fn new(store: Arc<dyn BenchmarkRepository>, claim: Claim) -> Self {
        Self {
            store,
            claim,
            samples: Vec::new(),
            bytes: 0,
            readings: Vec::new(),
            counted_to: Instant::now(),
            write: None,
        }
    }

    /// The benchmark's work begins now.
    pub(super) fn begin(&mut self) {
        self.counted_to = Instant::now();
    }

    pub(super) fn add_reading(&mut self, reading: HardwareReading) {
        self.readings.push(reading);
    }

    /// Takes a finished sample; says whether there are so many now that they must be written.
    pub(super) fn add(&mut self, sample: SampleRecord) -> bool {
        self.bytes += sample.bytes();
        self.samples.push(sample);
        self.samples.len() >= MOST_SAMPLES || self.bytes >= MOST_BYTES
    }

    pub(super) fn is_writing(&self) -> bool {
        self.write.is_some()
    }

    /// Begins to write what there is, once the write under way has ended, of which it tells.
    ///
    /// # Errors
    /// Those of the store, of the write before.
    pub(super) async fn write(&mut self) -> Written {
        let before = if self.is_writing() { self.written().await? } else { None };
        if self.samples.is_empty() && self.readings.is_empty() {
            return Ok(before);
        }
        let active_ms = u64::try_from(self.counted_to.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !self.samples.is_empty() {
            // The rest of a millisecond counts at the next time.
            self.counted_to += Duration::from_millis(active_ms);
        }
        let attempt = Attempt {
            samples: std::mem::take(&mut self.samples),
            readings: std::mem::take(&mut self.readings),
            written: Ok(None),
        };
        self.bytes = 0;
        let (store, claim) = (self.store.clone(), self.claim);
        self.write = Some(OwnTask::start(attempt.write(store, claim, active_ms)));
        Ok(before)
    }

    /// The end of the write under way; never, where none is. May be dropped and asked again.
    ///
    /// # Errors
    /// Those of the store. What could not be written is there for the next time.
    pub(super) async fn written(&mut self) -> Written {
        let Some(write) = &mut self.write else { return pending().await };
        let Attempt { samples, readings, written } = write.join().await;
        self.write = None;
        self.bytes += samples.iter().map(SampleRecord::bytes).sum::<u64>();
        self.samples.extend(samples);
        self.readings.extend(readings);
        written
    }
}

impl Attempt {
    async fn write(mut self, store: Arc<dyn BenchmarkRepository>, claim: Claim, active_ms: u64) -> Self {
        self.written = self.try_to_write(&*store, claim, active_ms).await;
        self
    }

    async fn try_to_write(
        &mut self,
        store: &dyn BenchmarkRepository,
        claim: Claim,
        active_ms: u64,
    ) -> Written {
        if !self.readings.is_empty() {
            store.record_hardware(claim.id, &self.readings).await?;
            self.readings.clear();
        }
        if self.samples.is_empty() {
            return Ok(None);
        }
        let progress = store.record_samples(claim.id, claim.worker, &self.samples, active_ms).await?;
        self.samples.clear();
        Ok(Some(progress))
    }
}
