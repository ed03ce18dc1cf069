//! What judging a record anew needs of samples, and what it says of them.

use futures::stream::{BoxStream, StreamExt};
use llm_bench_core::benchmark::SampleCursor;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::rescore::Agreement;
use llm_bench_core::{Result, Row};

use crate::Storage;
use crate::column::{Count, Document, Id};
use crate::error::database_error;

/// Reads row by row: the driver holds a few dozen at a time.
pub(crate) fn targets(storage: &Storage, id: BenchmarkId) -> BoxStream<'_, Result<(SampleCursor, Row)>> {
    const SELECT: &str = "SELECT sample_index, repeat, target FROM samples
        WHERE benchmark_id = ? AND passages IS NOT NULL AND target IS NOT NULL
        ORDER BY sample_index, repeat";
    sqlx::query_as::<_, (Count, u32, Document<Row>)>(SELECT)
        .bind(Id(id.0))
        .fetch(&storage.readers)
        .map(|row| row.map(|(index, repeat, target)| ((index.0, repeat), target.0)).map_err(database_error))
        .boxed()
}

pub(crate) async fn agreement(storage: &Storage, id: BenchmarkId) -> Result<Agreement> {
    const COUNT: &str = "SELECT count(*), coalesce(sum(differs), 0) FROM samples
        WHERE benchmark_id = ? AND differs IS NOT NULL";
    const FIRST: &str = "SELECT sample_index FROM samples
        WHERE benchmark_id = ? AND differs = 1
        ORDER BY sample_index
        LIMIT ?";
    let (compared, differing): (Count, Count) =
        sqlx::query_as(COUNT).bind(Id(id.0)).fetch_one(&storage.readers).await.map_err(database_error)?;
    let rows: Vec<Count> = sqlx::query_scalar(FIRST)
        .bind(Id(id.0))
        .bind(Agreement::NAMED)
        .fetch_all(&storage.readers)
        .await
        .map_err(database_error)?;
    let rows = rows.into_iter().map(|row| row.0).collect();
    Ok(Agreement { compared: compared.0, differing: differing.0, rows })
}
