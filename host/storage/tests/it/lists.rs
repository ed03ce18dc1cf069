//! Walking through lists page by page.

use llm_bench_core::benchmark::{BenchmarkFilter, Status};
use llm_bench_core::hardware::{GpuReading, HardwareReading};
use llm_bench_core::id::{BenchmarkId, WorkerId};

use crate::common::{Database, at, benchmark, completed};

#[tokio::test]
async fn benchmarks_are_walked_once_newest_first_while_more_are_added() {
    let database = Database::new().await;
    let mut expected = Vec::new();
    for _ in 0..10 {
        let benchmark = benchmark();
        database.benchmarks().insert(&benchmark, None, None).await.unwrap();
        expected.insert(0, benchmark.id);
    }

    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = database.benchmarks().list(&BenchmarkFilter::default(), after, 3).await.unwrap();
        walked.extend(page.items.iter().map(|benchmark| benchmark.id));
        database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, expected);
}

#[tokio::test]
async fn a_list_can_be_of_one_status() {
    let database = Database::new().await;
    let (running, worker) = database.running().await;
    for _ in 0..3 {
        database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
    }
    let cancelled =
        database.benchmarks().list(&BenchmarkFilter::default(), None, 1).await.unwrap().items[0].id;
    database.benchmarks().request_cancel(cancelled, at(1)).await.unwrap();
    database.benchmarks().renew(running, worker, at(9)).await.unwrap();

    let ids = async |status, after, limit| {
        let page = database
            .benchmarks()
            .list(&BenchmarkFilter { status: Some(status), task_digest: None }, after, limit)
            .await
            .unwrap();
        (page.items.into_iter().map(|benchmark| benchmark.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(ids(Status::Running, None, 10).await, (vec![running], None));
    assert_eq!(ids(Status::Cancelled, None, 10).await, (vec![cancelled], None));
    assert_eq!(ids(Status::Completed, None, 10).await, (vec![], None));
    let (first, next) = ids(Status::Queued, None, 1).await;
    let (second, end) = ids(Status::Queued, next, 1).await;
    assert!(first[0] > second[0] && end.is_none());
}

#[tokio::test]
async fn samples_are_walked_once_in_dataset_order_while_more_are_added() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let repeated = llm_bench_core::sample::SampleRecord { repeat: 1, ..completed(4) };
    let mut samples: Vec<_> = (0..20).rev().map(completed).collect();
    samples.push(repeated);
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    let (mut walked, mut after, mut more) = (Vec::new(), None, 20..);
    loop {
        let page = database.benchmarks().samples(id, after, 3).await.unwrap();
        walked.extend(page.items.iter().map(|sample| (sample.index, sample.repeat)));
        assert!(page.items.iter().all(|sample| sample.calls == completed(sample.index).calls));
        if walked.len() < 12 {
            let next = completed(more.next().unwrap());
            database.benchmarks().record_samples(id, worker, &[next], 0).await.unwrap();
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = (0..more.start).map(|index| (index, 0)).collect();
    expected.insert(5, (4, 1));
    assert_eq!(walked, expected);
}

#[tokio::test]
async fn a_full_last_page_has_no_next_one() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    database.benchmarks().record_samples(id, worker, &[completed(0), completed(1)], 0).await.unwrap();
    let page = database.benchmarks().samples(id, None, 2).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
    let behind = database.benchmarks().samples(id, Some((u64::MAX, u32::MAX)), 2).await.unwrap();
    assert_eq!((behind.items.len(), behind.next), (0, None));
}

fn reading(seconds: i64) -> HardwareReading {
    HardwareReading {
        at: at(seconds),
        cpu_percent: 33.3,
        process_cpu_percent: 199.9,
        process_memory_bytes: 1 << 33,
        used_memory_bytes: 1 << 35,
        gpus: vec![GpuReading {
            index: 0,
            utilization_percent: Some(97),
            used_memory_bytes: None,
            power_watts: Some(70.1),
            temperature_celsius: None,
        }],
    }
}

#[tokio::test]
async fn hardware_readings_are_walked_in_the_order_they_were_taken() {
    let database = Database::new().await;
    let (id, _) = database.running().await;
    let early = HardwareReading {
        at: jiff::Timestamp::UNIX_EPOCH - jiff::SignedDuration::from_secs(9),
        ..reading(0)
    };
    let readings = [early, reading(1), reading(2), reading(3)];
    database.benchmarks().record_hardware(id, &readings[2..]).await.unwrap();
    database.benchmarks().record_hardware(id, &readings).await.unwrap();

    let first = database.benchmarks().hardware(id, None, 3).await.unwrap();
    assert_eq!((&first.items[..], first.next), (&readings[..3], Some(at(2))));
    let second = database.benchmarks().hardware(id, first.next, 3).await.unwrap();
    assert_eq!((&second.items[..], second.next), (&readings[3..], None));
}

#[tokio::test]
async fn readings_of_an_unknown_benchmark_are_refused() {
    let database = Database::new().await;
    let error = database.benchmarks().record_hardware(BenchmarkId::new(), &[reading(1)]).await.unwrap_err();
    assert_eq!(error.code, "benchmark-not-found");
}

#[tokio::test]
async fn what_belongs_to_one_benchmark_is_not_shown_for_another() {
    let database = Database::new().await;
    let (one, worker) = database.running().await;
    let (other, _) = database.running().await;
    database.benchmarks().record_samples(one, worker, &[completed(0)], 0).await.unwrap();
    database.benchmarks().record_hardware(one, &[reading(1)]).await.unwrap();

    assert_eq!(database.benchmarks().samples(other, None, 9).await.unwrap().items, []);
    assert_eq!(database.benchmarks().hardware(other, None, 9).await.unwrap().items, []);
    assert_eq!(database.benchmarks().finished_rows(other).await.unwrap(), []);
    let foreign = database.benchmarks().record_samples(other, WorkerId::new(), &[completed(1)], 0).await;
    assert_eq!(foreign.unwrap_err().code, "lease-lost");
}
