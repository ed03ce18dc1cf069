//! Benchmarks and what belongs to them.

mod draws;
mod queue;

use std::ops::RangeInclusive;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use llm_bench_core::benchmark::{
    Benchmark, BenchmarkFilter, BenchmarkRepository, FewShotDraws, Lease, Outcome, Page, Plan, Progress,
    SampleCursor, Status,
};
use llm_bench_core::hardware::HardwareReading;
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::model::TokenUsage;
use llm_bench_core::rescore::Agreement;
use llm_bench_core::sample::{FailureCounts, Measurement, SampleRecord};
use llm_bench_core::{Error, Result, Row};
use sqlx::{FromRow, QueryBuilder, Sqlite, Transaction};

use crate::column::{Count, Document, Id, Moment, Word};
use crate::error::database_error;
use crate::json::ensure_readable;
use crate::page::{self, page};
use crate::plugin::StandingRow;
use crate::{Storage, commit, hardware, sample};

pub(crate) use queue::{ensure_exists, ensure_held};

/// Benchmarks with what is known of their tasks. A macro, since `concat!` takes literals alone.
macro_rules! select {
    () => {
        "SELECT benchmarks.*, coalesce(unusable_plugins.word, 'enabled') AS standing,
            unusable_plugins.reason AS standing_reason
        FROM benchmarks LEFT JOIN unusable_plugins ON unusable_plugins.digest = benchmarks.task_digest"
    };
}
use select;

#[async_trait]
impl BenchmarkRepository for Storage {
    /// The lease decides the status: running with one, queued without.
    async fn insert(
        &self,
        benchmark: &Benchmark,
        draws: Option<&FewShotDraws>,
        lease: Option<(WorkerId, Timestamp)>,
    ) -> Result<()> {
        const INSERT: &str =
            "INSERT INTO benchmarks (id, status, plan, total, completed, failed, prompt_tokens,
                completion_tokens, cached_samples, cached_calls, recorded_bytes, active_ms, created_at,
                started_at, cancel_requested, worker_id, lease_until)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO NOTHING";
        ensure_readable("the plan", &benchmark.plan)?;
        let (status, started_at) = match lease {
            Some(_) => (Status::Running, Some(benchmark.started_at.unwrap_or(benchmark.created_at))),
            None => (Status::Queued, benchmark.started_at),
        };
        let progress = &benchmark.progress;

        let mut transaction = self.write().await?;
        let done = sqlx::query(INSERT)
            .bind(Id(benchmark.id.0))
            .bind(Word(status))
            .bind(Document(&benchmark.plan))
            .bind(Count(progress.total))
            .bind(Count(progress.completed))
            .bind(Count(progress.failed))
            .bind(Count(progress.tokens.prompt))
            .bind(Count(progress.tokens.completion))
            .bind(Count(progress.cached_samples))
            .bind(Count(progress.cached_calls))
            .bind(Count(progress.recorded_bytes))
            .bind(Count(progress.active_ms))
            .bind(Moment(benchmark.created_at))
            .bind(started_at.map(Moment))
            .bind(benchmark.cancel_requested)
            .bind(lease.map(|(worker, _)| Id(worker.0)))
            .bind(lease.map(|(_, until)| Moment(until)))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        if done.rows_affected() == 0 {
            let message = format!("there is a benchmark `{}` already", benchmark.id);
            return Err(Error::conflict("benchmark-exists", message));
        }
        if let Some(draws) = draws {
            draws::insert(&mut transaction, benchmark.id, draws).await?;
        }
        commit(transaction).await
    }

    async fn few_shot_draws(&self, id: BenchmarkId) -> Result<Option<FewShotDraws>> {
        draws::find(self, id).await
    }

    async fn claim(&self, worker: WorkerId, now: Timestamp, until: Timestamp) -> Result<Option<Benchmark>> {
        queue::claim(self, worker, now, until).await
    }

    async fn renew(&self, id: BenchmarkId, worker: WorkerId, until: Timestamp) -> Result<Lease> {
        queue::renew(self, id, worker, until).await
    }

    async fn release(&self, id: BenchmarkId, worker: WorkerId) -> Result<()> {
        queue::release(self, id, worker).await
    }

    async fn record_samples(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        samples: &[SampleRecord],
        active_ms: u64,
    ) -> Result<Progress> {
        sample::record(self, id, worker, samples, active_ms).await
    }

    async fn finished_rows(&self, id: BenchmarkId) -> Result<Vec<RangeInclusive<u64>>> {
        sample::finished_rows(self, id).await
    }

    async fn record_hardware(&self, id: BenchmarkId, readings: &[HardwareReading]) -> Result<()> {
        hardware::record(self, id, readings).await
    }

    async fn finish(
        &self,
        id: BenchmarkId,
        worker: WorkerId,
        status: Status,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<()> {
        queue::finish(self, id, worker, status, outcome, at).await
    }

    async fn request_cancel(&self, id: BenchmarkId, at: Timestamp) -> Result<Benchmark> {
        queue::request_cancel(self, id, at).await
    }

    async fn find(&self, id: BenchmarkId) -> Result<Option<Benchmark>> {
        let row: Option<BenchmarkRow> = sqlx::query_as(concat!(select!(), " WHERE id = ?"))
            .bind(Id(id.0))
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        Ok(row.map(Benchmark::from))
    }

    async fn list(
        &self,
        filter: &BenchmarkFilter,
        after: Option<BenchmarkId>,
        limit: u32,
    ) -> Result<Page<Benchmark, BenchmarkId>> {
        let mut query = QueryBuilder::new(concat!(select!(), " WHERE TRUE"));
        if let Some(after) = after {
            query.push(" AND id < ").push_bind(Id(after.0));
        }
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(Word(status));
        }
        if let Some(digest) = &filter.task_digest {
            query.push(" AND task_digest = ").push_bind(digest);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(page::rows_to_fetch(limit));
        let rows: Vec<BenchmarkRow> =
            query.build_query_as().fetch_all(&self.readers).await.map_err(database_error)?;
        Ok(page(rows.into_iter().map(Benchmark::from).collect(), limit, |benchmark| benchmark.id))
    }

    async fn samples(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>> {
        sample::list(self, id, after, limit).await
    }

    async fn sample(&self, id: BenchmarkId, place: SampleCursor) -> Result<Option<SampleRecord>> {
        sample::find(self, id, place).await
    }

    async fn completed(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<Page<SampleRecord, SampleCursor>> {
        sample::completed(self, id, after, limit).await
    }

    fn targets(&self, id: BenchmarkId) -> BoxStream<'_, Result<(SampleCursor, Row)>> {
        sample::targets(self, id)
    }

    async fn agreement(&self, id: BenchmarkId) -> Result<Agreement> {
        sample::agreement(self, id).await
    }

    fn measurements(
        &self,
        id: BenchmarkId,
        after: Option<SampleCursor>,
    ) -> BoxStream<'_, Result<(SampleCursor, Measurement)>> {
        sample::measurements(self, id, after)
    }

    async fn unfinished(&self, task_digest: &str) -> Result<Vec<BenchmarkId>> {
        const SELECT: &str = "SELECT id FROM benchmarks
            WHERE task_digest = ? AND status IN ('queued', 'running') ORDER BY id";
        let ids: Vec<Id> = sqlx::query_scalar(SELECT)
            .bind(task_digest)
            .fetch_all(&self.readers)
            .await
            .map_err(database_error)?;
        Ok(ids.into_iter().map(|id| BenchmarkId(id.0)).collect())
    }

    async fn failures(&self, id: BenchmarkId) -> Result<FailureCounts> {
        sample::failures(&self.readers, id).await
    }

    async fn hardware(
        &self,
        id: BenchmarkId,
        after: Option<Timestamp>,
        limit: u32,
    ) -> Result<Page<HardwareReading, Timestamp>> {
        hardware::list(self, id, after, limit).await
    }
}

/// Adds to the progress of a benchmark and gives its new one.
pub(crate) async fn advance(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    by: Progress,
) -> Result<Progress> {
    const UPDATE: &str = "UPDATE benchmarks
        SET completed = completed + ?, failed = failed + ?, prompt_tokens = prompt_tokens + ?,
            completion_tokens = completion_tokens + ?, cached_samples = cached_samples + ?,
            cached_calls = cached_calls + ?, recorded_bytes = recorded_bytes + ?, active_ms = active_ms + ?
        WHERE id = ?
        RETURNING total, completed, failed, prompt_tokens, completion_tokens, cached_samples, cached_calls,
            recorded_bytes, active_ms";
    let row: ProgressRow = sqlx::query_as(UPDATE)
        .bind(Count(by.completed))
        .bind(Count(by.failed))
        .bind(Count(by.tokens.prompt))
        .bind(Count(by.tokens.completion))
        .bind(Count(by.cached_samples))
        .bind(Count(by.cached_calls))
        .bind(Count(by.recorded_bytes))
        .bind(Count(by.active_ms))
        .bind(Id(id.0))
        .fetch_one(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(row.into())
}

#[derive(FromRow)]
struct ProgressRow {
    total: Count,
    completed: Count,
    failed: Count,
    prompt_tokens: Count,
    completion_tokens: Count,
    cached_samples: Count,
    cached_calls: Count,
    recorded_bytes: Count,
    active_ms: Count,
}

impl From<ProgressRow> for Progress {
    fn from(row: ProgressRow) -> Self {
        Self {
            total: row.total.0,
            completed: row.completed.0,
            failed: row.failed.0,
            tokens: TokenUsage { prompt: row.prompt_tokens.0, completion: row.completion_tokens.0 },
            cached_samples: row.cached_samples.0,
            cached_calls: row.cached_calls.0,
            recorded_bytes: row.recorded_bytes.0,
            active_ms: row.active_ms.0,
        }
    }
}

#[derive(FromRow)]
struct BenchmarkRow {
    id: Id,
    status: Word<Status>,
    plan: Document<Plan>,
    #[sqlx(flatten)]
    progress: ProgressRow,
    created_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    outcome: Option<Document<Outcome>>,
    cancel_requested: bool,
    #[sqlx(flatten)]
    task: StandingRow,
}

impl From<BenchmarkRow> for Benchmark {
    fn from(row: BenchmarkRow) -> Self {
        Self {
            id: BenchmarkId(row.id.0),
            plan: row.plan.0,
            status: row.status.0,
            progress: row.progress.into(),
            created_at: row.created_at.0,
            started_at: row.started_at.map(|moment| moment.0),
            finished_at: row.finished_at.map(|moment| moment.0),
            task_standing: row.task.into(),
            outcome: row.outcome.map(|document| document.0),
            cancel_requested: row.cancel_requested,
        }
    }
}
