//! Finished samples.

mod call;
mod measurement;
mod rescore;

use std::ops::RangeInclusive;

use llm_bench_core::benchmark::{Page, Progress, SampleCursor};
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::sample::{
    Failure, FailureCounts, FailureKind, GuestUsage, Passage, SampleRecord, Solution,
};
use llm_bench_core::{Json, Result, Row};
use sqlx::{FromRow, Sqlite, SqliteExecutor, Transaction};

use crate::column::{Count, Document, Id, Real, Word};
use crate::error::database_error;
use crate::page::{self, page};
use crate::text::Texts;
use crate::{Storage, benchmark, commit};

pub(crate) use measurement::measurements;
pub(crate) use rescore::{agreement, targets};

pub(crate) async fn record(
    storage: &Storage,
    id: BenchmarkId,
    worker: WorkerId,
    samples: &[SampleRecord],
    active_ms: u64,
) -> Result<Progress> {
    // Done before the transaction, which other writers wait for.
    let mut texts = Texts::default();
    let requests = samples
        .iter()
        .map(|sample| sample.calls.iter().map(|call| call::request_to_text(call, &mut texts)).collect())
        .collect::<Result<Vec<Vec<String>>>>()?;

    let mut transaction = storage.write().await?;
    benchmark::ensure_held(&mut transaction, id, worker).await?;
    let recorded_bytes = texts.store(&mut transaction).await?;
    let mut progress = Progress { active_ms, recorded_bytes, ..Progress::default() };
    for (sample, requests) in samples.iter().zip(&requests) {
        let Some(bytes) = insert(&mut transaction, id, sample).await? else { continue };
        progress.recorded_bytes += bytes;
        progress.recorded_bytes += measurement::insert(&mut transaction, id, sample).await?;
        progress.recorded_bytes += call::insert(&mut transaction, id, sample, requests).await?;
        match sample.failure {
            None => progress.completed += 1,
            Some(_) => progress.failed += 1,
        }
        let (tokens, cached_calls) = (sample.tokens(), sample.cached_calls());
        progress.tokens.prompt += tokens.prompt;
        progress.tokens.completion += tokens.completion;
        progress.cached_samples += u64::from(cached_calls > 0);
        progress.cached_calls += cached_calls;
    }
    let progress = benchmark::advance(&mut transaction, id, progress).await?;
    commit(transaction).await?;
    Ok(progress)
}

/// The bytes that it takes; none: the sample was there already.
async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    sample: &SampleRecord,
) -> Result<Option<u64>> {
    // The solution's detail has a column of its own: what a guest nests as deep as can be read must not lie deeper.
    const INSERT: &str = "INSERT INTO samples (benchmark_id, sample_index, repeat, failure_kind, fuel,
            peak_memory_bytes, host_calls, duration_ms, failure, answer, passages, detail, target, differs)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (benchmark_id, sample_index, repeat) DO NOTHING
        RETURNING coalesce(octet_length(failure), 0) + coalesce(octet_length(answer), 0)
            + coalesce(octet_length(passages), 0) + coalesce(octet_length(detail), 0)
            + coalesce(octet_length(target), 0)";
    let solution = sample.solution.as_ref();
    let bytes: Option<Count> = sqlx::query_scalar(INSERT)
        .bind(Id(id.0))
        .bind(Count(sample.index))
        .bind(sample.repeat)
        .bind(sample.failure.as_ref().map(|failure| Word(failure.kind)))
        .bind(Count(sample.usage.fuel))
        .bind(Count(sample.usage.peak_memory_bytes))
        .bind(sample.usage.host_calls)
        .bind(Real(sample.duration_ms))
        .bind(sample.failure.as_ref().map(Document))
        .bind(solution.and_then(|solution| solution.answer.as_ref()))
        .bind(solution.map(|solution| Document(&solution.passages)))
        .bind(solution.and_then(|solution| solution.detail.as_ref()).map(Document))
        .bind(sample.target.as_ref().map(Document))
        .bind(sample.differs)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(bytes.map(|bytes| bytes.0))
}

/// Row numbers that follow each other differ from their rank by the same number, which so names their run.
pub(crate) async fn finished_rows(storage: &Storage, id: BenchmarkId) -> Result<Vec<RangeInclusive<u64>>> {
    const RUNS: &str = "SELECT min(sample_index), max(sample_index)
        FROM (
            SELECT sample_index, sample_index - row_number() OVER (ORDER BY sample_index) AS run
            FROM samples
            WHERE benchmark_id = ? AND repeat = 0
        )
        GROUP BY run
        ORDER BY run";
    let runs: Vec<(Count, Count)> =
        sqlx::query_as(RUNS).bind(Id(id.0)).fetch_all(&storage.readers).await.map_err(database_error)?;
    Ok(runs.into_iter().map(|(first, last)| first.0..=last.0).collect())
}

pub(crate) async fn failures(executor: impl SqliteExecutor<'_>, id: BenchmarkId) -> Result<FailureCounts> {
    const COUNT: &str = "SELECT failure_kind, count(*) FROM samples
        WHERE benchmark_id = ? AND failure_kind IS NOT NULL
        GROUP BY failure_kind";
    let counts: Vec<(Word<FailureKind>, Count)> =
        sqlx::query_as(COUNT).bind(Id(id.0)).fetch_all(executor).await.map_err(database_error)?;
    Ok(counts.into_iter().map(|(kind, count)| (kind.0, count.0)).collect())
}

pub(crate) async fn list(
    storage: &Storage,
    id: BenchmarkId,
    after: Option<SampleCursor>,
    limit: u32,
) -> Result<Page<SampleRecord, SampleCursor>> {
    const SELECT: &str = "SELECT * FROM samples
        WHERE benchmark_id = ?1 AND (sample_index, repeat) > (coalesce(?2, -1), coalesce(?3, -1))
        ORDER BY sample_index, repeat
        LIMIT ?4";
    let mut page = select(storage, SELECT, id, after, limit).await?;
    complete(storage, id, &mut page.items).await?;
    Ok(page)
}

/// Completed samples, without their calls.
pub(crate) async fn completed(
    storage: &Storage,
    id: BenchmarkId,
    after: Option<SampleCursor>,
    limit: u32,
) -> Result<Page<SampleRecord, SampleCursor>> {
    const SELECT: &str = "SELECT * FROM samples
        WHERE benchmark_id = ?1 AND (sample_index, repeat) > (coalesce(?2, -1), coalesce(?3, -1))
            AND failure_kind IS NULL
        ORDER BY sample_index, repeat
        LIMIT ?4";
    let mut page = select(storage, SELECT, id, after, limit).await?;
    let (Some(first), Some(last)) = (page.items.first().map(place), page.items.last().map(place)) else {
        return Ok(page);
    };
    let mut measurements = measurement::between(storage, id, first, last).await?;
    for sample in &mut page.items {
        sample.measurements = measurements.remove(&place(sample)).unwrap_or_default();
    }
    Ok(page)
}

/// Samples without what stands in other tables.
async fn select(
    storage: &Storage,
    statement: &'static str,
    id: BenchmarkId,
    after: Option<SampleCursor>,
    limit: u32,
) -> Result<Page<SampleRecord, SampleCursor>> {
    let rows: Vec<SampleRow> = sqlx::query_as(statement)
        .bind(Id(id.0))
        .bind(after.map(|(index, _)| Count(index)))
        .bind(after.map(|(_, repeat)| repeat))
        .bind(page::rows_to_fetch(limit))
        .fetch_all(&storage.readers)
        .await
        .map_err(database_error)?;
    Ok(page(rows.into_iter().map(SampleRecord::from).collect(), limit, place))
}

pub(crate) async fn find(
    storage: &Storage,
    id: BenchmarkId,
    at: SampleCursor,
) -> Result<Option<SampleRecord>> {
    const SELECT: &str = "SELECT * FROM samples WHERE benchmark_id = ? AND sample_index = ? AND repeat = ?";
    let row: Option<SampleRow> = sqlx::query_as(SELECT)
        .bind(Id(id.0))
        .bind(Count(at.0))
        .bind(at.1)
        .fetch_optional(&storage.readers)
        .await
        .map_err(database_error)?;
    let mut found: Vec<SampleRecord> = row.into_iter().map(SampleRecord::from).collect();
    complete(storage, id, &mut found).await?;
    Ok(found.pop())
}

/// Adds to samples that follow each other what stands in other tables. A finished sample never changes, so this needs
/// no snapshot in common with the samples.
async fn complete(storage: &Storage, id: BenchmarkId, samples: &mut [SampleRecord]) -> Result<()> {
    let (Some(first), Some(last)) = (samples.first().map(place), samples.last().map(place)) else {
        return Ok(());
    };
    let mut measurements = measurement::between(storage, id, first, last).await?;
    let mut calls = call::between(storage, id, first, last).await?;
    for sample in samples {
        sample.measurements = measurements.remove(&place(sample)).unwrap_or_default();
        sample.calls = calls.remove(&place(sample)).unwrap_or_default();
    }
    Ok(())
}

fn place(sample: &SampleRecord) -> SampleCursor {
    (sample.index, sample.repeat)
}

#[derive(FromRow)]
struct SampleRow {
    sample_index: Count,
    repeat: u32,
    fuel: Count,
    peak_memory_bytes: Count,
    host_calls: u32,
    duration_ms: Real,
    failure: Option<Document<Failure>>,
    answer: Option<String>,
    passages: Option<Document<Vec<Passage>>>,
    detail: Option<Document<Json>>,
    target: Option<Document<Row>>,
    differs: Option<bool>,
}

/// Without measurements and calls, which stand in other tables.
impl From<SampleRow> for SampleRecord {
    fn from(row: SampleRow) -> Self {
        let SampleRow { answer, detail, .. } = row;
        Self {
            index: row.sample_index.0,
            repeat: row.repeat,
            solution: row.passages.map(|passages| Solution {
                answer,
                passages: passages.0,
                detail: detail.map(|detail| detail.0),
            }),
            target: row.target.map(|target| target.0),
            measurements: Vec::new(),
            calls: Vec::new(),
            usage: GuestUsage {
                fuel: row.fuel.0,
                peak_memory_bytes: row.peak_memory_bytes.0,
                host_calls: row.host_calls,
            },
            failure: row.failure.map(|failure| failure.0),
            duration_ms: row.duration_ms.0,
            differs: row.differs,
        }
    }
}
