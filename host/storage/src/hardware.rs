//! Readings of the hardware, taken while a benchmark ran.

use jiff::Timestamp;
use llm_bench_core::Result;
use llm_bench_core::benchmark::Page;
use llm_bench_core::hardware::{GpuReading, HardwareReading};
use llm_bench_core::id::BenchmarkId;
use sqlx::FromRow;

use crate::column::{Count, Document, Id, Moment, Real};
use crate::error::database_error;
use crate::page::{self, page};
use crate::{Storage, benchmark, commit};

pub(crate) async fn record(storage: &Storage, id: BenchmarkId, readings: &[HardwareReading]) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO hardware_readings (benchmark_id, taken_at, cpu_percent, process_cpu_percent,
            process_memory_bytes, used_memory_bytes, gpus)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (benchmark_id, taken_at) DO NOTHING";
    let mut transaction = storage.write().await?;
    benchmark::ensure_exists(&mut transaction, id).await?;
    for reading in readings {
        sqlx::query(INSERT)
            .bind(Id(id.0))
            .bind(Moment(reading.at))
            .bind(Real(reading.cpu_percent.into()))
            .bind(Real(reading.process_cpu_percent.into()))
            .bind(Count(reading.process_memory_bytes))
            .bind(Count(reading.used_memory_bytes))
            .bind(Document(&reading.gpus))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
    }
    commit(transaction).await
}

pub(crate) async fn list(
    storage: &Storage,
    id: BenchmarkId,
    after: Option<Timestamp>,
    limit: u32,
) -> Result<Page<HardwareReading, Timestamp>> {
    const SELECT: &str = "SELECT * FROM hardware_readings
        WHERE benchmark_id = ? AND taken_at > coalesce(?, -9223372036854775808)
        ORDER BY taken_at
        LIMIT ?";
    let rows: Vec<ReadingRow> = sqlx::query_as(SELECT)
        .bind(Id(id.0))
        .bind(after.map(Moment))
        .bind(page::rows_to_fetch(limit))
        .fetch_all(&storage.readers)
        .await
        .map_err(database_error)?;
    Ok(page(rows.into_iter().map(HardwareReading::from).collect(), limit, |reading| reading.at))
}

#[derive(FromRow)]
struct ReadingRow {
    taken_at: Moment,
    cpu_percent: Real,
    process_cpu_percent: Real,
    process_memory_bytes: Count,
    used_memory_bytes: Count,
    gpus: Document<Vec<GpuReading>>,
}

impl From<ReadingRow> for HardwareReading {
    #[expect(clippy::cast_possible_truncation, reason = "these were stored from an f32")]
    fn from(row: ReadingRow) -> Self {
        Self {
            at: row.taken_at.0,
            cpu_percent: row.cpu_percent.0 as f32,
            process_cpu_percent: row.process_cpu_percent.0 as f32,
            process_memory_bytes: row.process_memory_bytes.0,
            used_memory_bytes: row.used_memory_bytes.0,
            gpus: row.gpus.0,
        }
    }
}
