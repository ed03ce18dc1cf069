//! The model calls of samples, as the host recorded them.

use std::collections::HashMap;

use llm_bench_core::benchmark::SampleCursor;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::model::{ModelRequest, Timings, TokenUsage};
use llm_bench_core::response_cache::ResponseKey;
use llm_bench_core::sample::{CallOutcome, ModelCall, Phase, SampleRecord};
use llm_bench_core::{Error, Json, Result};
use sqlx::{FromRow, Sqlite, Transaction};

use crate::column::{Count, Document, Id, Real, Word};
use crate::error::database_error;
use crate::text::Texts;
use crate::{Storage, json};

/// What stands in the column `request`: the list of requests, its long texts taken out. The kind has its own column.
pub(super) fn request_to_text(call: &ModelCall, texts: &mut Texts) -> Result<String> {
    let mut request = json::to_value(&call.request).map_err(|error| {
        Error::invalid("not-storable", format!("a model call cannot be stored: {error}")).because(error)
    })?;
    Ok(texts.take_from(request["request"].take()).to_string())
}

/// The bytes of their requests, without the texts taken out, and of their outcomes.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    sample: &SampleRecord,
    requests: &[String],
) -> Result<u64> {
    const INSERT: &str =
        "INSERT INTO model_calls (benchmark_id, sample_index, repeat, position, part, kind, request,
            outcome, prompt_tokens, completion_tokens, queue_ms, tokenize_ms, prefill_ms, decode_ms,
            response_key, is_cached, phase)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        RETURNING octet_length(request) + octet_length(outcome)";
    let mut bytes = 0;
    for (position, (call, request)) in (0_i64..).zip(sample.calls.iter().zip(requests)) {
        let call_bytes: Count = sqlx::query_scalar(INSERT)
            .bind(Id(id.0))
            .bind(Count(sample.index))
            .bind(sample.repeat)
            .bind(position)
            .bind(&call.part)
            .bind(call.request.kind())
            .bind(request)
            .bind(Document(&call.outcome))
            .bind(Count(call.tokens.prompt))
            .bind(Count(call.tokens.completion))
            .bind(Real(call.timings.queue_ms))
            .bind(Real(call.timings.tokenize_ms))
            .bind(Real(call.timings.prefill_ms))
            .bind(Real(call.timings.decode_ms))
            .bind(call.key.as_ref().map(|key| key.0.as_slice()))
            .bind(call.is_cached)
            .bind(Word(call.phase))
            .fetch_one(&mut **transaction)
            .await
            .map_err(database_error)?;
        bytes += call_bytes.0;
    }
    Ok(bytes)
}

/// The calls of the samples from `first` to `last`.
pub(super) async fn between(
    storage: &Storage,
    id: BenchmarkId,
    first: SampleCursor,
    last: SampleCursor,
) -> Result<HashMap<SampleCursor, Vec<ModelCall>>> {
    const SELECT: &str = "SELECT * FROM model_calls
        WHERE benchmark_id = ? AND (sample_index, repeat) >= (?, ?) AND (sample_index, repeat) <= (?, ?)
        ORDER BY sample_index, repeat, position";
    let rows: Vec<CallRow> = sqlx::query_as(SELECT)
        .bind(Id(id.0))
        .bind(Count(first.0))
        .bind(first.1)
        .bind(Count(last.0))
        .bind(last.1)
        .fetch_all(&storage.readers)
        .await
        .map_err(database_error)?;
    let texts = Texts::load(rows.iter().map(|row| &row.request.0), &storage.readers).await?;
    let mut calls: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        calls.entry((row.sample_index.0, row.repeat)).or_default().push(row.into_call(&texts)?);
    }
    Ok(calls)
}

#[derive(FromRow)]
struct CallRow {
    sample_index: Count,
    repeat: u32,
    part: String,
    kind: String,
    request: Document<Json>,
    outcome: Document<CallOutcome>,
    prompt_tokens: Count,
    completion_tokens: Count,
    queue_ms: Real,
    tokenize_ms: Real,
    prefill_ms: Real,
    decode_ms: Real,
    response_key: Option<Vec<u8>>,
    is_cached: bool,
    phase: Word<Phase>,
}

impl CallRow {
    fn into_call(self, texts: &Texts) -> Result<ModelCall> {
        let request = serde_json::json!({ "kind": self.kind, "request": texts.put_into(self.request.0)? });
        let request: ModelRequest = json::from_value(request).map_err(|error| {
            Error::internal("storage-unreadable", "a stored model call cannot be read").because(error)
        })?;
        Ok(ModelCall {
            phase: self.phase.0,
            part: self.part,
            request,
            outcome: self.outcome.0,
            tokens: TokenUsage { prompt: self.prompt_tokens.0, completion: self.completion_tokens.0 },
            timings: Timings {
                queue_ms: self.queue_ms.0,
                tokenize_ms: self.tokenize_ms.0,
                prefill_ms: self.prefill_ms.0,
                decode_ms: self.decode_ms.0,
            },
            is_cached: self.is_cached,
            key: self.response_key.and_then(|key| key.try_into().ok()).map(ResponseKey),
        })
    }
}
