//! The queue: who may execute which benchmark until when.
//!
//! A worker holds a benchmark from its claim until another one claims it, or it ends. The time of the lease says
//! when others may do so; a worker that comes late but before them still holds it.

use jiff::Timestamp;
use llm_bench_core::benchmark::{Benchmark, Lease, Outcome, Speed, Status};
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::{Error, Result};
use sqlx::{Sqlite, Transaction};

use super::{BenchmarkRow, select};
use crate::column::{Document, Id, Moment, Word};
use crate::error::database_error;
use crate::{Storage, commit, sample};

pub(super) async fn claim(
    storage: &Storage,
    worker: WorkerId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Benchmark>> {
    const CLAIM: &str = "UPDATE benchmarks
        SET status = 'running', worker_id = ?1, lease_until = ?3, started_at = coalesce(started_at, ?2)
        WHERE id = (
            SELECT id FROM benchmarks INDEXED BY benchmarks_to_do
            WHERE status IN ('queued', 'running') AND (status = 'queued' OR lease_until < ?2)
                AND (cancel_requested OR task_digest NOT IN (SELECT digest FROM unusable_plugins))
            ORDER BY id
            LIMIT 1
        )
        RETURNING id";
    let mut transaction = storage.write().await?;
    let claimed: Option<Id> = sqlx::query_scalar(CLAIM)
        .bind(Id(worker.0))
        .bind(Moment(now))
        .bind(Moment(until))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(database_error)?;
    let benchmark = match claimed {
        Some(id) => Some(read(&mut transaction, BenchmarkId(id.0)).await?),
        None => None,
    };
    commit(transaction).await?;
    Ok(benchmark)
}

/// A benchmark as it stands in a transaction.
async fn read(transaction: &mut Transaction<'static, Sqlite>, id: BenchmarkId) -> Result<Benchmark> {
    let row: BenchmarkRow = sqlx::query_as(concat!(select!(), " WHERE id = ?"))
        .bind(Id(id.0))
        .fetch_one(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(row.into())
}

pub(super) async fn renew(
    storage: &Storage,
    id: BenchmarkId,
    worker: WorkerId,
    until: Timestamp,
) -> Result<Lease> {
    const RENEW: &str = "UPDATE benchmarks SET lease_until = ?
        WHERE id = ? AND worker_id = ?
        RETURNING cancel_requested, task_digest IN (SELECT digest FROM unusable_plugins)";
    let mut transaction = storage.write().await?;
    let held: Option<(bool, bool)> = sqlx::query_as(RENEW)
        .bind(Moment(until))
        .bind(Id(id.0))
        .bind(Id(worker.0))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(database_error)?;
    commit(transaction).await?;
    Ok(match held {
        Some((true, _)) => Lease::CancelRequested,
        Some((false, true)) => Lease::TaskUnusable,
        Some((false, false)) => Lease::Held,
        None => Lease::Lost,
    })
}

/// A request to cancel stays: whoever claims the benchmark next is told.
pub(super) async fn release(storage: &Storage, id: BenchmarkId, worker: WorkerId) -> Result<()> {
    const RELEASE: &str = "UPDATE benchmarks SET status = 'queued', worker_id = NULL, lease_until = NULL
        WHERE id = ?";
    let mut transaction = storage.write().await?;
    ensure_held(&mut transaction, id, worker).await?;
    sqlx::query(RELEASE).bind(Id(id.0)).execute(&mut *transaction).await.map_err(database_error)?;
    commit(transaction).await
}

pub(super) async fn finish(
    storage: &Storage,
    id: BenchmarkId,
    worker: WorkerId,
    status: Status,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<()> {
    if !status.has_ended() {
        let message = format!("a benchmark cannot end as {}", status.as_str());
        return Err(Error::invalid("invalid-status", message));
    }
    let mut transaction = storage.write().await?;
    ensure_held(&mut transaction, id, worker).await?;
    end(&mut transaction, id, status, outcome, at).await?;
    commit(transaction).await
}

/// Cancels at once what nobody executes: what is queued, and what is running under a lease that has run out.
pub(super) async fn request_cancel(storage: &Storage, id: BenchmarkId, at: Timestamp) -> Result<Benchmark> {
    const SELECT: &str = "SELECT status, lease_until IS NULL OR lease_until < ? FROM benchmarks WHERE id = ?";
    const REQUEST: &str = "UPDATE benchmarks SET cancel_requested = 1 WHERE id = ?";
    let mut transaction = storage.write().await?;
    let standing: Option<(Word<Status>, bool)> = sqlx::query_as(SELECT)
        .bind(Moment(at))
        .bind(Id(id.0))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(database_error)?;
    let (status, is_idle) = standing.map(|(word, is_idle)| (word.0, is_idle)).ok_or_else(|| not_found(id))?;
    if status.has_ended() {
        return Err(Error::conflict(
            "benchmark-ended",
            format!("benchmark `{id}` has ended already ({})", status.as_str()),
        ));
    }
    if is_idle {
        let outcome = Outcome {
            aggregation_failure: None,
            metrics: Vec::new(),
            failures: sample::failures(&mut *transaction, id).await?,
            speed: Speed::default(),
            hardware: None,
            agreement: None,
            error: None,
        };
        end(&mut transaction, id, Status::Cancelled, &outcome, at).await?;
    }
    sqlx::query(REQUEST).bind(Id(id.0)).execute(&mut *transaction).await.map_err(database_error)?;
    let benchmark = read(&mut transaction, id).await?;
    commit(transaction).await?;
    Ok(benchmark)
}

async fn end(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    status: Status,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<()> {
    const END: &str = "UPDATE benchmarks
        SET status = ?, outcome = ?, finished_at = ?, worker_id = NULL, lease_until = NULL
        WHERE id = ?";
    sqlx::query(END)
        .bind(Word(status))
        .bind(Document(outcome))
        .bind(Moment(at))
        .bind(Id(id.0))
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

/// # Errors
/// `lease-lost` when another worker has the benchmark, nobody has, or it has ended.
pub(crate) async fn ensure_held(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    worker: WorkerId,
) -> Result<()> {
    const HOLDS: &str = "SELECT EXISTS (SELECT 1 FROM benchmarks WHERE id = ? AND worker_id = ?)";
    let holds: bool = sqlx::query_scalar(HOLDS)
        .bind(Id(id.0))
        .bind(Id(worker.0))
        .fetch_one(&mut **transaction)
        .await
        .map_err(database_error)?;
    if holds {
        return Ok(());
    }
    Err(Error::conflict("lease-lost", format!("this worker no longer holds benchmark `{id}`")))
}

/// # Errors
/// `benchmark-not-found`.
pub(crate) async fn ensure_exists(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
) -> Result<()> {
    const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM benchmarks WHERE id = ?)";
    let exists: bool = sqlx::query_scalar(EXISTS)
        .bind(Id(id.0))
        .fetch_one(&mut **transaction)
        .await
        .map_err(database_error)?;
    if exists { Ok(()) } else { Err(not_found(id)) }
}

fn not_found(id: BenchmarkId) -> Error {
    Error::not_found("benchmark-not-found", format!("there is no benchmark `{id}`"))
}
