//! What scorers made of samples.

use std::collections::HashMap;

use futures::stream::{BoxStream, StreamExt};
use llm_bench_core::Result;
use llm_bench_core::benchmark::SampleCursor;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::sample::{Measurement, SampleRecord};
use sqlx::{FromRow, Sqlite, Transaction};

use crate::Storage;
use crate::column::{Count, Id, Real};
use crate::error::database_error;

/// The bytes of their texts together.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    sample: &SampleRecord,
) -> Result<u64> {
    const INSERT: &str =
        "INSERT INTO measurements (benchmark_id, sample_index, repeat, position, metric, filter, value,
            weight, reason)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut bytes = 0;
    for (position, measurement) in (0_i64..).zip(&sample.measurements) {
        sqlx::query(INSERT)
            .bind(Id(id.0))
            .bind(Count(sample.index))
            .bind(sample.repeat)
            .bind(position)
            .bind(&measurement.metric)
            .bind(&measurement.filter)
            .bind(measurement.value.map(Real))
            .bind(Real(measurement.weight))
            .bind(&measurement.reason)
            .execute(&mut **transaction)
            .await
            .map_err(database_error)?;
        let texts = [&measurement.filter, &measurement.reason];
        bytes += measurement.metric.len() + texts.into_iter().flatten().map(String::len).sum::<usize>();
    }
    Ok(bytes as u64)
}

/// The measurements of the samples from `first` to `last`.
pub(super) async fn between(
    storage: &Storage,
    id: BenchmarkId,
    first: SampleCursor,
    last: SampleCursor,
) -> Result<HashMap<SampleCursor, Vec<Measurement>>> {
    const SELECT: &str = "SELECT * FROM measurements
        WHERE benchmark_id = ? AND (sample_index, repeat) >= (?, ?) AND (sample_index, repeat) <= (?, ?)
        ORDER BY sample_index, repeat, position";
    let rows: Vec<PlacedRow> = sqlx::query_as(SELECT)
        .bind(Id(id.0))
        .bind(Count(first.0))
        .bind(first.1)
        .bind(Count(last.0))
        .bind(last.1)
        .fetch_all(&storage.readers)
        .await
        .map_err(database_error)?;
    let mut measurements: HashMap<_, Vec<_>> = HashMap::new();
    for (place, measurement) in rows.into_iter().map(PlacedRow::into) {
        measurements.entry(place).or_default().push(measurement);
    }
    Ok(measurements)
}

/// Reads row by row: the driver holds a few dozen at a time.
pub(crate) fn measurements(
    storage: &Storage,
    id: BenchmarkId,
    after: Option<SampleCursor>,
) -> BoxStream<'_, Result<(SampleCursor, Measurement)>> {
    const SELECT: &str = "SELECT sample_index, repeat, metric, filter, value, weight, reason FROM measurements
        WHERE benchmark_id = ?1 AND (sample_index, repeat) > (coalesce(?2, -1), coalesce(?3, -1)) AND NOT EXISTS (
            SELECT 1 FROM samples
            WHERE samples.benchmark_id = measurements.benchmark_id
                AND samples.sample_index = measurements.sample_index
                AND samples.repeat = measurements.repeat
                AND samples.failure_kind IS NOT NULL
        )
        ORDER BY sample_index, repeat, position";
    sqlx::query_as::<_, PlacedRow>(SELECT)
        .bind(Id(id.0))
        .bind(after.map(|(index, _)| Count(index)))
        .bind(after.map(|(_, repeat)| repeat))
        .fetch(&storage.readers)
        .map(|row| row.map(PlacedRow::into).map_err(database_error))
        .boxed()
}

#[derive(FromRow)]
struct PlacedRow {
    sample_index: Count,
    repeat: u32,
    #[sqlx(flatten)]
    measurement: MeasurementRow,
}

impl From<PlacedRow> for (SampleCursor, Measurement) {
    fn from(row: PlacedRow) -> Self {
        ((row.sample_index.0, row.repeat), row.measurement.into())
    }
}

#[derive(FromRow)]
struct MeasurementRow {
    metric: String,
    filter: Option<String>,
    value: Option<Real>,
    weight: Real,
    reason: Option<String>,
}

impl From<MeasurementRow> for Measurement {
    fn from(row: MeasurementRow) -> Self {
        Self {
            metric: row.metric,
            filter: row.filter,
            value: row.value.map(|value| value.0),
            weight: row.weight.0,
            reason: row.reason,
        }
    }
}
