//! What came of a plugin, counted over the samples of all benchmarks that pin it.

use llm_bench_core::Result;
use llm_bench_core::plugin::{Percentiles, PluginStatistics};
use llm_bench_core::sample::FailureKind;

use crate::Storage;
use crate::column::{Count, Word};
use crate::error::database_error;

pub(super) async fn statistics(storage: &Storage, digest: &str) -> Result<PluginStatistics> {
    const BENCHMARKS: &str = "SELECT count(*) FROM benchmarks WHERE task_digest = ?";
    const FAILURES: &str = "SELECT failure_kind, count(*) FROM samples
        WHERE failure_kind IS NOT NULL AND benchmark_id IN (SELECT id FROM benchmarks WHERE task_digest = ?)
        GROUP BY failure_kind";
    const SAMPLES: &str = "SELECT count(*) FROM samples WHERE benchmark_id IN (SELECT id FROM benchmarks WHERE task_digest = ?)";
    // One connection reads one state of the file as long as its transaction lasts.
    let mut reader = storage.readers.begin().await.map_err(database_error)?;
    let benchmarks: Count =
        sqlx::query_scalar(BENCHMARKS).bind(digest).fetch_one(&mut *reader).await.map_err(database_error)?;
    let samples: Count =
        sqlx::query_scalar(SAMPLES).bind(digest).fetch_one(&mut *reader).await.map_err(database_error)?;
    let failures: Vec<(Word<FailureKind>, Count)> =
        sqlx::query_as(FAILURES).bind(digest).fetch_all(&mut *reader).await.map_err(database_error)?;
    let mut percentiles = [None, None];
    for (query, found) in [FUEL, MEMORY].into_iter().zip(&mut percentiles) {
        let mut at = async |hundredths: u64| -> Result<Option<Count>> {
            let Some(last) = samples.0.checked_sub(1) else { return Ok(None) };
            // The rank is the share of all, rounded up; places are counted from 0.
            let place = (samples.0 * hundredths).div_ceil(100).saturating_sub(1).min(last);
            let value =
                sqlx::query_scalar(query).bind(digest).bind(Count(place)).fetch_optional(&mut *reader);
            value.await.map_err(database_error)
        };
        *found = at(50).await?.zip(at(99).await?).map(|(p50, p99)| Percentiles { p50: p50.0, p99: p99.0 });
    }
    let [fuel, peak_memory_bytes] = percentiles;
    Ok(PluginStatistics {
        benchmarks: benchmarks.0,
        samples: samples.0,
        failures: failures.into_iter().map(|(kind, count)| (kind.0, count.0)).collect(),
        fuel,
        peak_memory_bytes,
    })
}

const FUEL: &str = "SELECT fuel FROM samples
    WHERE benchmark_id IN (SELECT id FROM benchmarks WHERE task_digest = ?) ORDER BY fuel LIMIT 1 OFFSET ?";
const MEMORY: &str = "SELECT peak_memory_bytes FROM samples
    WHERE benchmark_id IN (SELECT id FROM benchmarks WHERE task_digest = ?)
    ORDER BY peak_memory_bytes LIMIT 1 OFFSET ?";
