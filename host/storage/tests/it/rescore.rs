//! What judging a record anew reads and keeps.

use futures::TryStreamExt;
use llm_bench_core::rescore::Agreement;
use llm_bench_core::sample::{FailureCounts, FailureKind, SampleRecord};
use llm_bench_core::verification::{Passes, Verification, VerificationRepository};

use crate::common::{Database, at, benchmark, completed, failed};

#[tokio::test]
async fn one_sample_is_read_with_all_that_belongs_to_it() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let samples = [completed(0), completed(3), failed(4, FailureKind::Trap)];
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();
    for sample in samples {
        let found = database.benchmarks().sample(id, (sample.index, 0)).await.unwrap();
        assert_eq!(found, Some(sample));
    }
    assert_eq!(database.benchmarks().sample(id, (1, 0)).await.unwrap(), None);
}

#[tokio::test]
async fn gold_answers_are_those_of_samples_with_a_solution() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let unsolved = SampleRecord { solution: None, ..completed(1) };
    let samples = [completed(2), unsolved, completed(0)];
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();
    let targets: Vec<_> = database.benchmarks().targets(id).try_collect().await.unwrap();
    let places: Vec<_> = targets.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [(0, 0), (2, 0)]);
    assert_eq!(Some(&targets[0].1), completed(0).target.as_ref());
}

#[tokio::test]
async fn samples_that_differ_are_counted_and_the_first_are_named() {
    let database = Database::new().await;
    let (id, worker) = database.running().await;
    let differing = [None, Some(false), Some(true), Some(true)];
    let samples: Vec<_> =
        (0..).zip(differing).map(|(row, differs)| SampleRecord { differs, ..completed(row) }).collect();
    database.benchmarks().record_samples(id, worker, &samples, 0).await.unwrap();
    let agreement = database.benchmarks().agreement(id).await.unwrap();
    assert_eq!(agreement, Agreement { compared: 3, differing: 2, rows: vec![2, 3] });
}

#[tokio::test]
async fn the_last_verification_of_a_benchmark_is_kept() {
    let database = Database::new().await;
    let (id, _) = database.running().await;
    let verifications: &dyn VerificationRepository = &database.storage;
    assert_eq!(verifications.find(id).await.unwrap(), None);
    let verification = |unsolved| Verification {
        benchmark: id,
        verified_at: at(7),
        agreement: Agreement { compared: 2, differing: 1, rows: vec![1] },
        unsolved,
        shuffled: 2,
        not_shuffled: None,
        metrics: Vec::new(),
        failures: Passes { blank: FailureCounts::from([(FailureKind::Trap, 2)]), ..Passes::default() },
    };
    for unsolved in [0, 3] {
        verifications.save(&verification(unsolved)).await.unwrap();
        assert_eq!(verifications.find(id).await.unwrap(), Some(verification(unsolved)));
    }
    let nobodys = Verification { benchmark: benchmark().id, ..verification(0) };
    assert_eq!(verifications.save(&nobodys).await.unwrap_err().code, "benchmark-not-found");
}
