//! Recording finished samples and reading them back.

use futures::TryStreamExt;
use llm_bench_core::ErrorKind;
use llm_bench_core::benchmark::Progress;
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::model::{
    Chat, FinishReason, Generation, GenerationRequest, LogLikelihood, Message, ModelRequest, ModelResponse,
    Prompt, RankRequest, Role, Sampling, ScoringRequest, Timings, TokenUsage,
};
use llm_bench_core::sample::{
    CallOutcome, FailureCounts, FailureKind, Measurement, ModelCall, Passage, Phase, SampleRecord, Solution,
};
use sqlx::Connection;

use crate::common::{Database, at, benchmark, completed, failed, five_shot, measurement};

#[tokio::test]
async fn progress_adds_up_samples_tokens_and_time() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let first = [completed(0), failed(1, FailureKind::FuelExhausted)];
    let progress = database.benchmarks().record_samples(id, worker, &first, 30).await.unwrap();
    assert_eq!((progress.total, progress.completed, progress.failed), (1_000, 1, 1));

    let progress = database.benchmarks().record_samples(id, worker, &[completed(2)], 12).await.unwrap();
    let tokens = TokenUsage { prompt: 300, completion: 9 };
    let recorded_bytes = progress.recorded_bytes;
    let expected =
        Progress { completed: 2, failed: 1, tokens, recorded_bytes, active_ms: 42, ..benchmark().progress };
    assert_eq!(progress, expected);
    assert_eq!(database.benchmarks().find(id).await.unwrap().unwrap().progress, progress);
}

#[tokio::test]
async fn a_sample_recorded_twice_counts_once_and_keeps_its_first_result() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().record_samples(id, worker, &[completed(0), completed(1)], 10).await.unwrap();

    let again = [failed(1, FailureKind::Trap), completed(2), completed(2)];
    let progress = database.benchmarks().record_samples(id, worker, &again, 10).await.unwrap();
    assert_eq!((progress.completed, progress.failed), (3, 0));
    assert_eq!((progress.tokens.prompt, progress.active_ms), (300, 20));

    let stored = database.benchmarks().samples(id, None, 10).await.unwrap();
    assert_eq!(stored.items, [completed(0), completed(1), completed(2)]);
    let measurements: Vec<_> = database.benchmarks().measurements(id, None).try_collect().await.unwrap();
    assert_eq!(measurements.len(), 6);
}

#[tokio::test]
async fn what_a_sample_takes_is_counted_and_a_text_that_is_kept_already_is_not() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let with_question = |index, question: &str| {
        let request = ModelRequest::CountTokens(vec![question.to_owned()]);
        SampleRecord {
            calls: vec![ModelCall { request, ..completed(0).calls.remove(0) }],
            ..completed(index)
        }
    };
    let mut before = 0;
    let mut bytes = async |sample| {
        let progress = database.benchmarks().record_samples(id, worker, &[sample], 0).await.unwrap();
        progress.recorded_bytes - std::mem::replace(&mut before, progress.recorded_bytes)
    };
    let (long, longer) = ("long ".repeat(1_000), "long ".repeat(2_000));
    let new = bytes(with_question(0, &long)).await;
    let kept = bytes(with_question(1, &long)).await;
    assert_eq!(new, kept + 5_000);
    assert_eq!(bytes(with_question(2, &longer)).await, kept + 10_000);
    assert_eq!(bytes(with_question(2, &longer)).await, 0, "the same sample again");
    let short = bytes(with_question(3, "four")).await;
    assert_eq!(bytes(with_question(4, "eighteight")).await, short + 6);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stores_nothing() {
    let database = Database::new().await;
    let (id, late) = database.running().await;
    let next = WorkerId::new();
    database.benchmarks().claim(next, at(61), at(120)).await.unwrap().unwrap();

    let error = database.benchmarks().record_samples(id, late, &[completed(0)], 10).await.unwrap_err();
    assert_eq!(error.code, "lease-lost");
    assert_eq!(database.benchmarks().samples(id, None, 10).await.unwrap().items, []);
    let progress = database.benchmarks().record_samples(id, next, &[], 0).await.unwrap();
    assert_eq!(progress, Progress { total: 1_000, ..Progress::default() });

    let unknown = BenchmarkId::new();
    let error = database.benchmarks().record_samples(unknown, next, &[completed(0)], 10).await.unwrap_err();
    assert_eq!(error.code, "lease-lost");
}

#[tokio::test]
async fn finished_rows_are_given_as_runs() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    assert_eq!(database.benchmarks().finished_rows(id).await.unwrap(), []);

    for index in [5, 0, 900, 2, 1, 6, 4] {
        let sample = if index == 2 { failed(2, FailureKind::Timeout) } else { completed(index) };
        database.benchmarks().record_samples(id, worker, &[sample], 0).await.unwrap();
    }
    assert_eq!(database.benchmarks().finished_rows(id).await.unwrap(), [0..=2, 4..=6, 900..=900]);
}

#[tokio::test]
async fn completed_samples_come_page_by_page_without_the_failed_and_without_calls() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let mixed = [completed(7), failed(1, FailureKind::Trap), completed(0), failed(8, FailureKind::Trap)];
    database.benchmarks().record_samples(id, worker, &mixed, 0).await.unwrap();
    let bare = |index| SampleRecord { calls: Vec::new(), ..completed(index) };
    let first = database.benchmarks().completed(id, None, 1).await.unwrap();
    assert_eq!((first.items, first.next), (vec![bare(0)], Some((0, 0))));
    let second = database.benchmarks().completed(id, first.next, 1).await.unwrap();
    assert_eq!((second.items, second.next), (vec![bare(7)], None));
    let none = database.benchmarks().completed(BenchmarkId::new(), None, 10).await.unwrap();
    assert_eq!(none.items, []);
}

#[tokio::test]
async fn measurements_are_those_of_completed_samples_in_dataset_order() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let mut last = completed(11);
    last.measurements = vec![
        Measurement { filter: Some("strict-match".to_owned()), ..measurement("exact", f64::NEG_INFINITY) },
        Measurement {
            value: None,
            weight: 0.1,
            reason: Some("the verdict cannot be parsed".to_owned()),
            ..measurement("faithful", 0.0)
        },
    ];
    let mut judged_in_vain = failed(3, FailureKind::Trap);
    judged_in_vain.measurements = vec![measurement("acc", 1.0)];
    let samples = [last.clone(), completed(2), judged_in_vain];
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    let read: Vec<_> = database.benchmarks().measurements(id, None).try_collect().await.unwrap();
    let placed = |sample: SampleRecord| -> Vec<_> {
        let place = (sample.index, sample.repeat);
        sample.measurements.into_iter().map(|measurement| (place, measurement)).collect()
    };
    assert_eq!(read, [placed(completed(2)), placed(last)].concat());
}

#[tokio::test]
async fn measurements_are_read_on_behind_a_sample_and_its_repeat() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let repeated = SampleRecord { repeat: 1, ..completed(5) };
    let samples = [completed(4), completed(5), repeated, completed(300)];
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    for (after, expected) in [
        (None, vec![(4, 0), (5, 0), (5, 1), (300, 0)]),
        (Some((4, 0)), vec![(5, 0), (5, 1), (300, 0)]),
        (Some((5, 0)), vec![(5, 1), (300, 0)]),
        (Some((5, 7)), vec![(300, 0)]),
        (Some((300, 0)), vec![]),
    ] {
        let read: Vec<_> = database.benchmarks().measurements(id, after).try_collect().await.unwrap();
        let mut places: Vec<_> = read.into_iter().map(|(place, _)| place).collect();
        places.dedup();
        assert_eq!(places, expected, "behind {after:?}");
    }
}

#[tokio::test]
async fn a_measurement_that_is_not_a_number_stays_one() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let mut sample = completed(0);
    sample.measurements = vec![measurement("acc", f64::NAN)];
    sample.duration_ms = f64::NAN;
    database.benchmarks().record_samples(id, worker, &[sample], 0).await.unwrap();

    let read: Vec<_> = database.benchmarks().measurements(id, None).try_collect().await.unwrap();
    assert!(read[0].1.value.unwrap().is_nan());
    let page = database.benchmarks().samples(id, None, 1).await.unwrap();
    assert!(page.items[0].duration_ms.is_nan());
}

#[tokio::test]
async fn failures_are_counted_by_kind() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let kinds = [FailureKind::Trap, FailureKind::MemoryLimit, FailureKind::Trap];
    let samples: Vec<_> = (0..).zip(kinds).map(|(index, kind)| failed(index, kind)).collect();
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    let expected = FailureCounts::from([(FailureKind::Trap, 2), (FailureKind::MemoryLimit, 1)]);
    assert_eq!(database.benchmarks().failures(id).await.unwrap(), expected);
    assert_eq!(database.benchmarks().samples(id, None, 10).await.unwrap().items, samples);
}

fn call(request: ModelRequest, response: ModelResponse) -> ModelCall {
    ModelCall {
        phase: Phase::Solve,
        part: "judge".to_owned(),
        request,
        outcome: CallOutcome::Response(response),
        tokens: TokenUsage { prompt: u64::from(u32::MAX) * 9, completion: 0 },
        timings: Timings { queue_ms: 5e-324, tokenize_ms: 0.1 + 0.2, prefill_ms: 1e308, decode_ms: 0.0 },
        is_cached: false,
        key: None,
    }
}

/// One call of each kind, full of what is hard to keep.
fn hard_calls() -> Vec<ModelCall> {
    let hard_text = format!("{} \u{0} \" \\ \n é 漢 🦀 \u{2028} {{\"$text\": \"00\"}}", "x".repeat(100));
    let sums = [f64::NEG_INFINITY, -0.1, -5e-324, -1e308, -1.0 / 3.0, 0.0];
    let singles = [f32::NEG_INFINITY, 0.1, f32::MIN_POSITIVE / 2.0, f32::from_bits(0x15ae_43fd), f32::MAX];
    let likelihood = |sum| LogLikelihood { sum, is_greedy: false, tokens: u32::MAX };
    let scoring = |_| ScoringRequest {
        context: Prompt::Text(hard_text.clone()),
        continuation: String::new(),
        extra: vec![("$text".to_owned(), hard_text.clone())],
    };
    let chat = Chat {
        messages: vec![Message { role: Role::User, content: hard_text.clone() }],
        continue_final: true,
    };
    let sampling = Sampling {
        max_tokens: Some(7),
        temperature: Some(0.1),
        top_p: Some(f32::INFINITY),
        seed: Some(u64::MAX),
        stop: vec![hard_text.clone(), "\n".to_owned()],
        ..Sampling::default()
    };
    let generation = Generation {
        text: hard_text.clone(),
        finish_reason: FinishReason::Length,
        prompt_tokens: 1,
        completion_tokens: 2,
    };
    let texts = vec![hard_text.clone(), "short".to_owned()];
    vec![
        call(
            ModelRequest::Generate(vec![GenerationRequest { prompt: Prompt::Chat(chat), sampling }]),
            ModelResponse::Generate(vec![generation]),
        ),
        call(
            ModelRequest::LogLikelihood(sums.iter().map(scoring).collect()),
            ModelResponse::LogLikelihood(sums.map(likelihood).to_vec()),
        ),
        call(
            ModelRequest::LogLikelihoodRolling(texts.clone()),
            ModelResponse::LogLikelihoodRolling(vec![likelihood(-1.5); 2]),
        ),
        call(ModelRequest::Embed(texts.clone()), ModelResponse::Embed(vec![singles.to_vec(), Vec::new()])),
        call(
            ModelRequest::Rank(RankRequest { query: hard_text, documents: texts.clone() }),
            ModelResponse::Rank(singles.to_vec()),
        ),
        ModelCall {
            outcome: CallOutcome::Error {
                kind: ErrorKind::Unavailable,
                code: "model-busy".to_owned(),
                message: "wait".to_owned(),
            },
            ..call(ModelRequest::CountTokens(texts), ModelResponse::CountTokens(Vec::new()))
        },
    ]
}

#[tokio::test]
async fn a_sample_and_its_calls_come_back_exactly() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    // As deep as JSON can be read at all.
    let deep = (0..127).fold(serde_json::json!(0.1), |inner, _| serde_json::json!([inner]));
    let sample = SampleRecord {
        solution: Some(Solution {
            answer: Some("\u{0}é".to_owned()),
            passages: vec![Passage { id: "p".to_owned(), text: "t".repeat(200), score: f64::NEG_INFINITY }],
            detail: Some(serde_json::json!({"z": 1, "a": [null, 1e-7]})),
        }),
        target: serde_json::from_str(r#"{"z": 1, "a": {"NaN": "Infinity"}, "n": 18446744073709551615}"#).ok(),
        calls: hard_calls(),
        ..completed(0)
    };
    let nothing = SampleRecord { solution: None, target: None, calls: Vec::new(), ..completed(1) };
    let empty = SampleRecord { solution: Some(Solution::default()), ..completed(2) };
    let nested = SampleRecord {
        solution: Some(Solution { detail: Some(deep), ..Solution::default() }),
        ..completed(3)
    };
    let samples = [sample, nothing, empty, nested];
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    let stored = database.benchmarks().samples(id, None, 10).await.unwrap();
    assert_eq!(stored.items, samples);
    let order: Vec<_> = stored.items[0].target.as_ref().unwrap().keys().collect();
    assert_eq!(order, ["z", "a", "n"]);
}

#[tokio::test]
async fn a_context_that_recurs_is_stored_once() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let context = five_shot().repeat(20);
    let sample = |index: u64| {
        let request = |choice: u64| ScoringRequest {
            context: Prompt::Text(context.clone()),
            continuation: format!(" {choice}"),
            extra: Vec::new(),
        };
        let likelihood = LogLikelihood { sum: -1.0, is_greedy: true, tokens: 1 };
        let request = ModelRequest::LogLikelihood((0..4).map(request).collect());
        let calls = vec![call(request, ModelResponse::LogLikelihood(vec![likelihood; 4]))];
        SampleRecord { calls, ..completed(index) }
    };
    let samples: Vec<_> = (0..100).map(sample).collect();
    for batch in samples.chunks(10) {
        database.benchmarks().record_samples(id, worker, batch, 0).await.unwrap();
    }
    assert_eq!(database.benchmarks().samples(id, None, 100).await.unwrap().items, samples);

    database.storage.close().await;
    let bytes = std::fs::metadata(&database.path).unwrap().len();
    let plain = context.len() as u64 * 4 * 100;
    assert!(bytes < plain / 5, "{bytes} bytes hold what is {plain} bytes of prompts");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database.path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let texts: i64 =
        sqlx::query_scalar("SELECT count(*) FROM texts").fetch_one(&mut connection).await.unwrap();
    assert_eq!(texts, 1);
}
