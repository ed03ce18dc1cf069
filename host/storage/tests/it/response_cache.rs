//! Finding recorded answers again.

use std::borrow::Cow;

use llm_bench_core::Result;
use llm_bench_core::benchmark::{BenchmarkRepository, Progress};
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::model::{ModelResponse, Timings, TokenUsage};
use llm_bench_core::response_cache::{ModelKey, RecordedAnswer, ResponseCache, ResponseKey};
use llm_bench_core::sample::{CallOutcome, FailureKind, SampleRecord};
use llm_bench_storage::Storage;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::common::{Database, benchmark, completed, failed};

/// A sample whose one call a model answered, under the key that such a call has.
fn answered(index: u64, model: &ModelKey) -> (ResponseKey, SampleRecord) {
    let mut sample = completed(index);
    let key = model.of_call(&sample.calls[0].request).unwrap();
    sample.calls[0].key = Some(key);
    (key, sample)
}

/// The same sample, answered from the cache.
fn answered_from_cache(index: u64) -> SampleRecord {
    let mut sample = completed(index);
    sample.calls[0].is_cached = true;
    sample.calls[0].timings = Timings::default();
    sample
}

impl Database {
    async fn find(&self, key: &ResponseKey) -> Result<Option<RecordedAnswer>> {
        ResponseCache::find(&self.storage, key, BenchmarkId::new()).await
    }
}

fn recorded(sample: &SampleRecord) -> RecordedAnswer {
    let CallOutcome::Response(response) = sample.calls[0].outcome.clone() else {
        panic!("the call was answered")
    };
    RecordedAnswer { response, usage: sample.calls[0].tokens }
}

#[tokio::test]
async fn an_answer_is_found_as_it_was_given_also_after_a_restart() {
    let database = Database::new().await;
    let model = ModelKey::new("digest", "cpu");
    let (key, sample) = answered(0, &model);
    assert_eq!(database.find(&key).await.unwrap(), None);

    let (id, worker) = database.running().await;
    database.benchmarks().record_samples(id, worker, std::slice::from_ref(&sample), 1).await.unwrap();
    // One of its log-likelihoods is −∞.
    assert_eq!(database.find(&key).await.unwrap(), Some(recorded(&sample)));
    assert_eq!(
        ResponseCache::find(&database.another_handle().await, &key, BenchmarkId::new()).await.unwrap(),
        Some(recorded(&sample))
    );

    // A benchmark does not answer itself.
    assert_eq!(ResponseCache::find(&database.storage, &key, id).await.unwrap(), None);

    let (other, _) = answered(1, &model);
    assert_eq!(database.find(&other).await.unwrap(), None);
    assert_eq!(database.benchmarks().samples(id, None, 1).await.unwrap().items, [sample]);
}

#[tokio::test]
async fn of_two_answers_the_later_one_is_found() {
    let database = Database::new().await;
    let (key, early) = answered(0, &ModelKey::new("digest", "cpu"));
    let mut late = early.clone();
    late.calls[0].outcome = CallOutcome::Response(ModelResponse::CountTokens(vec![7]));
    for sample in [early, late.clone()] {
        let (id, worker) = database.running().await;
        database.benchmarks().record_samples(id, worker, &[sample], 1).await.unwrap();
    }
    assert_eq!(database.find(&key).await.unwrap(), Some(recorded(&late)));
}

#[tokio::test]
async fn a_model_has_answers_once_it_gave_one() {
    let database = Database::new().await;
    let models = ["digest", "another", "third"].map(|digest| ModelKey::new(digest, "cpu"));
    let has_answers = async || {
        let mut found = Vec::new();
        for model in &models {
            found.push(database.storage.has_answers_of(model).await.unwrap());
        }
        found
    };
    assert_eq!(has_answers().await, [false, false, false]);
    let (id, worker) = database.running().await;
    let unnamed = [failed(0, FailureKind::ModelError), answered_from_cache(1)];
    database.benchmarks().record_samples(id, worker, &unnamed, 1).await.unwrap();
    assert_eq!(has_answers().await, [false, false, false]);
    database.benchmarks().record_samples(id, worker, &[answered(2, &models[1]).1], 1).await.unwrap();
    assert_eq!(has_answers().await, [false, true, false]);
}

#[tokio::test]
async fn what_the_cache_answered_is_counted_apart() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let model = ModelKey::new("digest", "cpu");
    let mut half = answered(2, &model).1;
    half.calls.extend(answered_from_cache(2).calls);
    half.calls.extend(answered_from_cache(2).calls);
    let samples = [answered(0, &model).1, answered_from_cache(1), half];
    let progress = database.benchmarks().record_samples(id, worker, &samples, 5).await.unwrap();
    let expected = Progress {
        completed: 3,
        tokens: TokenUsage { prompt: 200, completion: 6 },
        cached_samples: 2,
        cached_calls: 3,
        recorded_bytes: progress.recorded_bytes,
        active_ms: 5,
        ..benchmark().progress
    };
    assert_eq!(progress, expected);
    assert_eq!(database.benchmarks().find(id).await.unwrap().unwrap().progress, expected);
    assert_eq!(database.benchmarks().samples(id, None, 9).await.unwrap().items, samples);
}

#[tokio::test]
async fn a_database_from_before_the_cache_opens_and_keeps_its_calls() {
    const INSERT: &str = "INSERT INTO benchmarks (id, status, plan, total, completed, failed, prompt_tokens,
            completion_tokens, active_ms, created_at, outcome, cancel_requested)
        VALUES (?, 'completed', ?, 1, 1, 0, 100, 3, 2000, 0, ?, 0)";
    const OUTCOME: &str = r#"{"metrics": [], "failures": {}, "hardware": null, "error": null, "speed": {
        "active_s": 2.0, "samples_per_s": 0.5, "prompt_tokens": 100, "completion_tokens": 3,
        "prompt_tokens_per_s": 50.0, "completion_tokens_per_s": 1.5}}"#;
    const SAMPLE: &str = "INSERT INTO samples (benchmark_id, sample_index, repeat, fuel, peak_memory_bytes,
            duration_ms) VALUES (?, 0, 0, 1, 1, 1.0)";
    const CALL: &str = r#"INSERT INTO model_calls (benchmark_id, sample_index, repeat, position, part, kind,
            request, outcome, prompt_tokens, completion_tokens, queue_ms, tokenize_ms, prefill_ms, decode_ms)
        VALUES (?, 0, 0, 0, 'subject', 'count-tokens', '["a"]',
            '{"response": {"kind": "count-tokens", "response": [1]}}', 100, 3, 0.0, 0.0, 0.0, 0.0)"#;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llm-bench.sqlite");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut first = sqlx::migrate!("../../migrations/sqlite");
    first.migrations =
        Cow::Owned(first.migrations.iter().filter(|migration| migration.version == 1).cloned().collect());
    first.run(&mut connection).await.unwrap();
    let mut benchmark = benchmark();
    benchmark.plan.columns.clear();
    benchmark.plan.preset = None;
    let mut plan = serde_json::to_value(&benchmark.plan).unwrap();
    for added_since in ["response_cache", "columns", "preset"] {
        plan.as_object_mut().unwrap().remove(added_since).unwrap();
    }
    let id = benchmark.id.0.as_bytes().as_slice();
    for query in [
        sqlx::query(INSERT).bind(id).bind(plan.to_string()).bind(OUTCOME),
        sqlx::query(SAMPLE).bind(id),
        sqlx::query(CALL).bind(id),
    ] {
        query.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();

    let storage = Storage::open(&path).await.unwrap();
    let found = BenchmarkRepository::find(&storage, benchmark.id).await.unwrap().unwrap();
    assert_eq!(found.plan, benchmark.plan);
    assert_eq!((found.progress.cached_samples, found.progress.cached_calls), (0, 0));
    assert_eq!(found.outcome.unwrap().speed.samples_per_s, Some(0.5));
    let samples = storage.samples(benchmark.id, None, 1).await.unwrap().items;
    assert_eq!((samples[0].calls[0].is_cached, samples[0].calls[0].key), (false, None));
}
