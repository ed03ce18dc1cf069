//! Submitting, claiming, ending: who holds a benchmark and who does not.

use llm_bench_core::ErrorKind;
use llm_bench_core::benchmark::{
    BenchmarkRepository, ErrorNote, FewShot, FewShotDraws, FewShotSampling, Lease, Metric, Outcome, Speed,
    Status,
};
use llm_bench_core::hardware::{GpuInfo, Gpus, HardwareInfo, HardwareSummary};
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::rescore::Agreement;
use llm_bench_core::sample::{Failure, FailureCounts, FailureKind, Phase};

use crate::common::{Database, at, benchmark, completed, failed, split};

fn outcome() -> Outcome {
    Outcome {
        metrics: vec![
            Metric {
                name: "acc".to_owned(),
                filter: Some("strict-match".to_owned()),
                value: Some(0.1 + 0.2),
                stderr: None,
                bootstrap_replicates: None,
                ci95: Some([f64::NEG_INFINITY, 1.0]),
                count: 999,
                higher_is_better: true,
                reason: None,
            },
            Metric {
                name: "perplexity".to_owned(),
                filter: None,
                value: Some(f64::INFINITY),
                stderr: Some(1e-300),
                bootstrap_replicates: Some(2_000),
                ci95: None,
                count: 1,
                higher_is_better: false,
                reason: Some("of a corpus".to_owned()),
            },
        ],
        aggregation_failure: Some(Failure {
            kind: FailureKind::Trap,
            phase: Phase::Aggregate,
            message: "it panicked".to_owned(),
            backtrace: None,
            log: Some("a line".to_owned()),
        }),
        failures: FailureCounts::from([(FailureKind::Trap, 1)]),
        speed: Speed { active_s: 1.5, samples_per_s: Some(666.6), ..Speed::default() },
        hardware: Some(HardwareSummary {
            info: HardwareInfo {
                cpu: "a processor".to_owned(),
                logical_cores: 2,
                total_memory_bytes: 1 << 34,
                operating_system: "Linux".to_owned(),
                gpus: Gpus::Present {
                    devices: vec![GpuInfo {
                        index: 0,
                        name: "a card".to_owned(),
                        memory_bytes: 1 << 36,
                        driver: "1.0".to_owned(),
                    }],
                },
            },
            readings: 3,
            mean_cpu_percent: 99.9,
            peak_process_memory_bytes: 1,
            peak_used_memory_bytes: 2,
            peak_gpu_memory_bytes: None,
            mean_gpu_power_watts: Some(70.1),
        }),
        agreement: Some(Agreement { compared: 3, differing: 1, rows: vec![2] }),
        error: Some(ErrorNote { code: "too-many-failures".to_owned(), message: "10 % failed".to_owned() }),
    }
}

#[tokio::test]
async fn a_submitted_benchmark_is_found_as_it_was_given() {
    let database = Database::new().await;
    let mut benchmark = benchmark();
    benchmark.plan.few_shot = Some(FewShot {
        split: split("train"),
        rows: vec![3, 1, 2],
        count: 2,
        sampling: FewShotSampling::First,
    });
    database.benchmarks().insert(&benchmark, None, None).await.unwrap();

    assert_eq!(database.benchmarks().find(benchmark.id).await.unwrap(), Some(benchmark));
    assert_eq!(database.benchmarks().find(BenchmarkId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn the_few_shot_rows_of_a_benchmark_are_kept_beside_its_plan() {
    let database = Database::new().await;
    let (random, plain) = (benchmark(), benchmark());
    let draws = FewShotDraws { count: 2, rows: vec![7, 0, 40_000, 1 << 40] };
    database.benchmarks().insert(&random, Some(&draws), None).await.unwrap();
    database.benchmarks().insert(&plain, None, None).await.unwrap();
    assert_eq!(database.benchmarks().few_shot_draws(random.id).await.unwrap(), Some(draws));
    assert_eq!(database.benchmarks().few_shot_draws(plain.id).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_benchmark_cannot_be_submitted_twice() {
    let database = Database::new().await;
    let benchmark = benchmark();
    database.benchmarks().insert(&benchmark, None, None).await.unwrap();
    let error = database.benchmarks().insert(&benchmark, None, None).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Conflict, "benchmark-exists"));
}

#[tokio::test]
async fn a_config_nested_too_deep_to_be_read_again_is_refused() {
    let database = Database::new().await;
    let mut benchmark = benchmark();
    benchmark.plan.config = (0..127).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    let error = database.benchmarks().insert(&benchmark, None, None).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "not-storable"));
    assert!(error.message.contains("the plan"), "{error}");
}

#[tokio::test]
async fn workers_claim_the_oldest_first_and_nothing_from_an_empty_queue() {
    let database = Database::new().await;
    let (older, newer) = (benchmark(), benchmark());
    database.benchmarks().insert(&newer, None, None).await.unwrap();
    database.benchmarks().insert(&older, None, None).await.unwrap();

    let first = database.benchmarks().claim(WorkerId::new(), at(1), at(61)).await.unwrap().unwrap();
    assert_eq!((first.id, first.status, first.started_at), (older.id, Status::Running, Some(at(1))));
    let second = database.benchmarks().claim(WorkerId::new(), at(2), at(62)).await.unwrap().unwrap();
    assert_eq!(second.id, newer.id);
    assert_eq!(database.benchmarks().claim(WorkerId::new(), at(3), at(63)).await.unwrap(), None);
}

#[tokio::test]
async fn a_benchmark_inserted_with_a_lease_is_running_and_not_for_others() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;

    let stored = database.benchmarks().find(id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.started_at), (Status::Running, Some(at(0))));
    assert_eq!(database.benchmarks().claim(WorkerId::new(), at(1), at(61)).await.unwrap(), None);
    assert_eq!(database.benchmarks().renew(id, worker, at(120)).await.unwrap(), Lease::Held);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_claimed_again_and_the_late_worker_has_lost_it() {
    let database = Database::new().await;
    let (id, late) = database.running().await;
    let next = WorkerId::new();

    assert_eq!(database.benchmarks().claim(next, at(60), at(120)).await.unwrap(), None);
    let claimed = database.benchmarks().claim(next, at(61), at(120)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.started_at), (id, Some(at(0))));

    assert_eq!(database.benchmarks().renew(id, late, at(180)).await.unwrap(), Lease::Lost);
    assert_eq!(database.benchmarks().renew(id, next, at(180)).await.unwrap(), Lease::Held);
    let finishing = database.benchmarks().finish(id, late, Status::Completed, &outcome(), at(62)).await;
    assert_eq!(finishing.unwrap_err().code, "lease-lost");
    assert_eq!(database.benchmarks().release(id, late).await.unwrap_err().code, "lease-lost");
    let stored = database.benchmarks().find(id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.outcome), (Status::Running, None));
}

#[tokio::test]
async fn a_renewed_lease_is_not_claimed() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().renew(id, worker, at(120)).await.unwrap();
    assert_eq!(database.benchmarks().claim(WorkerId::new(), at(100), at(160)).await.unwrap(), None);
}

#[tokio::test]
async fn a_released_benchmark_waits_with_what_is_done_of_it() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().record_samples(id, worker, &[completed(0)], 40).await.unwrap();
    database.benchmarks().release(id, worker).await.unwrap();

    assert_eq!(database.benchmarks().find(id).await.unwrap().unwrap().status, Status::Queued);
    let claimed = database.benchmarks().claim(WorkerId::new(), at(10), at(70)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.progress.completed, claimed.progress.active_ms), (id, 1, 40));
    assert_eq!(claimed.started_at, Some(at(0)));
}

#[tokio::test]
async fn an_outcome_is_kept_to_the_last_bit() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().finish(id, worker, Status::Failed, &outcome(), at(9)).await.unwrap();

    let stored = database.benchmarks().find(id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.finished_at), (Status::Failed, Some(at(9))));
    assert_eq!(stored.outcome, Some(outcome()));
    assert_eq!(database.benchmarks().renew(id, worker, at(120)).await.unwrap(), Lease::Lost);
    assert_eq!(database.benchmarks().claim(worker, at(1_000), at(1_060)).await.unwrap(), None);
}

#[tokio::test]
async fn a_benchmark_cannot_end_as_running() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let error =
        database.benchmarks().finish(id, worker, Status::Running, &outcome(), at(1)).await.unwrap_err();
    assert_eq!(error.code, "invalid-status");
}

#[tokio::test]
async fn a_queued_benchmark_is_cancelled_at_once() {
    let database = Database::new().await;
    let benchmark = benchmark();
    database.benchmarks().insert(&benchmark, None, None).await.unwrap();

    let cancelled = database.benchmarks().request_cancel(benchmark.id, at(5)).await.unwrap();
    assert_eq!((cancelled.status, cancelled.finished_at), (Status::Cancelled, Some(at(5))));
    let outcome = cancelled.outcome.clone().unwrap();
    assert!(outcome.metrics.is_empty() && outcome.failures.is_empty() && outcome.error.is_none());
    assert_eq!(database.benchmarks().find(benchmark.id).await.unwrap(), Some(cancelled));
    assert_eq!(database.benchmarks().claim(WorkerId::new(), at(6), at(66)).await.unwrap(), None);
}

#[tokio::test]
async fn the_worker_of_a_running_benchmark_is_asked_to_stop() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;

    let asked = database.benchmarks().request_cancel(id, at(5)).await.unwrap();
    assert_eq!((asked.status, asked.cancel_requested), (Status::Running, true));
    assert_eq!(database.benchmarks().renew(id, worker, at(90)).await.unwrap(), Lease::CancelRequested);
    database.benchmarks().record_samples(id, worker, &[completed(0)], 1).await.unwrap();
    database.benchmarks().finish(id, worker, Status::Cancelled, &outcome(), at(6)).await.unwrap();
    assert_eq!(database.benchmarks().find(id).await.unwrap().unwrap().status, Status::Cancelled);
}

#[tokio::test]
async fn a_running_benchmark_whose_worker_is_gone_is_cancelled_at_once() {
    let database = Database::new().await;
    let (id, gone) = database.running().await;
    let done = [completed(0), failed(1, FailureKind::Timeout)];
    database.benchmarks().record_samples(id, gone, &done, 1).await.unwrap();

    let cancelled = database.benchmarks().request_cancel(id, at(61)).await.unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(cancelled.outcome.unwrap().failures, FailureCounts::from([(FailureKind::Timeout, 1)]));
    assert_eq!(database.benchmarks().renew(id, gone, at(120)).await.unwrap(), Lease::Lost);
}

#[tokio::test]
async fn whoever_claims_a_released_benchmark_hears_of_the_wish_to_cancel_it() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().request_cancel(id, at(5)).await.unwrap();
    database.benchmarks().release(id, worker).await.unwrap();
    let claimed = database.benchmarks().claim(WorkerId::new(), at(6), at(66)).await.unwrap().unwrap();
    assert!(claimed.cancel_requested);
}

#[tokio::test]
async fn what_has_ended_or_never_was_cannot_be_cancelled() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().finish(id, worker, Status::Completed, &outcome(), at(9)).await.unwrap();

    let ended = database.benchmarks().request_cancel(id, at(10)).await.unwrap_err();
    assert_eq!((ended.kind, &*ended.code), (ErrorKind::Conflict, "benchmark-ended"));
    assert!(ended.message.contains("completed"), "{ended}");
    let unknown = database.benchmarks().request_cancel(BenchmarkId::new(), at(10)).await.unwrap_err();
    assert_eq!((unknown.kind, &*unknown.code), (ErrorKind::NotFound, "benchmark-not-found"));
    assert_eq!(database.benchmarks().find(id).await.unwrap().unwrap().outcome, Some(outcome()));
}

#[tokio::test]
async fn everything_outlives_the_process() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().record_samples(id, worker, &[completed(7)], 5).await.unwrap();
    database.storage.close().await;

    let storage = database.another_handle().await;
    let stored = BenchmarkRepository::find(&storage, id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.progress.completed), (Status::Running, 1));
    assert_eq!(storage.finished_rows(id).await.unwrap(), [7..=7]);
}
