//! Answers of recorded model calls, found again. Nothing is stored for it but the key that stands with a call.

use async_trait::async_trait;
use llm_bench_core::Result;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::model::TokenUsage;
use llm_bench_core::response_cache::{ModelKey, RecordedAnswer, ResponseCache, ResponseKey};
use llm_bench_core::sample::CallOutcome;

use crate::Storage;
use crate::column::{Count, Document, Id};
use crate::error::database_error;

#[async_trait]
impl ResponseCache for Storage {
    async fn find(&self, key: &ResponseKey, asking: BenchmarkId) -> Result<Option<RecordedAnswer>> {
        const SELECT: &str = "SELECT outcome, prompt_tokens, completion_tokens FROM model_calls
            WHERE response_key = ? AND benchmark_id <> ?
            ORDER BY rowid DESC
            LIMIT 1";
        let row: Option<(Document<CallOutcome>, Count, Count)> = sqlx::query_as(SELECT)
            .bind(key.0.as_slice())
            .bind(Id(asking.0))
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        Ok(row.and_then(|(outcome, prompt, completion)| match outcome.0 {
            CallOutcome::Response(response) => {
                let usage = TokenUsage { prompt: prompt.0, completion: completion.0 };
                Some(RecordedAnswer { response, usage })
            }
            CallOutcome::Error { .. } => None,
        }))
    }

    async fn has_answers_of(&self, model: &ModelKey) -> Result<bool> {
        const EXISTS: &str = "SELECT EXISTS (
            SELECT 1 FROM model_calls WHERE response_key >= ?1 AND response_key < ?2)";
        let first = model.prefix().to_vec();
        // Longer than any key, and behind all that begin so.
        let behind = [first.as_slice(), &[u8::MAX; ResponseKey::BYTES]].concat();
        sqlx::query_scalar(EXISTS)
            .bind(first)
            .bind(behind)
            .fetch_one(&self.readers)
            .await
            .map_err(database_error)
    }
}
