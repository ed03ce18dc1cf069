//! What came of verifying benchmarks.

use async_trait::async_trait;
use llm_bench_core::Result;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::verification::{Verification, VerificationRepository};

use crate::column::{Document, Id, Moment};
use crate::error::database_error;
use crate::{Storage, benchmark, commit};

#[async_trait]
impl VerificationRepository for Storage {
    async fn save(&self, verification: &Verification) -> Result<()> {
        const SAVE: &str = "INSERT OR REPLACE INTO verifications (benchmark_id, verified_at, verification)
            VALUES (?, ?, ?)";
        let mut transaction = self.write().await?;
        benchmark::ensure_exists(&mut transaction, verification.benchmark).await?;
        sqlx::query(SAVE)
            .bind(Id(verification.benchmark.0))
            .bind(Moment(verification.verified_at))
            .bind(Document(verification))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        commit(transaction).await
    }

    async fn find(&self, benchmark: BenchmarkId) -> Result<Option<Verification>> {
        const SELECT: &str = "SELECT verification FROM verifications WHERE benchmark_id = ?";
        let found: Option<Document<Verification>> = sqlx::query_scalar(SELECT)
            .bind(Id(benchmark.0))
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        Ok(found.map(|verification| verification.0))
    }
}
