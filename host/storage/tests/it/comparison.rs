//! Comparing two stored benchmarks by sample.

use llm_bench_core::benchmark::{Benchmark, Status};
use llm_bench_core::comparison::{Comparison, Scale, compare};
use llm_bench_core::id::WorkerId;
use llm_bench_core::plugin::{Aggregation, MetricDeclaration};
use llm_bench_core::sample::{FailureKind, Measurement, SampleRecord};
use llm_bench_core::statistics::{McNemar, McNemarTest};

use crate::common::{Database, at, benchmark, completed, failed, measurement};

fn declared(name: &str, aggregation: Aggregation) -> MetricDeclaration {
    MetricDeclaration {
        name: name.to_owned(),
        filter: None,
        description: String::new(),
        aggregation,
        higher_is_better: true,
    }
}

fn sample(index: u64, measurements: Vec<Measurement>) -> SampleRecord {
    SampleRecord { measurements, ..completed(index) }
}

impl Database {
    /// A benchmark that has ended with these samples.
    async fn ended(&self, metrics: &[MetricDeclaration], samples: &[SampleRecord]) -> Benchmark {
        let mut benchmark = benchmark();
        benchmark.plan.metrics = metrics.to_vec();
        let worker = WorkerId::new();
        self.benchmarks().insert(&benchmark, None, Some((worker, at(60)))).await.unwrap();
        self.benchmarks().record_samples(benchmark.id, worker, samples, 0).await.unwrap();
        benchmark.status = Status::Completed;
        benchmark
    }

    async fn compared(&self, first: &Benchmark, second: &Benchmark) -> Comparison {
        compare(self.benchmarks(), first, second).await.unwrap()
    }
}

#[track_caller]
fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-12, "{got}, not {expected}");
}

#[tokio::test]
async fn samples_are_paired_by_row_and_repeat_and_the_others_counted() {
    let database = Database::new().await;
    let acc = [declared("acc", Aggregation::Mean)];
    let right = |index, right: f64| sample(index, vec![measurement("acc", right)]);
    let repeated = |right: f64| SampleRecord { repeat: 1, ..sample(3, vec![measurement("acc", right)]) };
    let first = [right(0, 1.0), right(1, 0.0), right(3, 1.0), repeated(0.0), failed(4, FailureKind::Trap)];
    let second = [right(1, 1.0), right(2, 1.0), right(3, 1.0), repeated(1.0), right(4, 0.0), right(9, 0.0)];
    let first = database.ended(&acc, &first).await;
    let second = database.ended(&acc, &second).await;

    let comparison = database.compared(&first, &second).await;
    assert_eq!((comparison.paired, comparison.only_first, comparison.only_second), (3, 1, 3));
    let metric = &comparison.metrics[0];
    assert_eq!((metric.name.as_str(), metric.count, metric.scale), ("acc", 3, Scale::Linear));
    close(metric.first.unwrap(), 1.0 / 3.0);
    close(metric.second.unwrap(), 1.0);
    let difference = metric.difference.unwrap();
    close(difference.value, 2.0 / 3.0);
    // The differences are 1, 0, 1: their standard deviation is √(1/3), over √3.
    close(difference.stderr.unwrap(), 1.0 / 3.0);
    let (counts, test) = metric.mcnemar.unwrap();
    assert_eq!(counts, McNemar { only_first: 0, only_second: 2 });
    assert_eq!(test, McNemarTest::Exact { p_value: 0.5 });

    let turned = database.compared(&second, &first).await;
    assert_eq!((turned.only_first, turned.only_second), (3, 1));
    close(turned.metrics[0].difference.unwrap().value, -2.0 / 3.0);
}

#[tokio::test]
async fn benchmarks_of_many_samples_are_paired_to_the_last() {
    let database = Database::new().await;
    let acc = [declared("acc", Aggregation::Mean)];
    let run = |step: usize| -> Vec<_> {
        (0..5_000)
            .step_by(step)
            .map(|index| sample(index, vec![measurement("acc", 1.0), measurement("acc", 0.0)]))
            .collect()
    };
    let first = database.ended(&acc, &run(1)).await;
    let second = database.ended(&acc, &run(2)).await;
    let comparison = database.compared(&first, &second).await;
    assert_eq!((comparison.paired, comparison.only_first, comparison.only_second), (2_500, 2_500, 0));
    assert_eq!(comparison.metrics[0].count, 2_500);
}

#[tokio::test]
async fn perplexities_are_compared_by_their_logarithms_and_bits_by_their_number() {
    let database = Database::new().await;
    let metrics = [
        declared("word_perplexity", Aggregation::WeightedPerplexity),
        declared("bits_per_byte", Aggregation::BitsPerByte),
        declared("perplexity", Aggregation::Perplexity),
        declared("hits", Aggregation::Sum),
    ];
    let run = |sums: [f64; 2]| -> Vec<_> {
        let weighted = |metric: &str, sum: f64, weight| Measurement { weight, ..measurement(metric, sum) };
        (0..)
            .zip(sums)
            .map(|(index, sum)| {
                let measurements = vec![
                    weighted("word_perplexity", sum, 2.0),
                    weighted("bits_per_byte", sum, 8.0),
                    measurement("perplexity", sum),
                    measurement("hits", -sum),
                ];
                sample(index, measurements)
            })
            .collect()
    };
    let first = database.ended(&metrics, &run([-4.0, -8.0])).await;
    let second = database.ended(&metrics, &run([-3.0, -5.0])).await;
    let comparison = database.compared(&first, &second).await;
    let metric = |name: &str| comparison.metrics.iter().find(|metric| metric.name == name).unwrap();

    let words = metric("word_perplexity");
    assert_eq!((words.scale, words.mcnemar), (Scale::Logarithmic, None));
    close(words.first.unwrap(), 3_f64.exp());
    close(words.second.unwrap(), 2_f64.exp());
    close(words.difference.unwrap().value, -1.0);
    // The second run gained 1 and 3 over two words each, that is 0.5 and 1.5 a word: √0.5 / √2.
    close(words.difference.unwrap().stderr.unwrap(), 0.5);
    let bits = metric("bits_per_byte");
    assert_eq!(bits.scale, Scale::Linear);
    close(bits.difference.unwrap().value, -0.25 / std::f64::consts::LN_2);
    close(metric("perplexity").difference.unwrap().value, -2.0);
    let hits = metric("hits");
    assert_eq!((hits.first, hits.second), (Some(12.0), Some(8.0)));
    close(hits.difference.unwrap().value, -4.0);
    close(hits.difference.unwrap().stderr.unwrap(), 2.0);
}

#[tokio::test]
async fn a_metric_that_is_not_right_or_wrong_has_no_mcnemar_test() {
    let database = Database::new().await;
    let metrics = [declared("f1", Aggregation::Mean), declared("acc", Aggregation::Mean)];
    let undefined = Measurement { value: None, ..measurement("acc", 0.0) };
    let run = [
        sample(0, vec![measurement("f1", 1.0), measurement("acc", 1.0)]),
        sample(1, vec![measurement("f1", 0.5), undefined]),
        sample(2, vec![measurement("f1", 0.0)]),
    ];
    let first = database.ended(&metrics, &run).await;
    let comparison = database.compared(&first, &first).await;
    let [f1, acc] = &comparison.metrics[..] else { panic!("{comparison:?}") };
    assert_eq!((f1.count, f1.mcnemar), (3, None));
    assert_eq!((acc.count, acc.mcnemar.unwrap().0), (1, McNemar::default()));
    assert_eq!(acc.difference.unwrap().stderr, None);
}

#[tokio::test]
async fn metrics_that_cannot_be_compared_are_named_with_the_reason() {
    let database = Database::new().await;
    let first = [
        declared("acc", Aggregation::Mean),
        declared("f1", Aggregation::Mean),
        declared("length", Aggregation::Median),
        declared("score", Aggregation::Mean),
    ];
    let filtered = MetricDeclaration { filter: Some("strict".to_owned()), ..first[1].clone() };
    let second = [first[0].clone(), filtered, first[2].clone(), declared("score", Aggregation::WeightedMean)];
    let first = database.ended(&first, &[]).await;
    let second = database.ended(&second, &[]).await;

    let comparison = database.compared(&first, &second).await;
    let compared: Vec<_> = comparison.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(compared, ["acc"]);
    let acc = &comparison.metrics[0];
    assert_eq!((acc.first, acc.difference, acc.count, acc.mcnemar), (None, None, 0, None));
    let reasons: Vec<_> = comparison
        .not_compared
        .iter()
        .map(|metric| format!("{} {:?}: {}", metric.name, metric.filter, metric.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            "f1 None: only the first benchmark has it",
            "length None: a median is not the sum of its samples, so that it has no paired difference",
            "score None: the benchmarks aggregate it in different ways",
            "f1 Some(\"strict\"): only the second benchmark has it",
        ]
    );
}

#[tokio::test]
async fn benchmarks_that_run_or_are_over_other_data_are_not_compared() {
    let database = Database::new().await;
    let ended = database.ended(&[], &[]).await;
    let running = Benchmark { status: Status::Running, ..database.ended(&[], &[]).await };
    let error = compare(database.benchmarks(), &ended, &running).await.unwrap_err();
    assert_eq!(error.code, "benchmark-not-ended");
    assert!(error.message.contains(&running.id.to_string()), "{error}");

    let mut other = database.ended(&[], &[]).await;
    other.plan.split.digest = "01".repeat(32);
    other.plan.dataset = "opposites".to_owned();
    let error = compare(database.benchmarks(), &ended, &other).await.unwrap_err();
    assert_eq!(error.code, "different-data");
    assert!(error.message.contains("capitals/test") && error.message.contains("opposites/test"), "{error}");
}
