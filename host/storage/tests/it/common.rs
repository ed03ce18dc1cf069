//! What the suites and the benchmark have in common: a database in a temporary folder, and things to store in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use llm_bench_core::benchmark::{Benchmark, BenchmarkRepository, Plan, PluginPin, Progress, Status};
use llm_bench_core::dataset::{Format, Split};
use llm_bench_core::id::{BenchmarkId, WorkerId};
use llm_bench_core::limits::Limits;
use llm_bench_core::model::{
    LogLikelihood, Model, ModelFacts, ModelRequest, ModelResponse, Origin, Prompt, ScoringRequest, Timings,
    TokenUsage,
};
use llm_bench_core::name::Name;
use llm_bench_core::plugin::{Aggregation, Descriptor, Exports, Grants, MetricDeclaration, Plugin, Standing};
use llm_bench_core::rescore::{Source, Takes};
use llm_bench_core::sample::{
    CallOutcome, Failure, FailureKind, GuestUsage, Measurement, ModelCall, Phase, SampleRecord, Solution,
};
use llm_bench_storage::Storage;
use tempfile::TempDir;

pub(crate) struct Database {
    pub(crate) storage: Storage,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("llm-bench.sqlite");
        let storage = Storage::open(&path).await.expect("a new database opens");
        Self { storage, path, _folder: folder }
    }

    /// The repository of benchmarks: other repositories have methods of the same names.
    pub(crate) fn benchmarks(&self) -> &dyn BenchmarkRepository {
        &self.storage
    }

    /// Another handle on the same file, as another process would have it.
    pub(crate) async fn another_handle(&self) -> Storage {
        Storage::open(&self.path).await.expect("the database opens again")
    }

    /// A running benchmark, and who holds it until `at(60)`.
    pub(crate) async fn running(&self) -> (BenchmarkId, WorkerId) {
        let (benchmark, worker) = (benchmark(), WorkerId::new());
        self.benchmarks()
            .insert(&benchmark, None, Some((worker, at(60))))
            .await
            .expect("a benchmark is stored");
        (benchmark.id, worker)
    }
}

/// A time, so many seconds after the tests' midnight.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let midnight: Timestamp = "2025-11-23T00:00:00.123456789Z".parse().expect("a time");
    midnight + SignedDuration::from_secs(seconds)
}

pub(crate) fn model(name: &str) -> Model {
    Model {
        name: name.to_owned(),
        origin: Origin::Bundled,
        path: PathBuf::from(format!("/models/{name} ü")),
        facts: ModelFacts {
            digest: "ab".repeat(32),
            bytes: 12_345_678_901,
            architecture: "LlamaForCausalLM".to_owned(),
            max_length: 512,
            vocabulary_size: 850,
            has_chat_template: true,
        },
    }
}

pub(crate) fn split(name: &str) -> Split {
    Split {
        name: name.to_owned(),
        path: PathBuf::from(format!("/data/{name}.jsonl")),
        format: Format::JsonLines,
        rows: 1_000,
        bytes: 65_536,
        digest: "cd".repeat(32),
        columns: vec!["question".to_owned(), "answer".to_owned()],
    }
}

/// A benchmark of a thousand rows that waits.
pub(crate) fn benchmark() -> Benchmark {
    Benchmark {
        id: BenchmarkId::new(),
        plan: Plan {
            model: model("tiny-llama"),
            parts: BTreeMap::from([("judge".to_owned(), model("judge"))]),
            task: PluginPin {
                name: "multiple-choice".to_owned(),
                version: "0.1.0".to_owned(),
                digest: "ef".repeat(32),
                data_files: Some("89".repeat(32)),
            },
            config: serde_json::json!({"prompt": "{{ question }}", "threshold": 0.1, "big": u64::MAX}),
            metrics: vec![MetricDeclaration {
                name: "acc".to_owned(),
                filter: None,
                description: "accuracy".to_owned(),
                aggregation: Aggregation::Mean,
                higher_is_better: true,
            }],
            dataset: "capitals".to_owned(),
            split: split("test"),
            gold: vec!["answer".to_owned()],
            rows: 1_000,
            few_shot: None,
            columns: BTreeMap::from([("question".to_owned(), "q".to_owned())]),
            preset: Some("capitals-5-shot".to_owned()),
            seed: u64::MAX,
            concurrency: 8,
            limits: Limits::default(),
            max_failed: 0.1,
            response_cache: true,
            source: Some(Source {
                benchmark: BenchmarkId::new(),
                task: PluginPin {
                    name: "multiple-choice".to_owned(),
                    version: "0.0.9".to_owned(),
                    digest: "01".repeat(32),
                    data_files: None,
                },
                takes: Takes::Calls,
                recorded_parts: vec!["subject".to_owned()],
                is_compared: true,
            }),
        },
        status: Status::Queued,
        progress: Progress { total: 1_000, ..Progress::default() },
        created_at: at(0),
        started_at: None,
        finished_at: None,
        outcome: None,
        cancel_requested: false,
        task_standing: Standing::Enabled,
    }
}

/// The context of five examples that every question of a benchmark begins with.
pub(crate) fn five_shot() -> String {
    "Question: what is the capital of France?\nAnswer: Paris\n\n".repeat(5)
}

/// A completed sample of one call: four choices after one context.
pub(crate) fn completed(index: u64) -> SampleRecord {
    let choices = ["Paris", "Rome", "Bern", "Oslo"];
    let context = format!("{}Question: what is the capital of country {index}?\nAnswer:", five_shot());
    let request = choices.map(|choice| ScoringRequest {
        context: Prompt::Text(context.clone()),
        continuation: format!(" {choice}"),
        extra: Vec::new(),
    });
    let response = [-0.1, -7.25, -1.0 / 3.0, f64::NEG_INFINITY].map(|sum| LogLikelihood {
        sum,
        is_greedy: sum > -0.2,
        tokens: 2,
    });
    SampleRecord {
        index,
        repeat: 0,
        solution: Some(Solution { answer: Some("Paris".to_owned()), passages: Vec::new(), detail: None }),
        target: Some(serde_json::Map::from_iter([("answer".to_owned(), "Paris".into())])),
        measurements: vec![measurement("acc", 1.0), measurement("acc_norm", 0.0)],
        calls: vec![ModelCall {
            phase: Phase::Solve,
            part: "subject".to_owned(),
            request: ModelRequest::LogLikelihood(request.to_vec()),
            outcome: CallOutcome::Response(ModelResponse::LogLikelihood(response.to_vec())),
            tokens: TokenUsage { prompt: 100, completion: 3 },
            timings: Timings { queue_ms: 0.125, tokenize_ms: 0.1, prefill_ms: 12.7, decode_ms: 0.0 },
            is_cached: false,
            key: None,
        }],
        usage: GuestUsage { fuel: 1_234_567, peak_memory_bytes: 1_114_112, host_calls: 3 },
        failure: None,
        duration_ms: 13.37,
        differs: None,
    }
}

pub(crate) fn failed(index: u64, kind: FailureKind) -> SampleRecord {
    SampleRecord {
        solution: None,
        measurements: Vec::new(),
        failure: Some(Failure {
            kind,
            phase: Phase::Solve,
            message: "the guest computed too long".to_owned(),
            backtrace: Some("0: spin".to_owned()),
            log: None,
        }),
        ..completed(index)
    }
}

pub(crate) fn measurement(metric: &str, value: f64) -> Measurement {
    Measurement { metric: metric.to_owned(), filter: None, value: Some(value), weight: 1.0, reason: None }
}

/// An uploaded version whose digest is two characters, again and again.
pub(crate) fn plugin(name: &str, version: &str, digest: &str, seconds: i64) -> Plugin {
    Plugin {
        name: Name::new(name).expect("a name"),
        version: version.to_owned(),
        digest: digest.repeat(32),
        bytes: 55_000,
        origin: Origin::Uploaded,
        descriptor: Descriptor {
            name: name.to_owned(),
            version: version.to_owned(),
            description: "asks".to_owned(),
            config_schema: serde_json::json!({"type": "object", "properties": {"b": {}, "a": {"x-gold": true}}}),
            example_config: serde_json::json!({"threshold": 0.1}),
            parts: vec!["subject".to_owned()],
            data_files: vec!["words/en.txt".to_owned()],
        },
        exports: Exports { solver: true, scorer: true, aggregator: false },
        imports: vec!["llm-bench:plugin/models@0.1.0".to_owned()],
        contract: "0.1.0".to_owned(),
        created_at: at(seconds),
        compile_ms: Some(120),
        is_default: false,
        standing: Standing::Enabled,
        grants: Grants::default(),
    }
}
