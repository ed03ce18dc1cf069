//! Several workers, handles and processes on one file; and a process that is killed.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures::future::{join_all, try_join_all};
use llm_bench_core::benchmark::{BenchmarkFilter, BenchmarkRepository};
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_storage::Storage;

use crate::common::{Database, at, benchmark, completed};

const CHILD: &str = "concurrency::records_in_a_process_of_its_own";
const PATH: &str = "STORAGE_TEST_PATH";
const SAMPLES: &str = "STORAGE_TEST_SAMPLES";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_never_hold_the_same_benchmark() {
    let database = Database::new().await;
    for _ in 0..40 {
        database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
    }
    let mut claiming = Vec::new();
    for _ in 0..4 {
        let storage = database.another_handle().await;
        for _ in 0..4 {
            let storage = storage.clone();
            claiming.push(tokio::spawn(async move {
                let mut mine = Vec::new();
                while let Some(claimed) = storage.claim(WorkerId::new(), at(1), at(61)).await.unwrap() {
                    mine.push(claimed.id);
                }
                mine
            }));
        }
    }
    let claimed: Vec<_> =
        join_all(claiming).await.into_iter().flat_map(|mine| mine.expect("no worker panics")).collect();
    assert_eq!(claimed.len(), 40);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_takes_over_a_lease_that_ran_out() {
    let database = Database::new().await;
    let (id, _) = database.running().await;
    let claiming = (0..8).map(|_| {
        let storage = database.storage.clone();
        tokio::spawn(async move { storage.claim(WorkerId::new(), at(61), at(120)).await.unwrap() })
    });
    let claimed: Vec<_> = join_all(claiming).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(claimed.iter().map(|benchmark| benchmark.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_handles_write_at_once_and_nothing_is_lost() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let handles = [database.another_handle().await, database.another_handle().await];
    // Both handles record overlapping rows: 0..60 and 40..100.
    let recording = [(0..60), (40..100)].into_iter().zip(handles).map(|(rows, storage)| async move {
        try_join_all(rows.map(|row| {
            let storage = storage.clone();
            async move { storage.record_samples(id, worker, &[completed(row)], 1).await }
        }))
        .await
    });
    try_join_all(recording).await.unwrap();

    let progress = database.benchmarks().find(id).await.unwrap().unwrap().progress;
    assert_eq!((progress.completed, progress.active_ms), (100, 120));
    assert_eq!(progress.tokens.prompt, 100 * 100);
    assert_eq!(database.benchmarks().finished_rows(id).await.unwrap(), [0..=99]);
}

#[tokio::test]
async fn a_reader_is_not_held_up_by_a_writer() {
    use futures::TryStreamExt;

    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let samples: Vec<_> = (0..100).map(completed).collect();
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();

    let mut measurements = database.benchmarks().measurements(id, None);
    measurements.try_next().await.unwrap().unwrap();
    database.benchmarks().record_samples(id, worker, &[completed(100)], 0).await.unwrap();
    let rest: Vec<_> = measurements.try_collect().await.unwrap();
    assert_eq!(rest.len(), 199, "the stream shows the database as it was when it began");
}

/// Run by the tests below with an environment that says what to do: claims a benchmark and records its samples one
/// by one, saying so after each.
#[tokio::test]
#[ignore = "a part of other tests, which run it in a process of its own"]
async fn records_in_a_process_of_its_own() {
    let path = std::env::var(PATH).expect("the parent names the file");
    let samples: u64 = std::env::var(SAMPLES).expect("the parent says how many").parse().unwrap();
    let storage = Storage::open(Path::new(&path)).await.unwrap();
    let worker = WorkerId::new();
    let claimed = storage.claim(worker, at(1), at(61)).await.unwrap().expect("a benchmark waits");
    println!("claimed {}", claimed.id);
    for row in 0..samples {
        storage.record_samples(claimed.id, worker, &[completed(row)], 1).await.unwrap();
        println!("recorded {row}");
    }
}

fn start_child(path: &Path, samples: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--ignored", "--nocapture"])
        .env(PATH, path)
        .env(SAMPLES, samples.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The value of the next line of the child's that begins with a word.
fn next_line<T: std::str::FromStr<Err: std::fmt::Debug>>(output: &mut impl BufRead, word: &str) -> T {
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(value) = line.trim().strip_prefix(word) {
            return value.trim().parse().unwrap();
        }
        line.clear();
    }
    panic!("the child ended before it said `{word}`")
}

#[tokio::test]
async fn two_processes_write_at_once_and_nothing_is_lost() {
    let database = Database::new().await;
    for _ in 0..2 {
        database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
    }
    let children = [start_child(&database.path, 100), start_child(&database.path, 100)];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for benchmark in database.benchmarks().list(&BenchmarkFilter::default(), None, 10).await.unwrap().items {
        assert_eq!(benchmark.progress.completed, 100);
        assert_eq!(database.benchmarks().finished_rows(benchmark.id).await.unwrap(), [0..=99]);
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_sample_that_it_recorded() {
    let database = Database::new().await;
    database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
    let mut child = start_child(&database.path, 1_000_000);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let id: BenchmarkId = next_line(&mut output, "claimed ");
    let mut last: u64 = 0;
    while last < 20 {
        last = next_line(&mut output, "recorded ");
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let storage = database.another_handle().await;
    let claimed = storage.claim(WorkerId::new(), at(62), at(120)).await.unwrap().unwrap();
    let finished = storage.finished_rows(id).await.unwrap();
    assert_eq!((claimed.id, finished.len()), (id, 1));
    assert!(*finished[0].end() >= last, "{finished:?} lacks {last}");
    assert_eq!(claimed.progress.completed, finished[0].end() + 1);
}
