//! Metrics of the whole corpus: computed by the plugin's aggregator over what is completed, and by nobody else.

use std::collections::{BTreeMap, BTreeSet};

use llm_bench_plugin_sdk::text::{Bleu, Chrf};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Host, hostile_plugin, json_of, metric, run, run_with_samples};

const TRANSLATION: &str = r#"{"metrics": ["contains", "bleu", "chrf"], "max_tokens": 8}"#;

fn named<'b>(benchmark: &'b Value, name: &str) -> &'b Value {
    let metrics = benchmark["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("no {name}: {benchmark:#}"))
}

/// A metric of answers, each with its one reference.
type Score<'score> = &'score dyn Fn(&[(&str, [&str; 1])]) -> f64;

/// Places of the samples in a hundred corpora, as lm-evaluation-harness draws them.
fn draws_of_python(samples: usize) -> Vec<Vec<usize>> {
    let draw = format!(
        "import json, random; draw = random.Random(0); \
         print(json.dumps([draw.choices(range({samples}), k={samples}) for _ in range(100)]))"
    );
    let python = std::process::Command::new("python3").args(["-c", &draw]).output().expect("python3 starts");
    serde_json::from_slice(&python.stdout).unwrap()
}

/// The sample standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

#[test]
fn bleu_and_chrf_are_of_all_answers_and_come_out_again_in_a_replay_and_a_verification() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "generate-until",
        "--dataset",
        "reading",
        "--limit",
        "70",
        "--few-shot",
        "2",
        "--config",
        TRANSLATION,
    ];
    let (first, samples) = run_with_samples(data.path(), &arguments);
    let texts: Vec<_> = samples
        .iter()
        .map(|sample| {
            (sample["answer"].as_str().unwrap().trim(), [sample["target"]["answer"].as_str().unwrap()])
        })
        .collect();
    let scores: [(&str, Score); 2] = [
        ("bleu", &|texts| Bleu::default().corpus(texts.to_vec())),
        ("chrf", &|texts| Chrf::default().corpus(texts.to_vec())),
    ];
    let drawn = draws_of_python(texts.len());
    for (name, score) in scores {
        let found = named(&first, name);
        assert_eq!(found["value"].as_f64().map(f64::to_bits), Some(score(&texts).to_bits()), "{name}");
        assert_eq!((&found["count"], &found["bootstrap_replicates"]), (&json!(70), &json!(100)));
        let replicates: Vec<f64> = drawn
            .iter()
            .map(|places| score(&places.iter().map(|place| texts[*place]).collect::<Vec<_>>()))
            .collect();
        let (expected, stderr) = (deviation(&replicates), found["stderr"].as_f64().unwrap());
        assert!((stderr - expected).abs() <= 1e-9 * expected, "{name}: {stderr}, not {expected}");
        assert!(name != "chrf" || stderr > 0.0);
    }
    assert!(metric(&first, "chrf") > 0.0);
    for sample in &samples {
        let measured: Vec<_> =
            sample["metrics"].as_array().unwrap().iter().map(|metric| &metric["name"]).collect();
        assert_eq!(measured, ["contains"], "no sample has a value of a metric of the corpus");
    }

    let id = first["id"].as_str().unwrap();
    let (again, _) = run_with_samples(data.path(), &["rescore", id, "--task", "generate-until"]);
    assert_eq!(again["metrics"], first["metrics"]);
    let verified = json_of(&run(data.path(), &["verify", id, "--format", "json"]));
    let chrf = &verified["metrics"][2];
    assert_eq!((&chrf["name"], &chrf["differs"]), (&json!("chrf"), &json!(false)));
    assert_eq!(chrf["real"], json!({ "value": named(&first, "chrf")["value"], "count": 70 }));
    assert!(chrf["shuffled"]["value"].as_f64() < chrf["real"]["value"].as_f64(), "{chrf:#}");
    assert_eq!(chrf["verdict"], "uses-gold", "{chrf:#}");
    // A blank solution has no answer, so that none can be scored.
    assert_eq!((&chrf["blank"]["value"], &chrf["blank"]["count"]), (&Value::Null, &json!(0)));

    let other = again["id"].as_str().unwrap();
    let compared = json_of(&run(data.path(), &["benchmarks", "compare", id, other, "--format", "json"]));
    let not_compared = compared["not_compared"].to_string();
    assert!(not_compared.contains("computed over the whole corpus"), "{compared:#}");
}

#[test]
fn a_scorer_s_macro_f1_is_that_of_the_stored_answers() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--task",
        "multiple-choice",
        "--dataset",
        "arithmetic",
        "--limit",
        "200",
    ];
    let (first, samples) = run_with_samples(data.path(), &arguments);
    let config = r#"{"choices": "choices", "macro_f1": true}"#;
    let id = first["id"].as_str().unwrap();
    let (judged, _) =
        run_with_samples(data.path(), &["rescore", id, "--scorer", "answer-match", "--config", config]);

    let rows = std::fs::read_to_string(
        crate::support::target_folder().join("share/llm-bench/datasets/arithmetic/test.jsonl"),
    );
    let rows: Vec<Value> = rows.unwrap().lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let mut counts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for (row, sample) in rows.iter().zip(&samples) {
        let gold =
            row["choices"][usize::try_from(row["answer"].as_u64().unwrap()).unwrap()].as_str().unwrap();
        let given = sample["answer"].as_str().unwrap();
        let both = f64::from(u8::from(gold == given));
        for class in BTreeSet::from([gold, given]) {
            let [right, all] = counts.entry(class).or_default();
            *right += 2.0 * both;
            *all += 1.0 + both;
        }
    }
    let f1: f64 = counts.values().map(|[right, all]| right / all).sum();
    let expected = f1 / counts.len() as f64;
    assert!((metric(&judged, "macro_f1") - expected).abs() < 1e-12, "{judged:#}");
    assert!((0.5..1.0).contains(&expected), "some answer is wrong");
}

fn attack(behaviour: &str) -> Value {
    json!({
        "model": "tiny-llama", "task": "hostile", "dataset": "capitals", "limit": 70, "max_failed": 1.0,
        "budget": "small", "config": { "behaviour": behaviour },
    })
}

#[tokio::test]
async fn an_aggregator_that_fails_costs_its_own_metrics_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&hostile_plugin()).await;
    let ended = async |behaviour| host.ended(&host.create(&attack(behaviour)).await).await;

    let honest = ended("add-up").await;
    assert_eq!(honest["metrics"][1]["value"], 70.0, "{honest:#}");
    assert!(honest.get("aggregation_failure").is_none());

    let attacks = [
        ("spin-in-aggregation", "fuel-exhausted"),
        ("hoard", "memory-limit"),
        ("panic-in-aggregation", "trap"),
        ("open-judge-in-aggregation", "denied"),
        ("log-flood-in-aggregation", "call-limit"),
        ("nan-of-corpus", "invalid-output"),
        ("nothing-of-corpus", "invalid-output"),
        ("sample-metric-of-corpus", "invalid-output"),
    ];
    for (behaviour, kind) in attacks {
        let ended = ended(behaviour).await;
        assert_eq!((&ended["status"], &ended["failures"]), (&json!("completed"), &json!({})), "{behaviour}");
        assert_eq!(ended["metrics"][0]["value"], 1.0, "{behaviour}");
        let together = &ended["metrics"][1];
        assert_eq!((&together["value"], &together["count"]), (&Value::Null, &json!(0)), "{behaviour}");
        let reason = together["reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("the plugin's aggregator failed ({kind}): ")), "{reason}");
        let failure = &ended["aggregation_failure"];
        assert_eq!((&failure["kind"], &failure["phase"]), (&json!(kind), &json!("aggregate")), "{behaviour}");
    }

    let meddled = ended("corpus-in-score").await;
    assert_eq!(meddled["failures"], json!({ "invalid-output": 70 }));
    assert_eq!(meddled["metrics"][1]["reason"], "no sample is completed");
    let sample = &host.samples(meddled["id"].as_str().unwrap()).await[0];
    let message =
        "the scorer measured `harmless_together`, which its aggregator computes over the whole corpus";
    assert_eq!(sample["error"]["message"], message);
}

#[tokio::test]
async fn a_cancelled_benchmark_has_the_metrics_of_what_is_completed() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let slow = json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96, "metrics": ["chrf"] },
    });
    let id = host.create(&slow).await;
    host.wait_until(&id, |benchmark| benchmark["samples"]["completed"].as_u64() >= Some(3)).await;
    host.request(Method::POST, &format!("/api/v1/benchmarks/{id}/cancel")).send().await.unwrap();
    let ended = host.ended(&id).await;
    assert_eq!(ended["status"], "cancelled");
    let chrf = named(&ended, "chrf");
    assert_eq!(chrf["count"], ended["samples"]["completed"]);
    assert!(chrf["value"].as_f64() > Some(0.0), "{chrf:#}");
}

#[tokio::test]
async fn a_plugin_that_computes_for_long_over_the_corpus_keeps_no_server_from_ending_and_is_held_with_its_plugin()
 {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&hostile_plugin()).await;
    // Enough to compute for hours.
    let patient = json!({ "fuel": 1_000_000_000_000_000_u64, "compute_timeout_ms": 10_000_000 });
    let change = |host: &Host, change: Value| {
        host.request(Method::PATCH, "/api/v1/plugins/hostile@0.1.0").json(&change).send()
    };
    change(&host, json!({ "grants": { "limits": patient } })).await.unwrap();
    let mut order = attack("spin-in-aggregation");
    order.as_object_mut().unwrap().remove("budget");
    let id = host.create(&order).await;
    let is_aggregating = |benchmark: &Value| {
        benchmark["samples"]["completed"] == json!(70) && benchmark["status"] == json!("running")
    };
    host.wait_until(&id, is_aggregating).await;

    assert!(host.terminate().success());
    let host = Host::start(data.path());
    host.wait_until(&id, is_aggregating).await;
    change(&host, json!({ "enabled": false })).await.unwrap();
    let held = host.wait_until(&id, |benchmark| benchmark["status"] == json!("queued")).await;
    assert!(held["held"].as_str().unwrap().contains("is disabled"), "{held:#}");
    change(&host, json!({ "enabled": true })).await.unwrap();
    host.wait_until(&id, is_aggregating).await;
    host.request(Method::POST, &format!("/api/v1/benchmarks/{id}/cancel")).send().await.unwrap();
    let ended = host.ended(&id).await;
    assert_eq!((&ended["status"], &ended["metrics"][0]["value"]), (&json!("completed"), &json!(1.0)));
    let reason = named(&ended, "harmless_together")["reason"].as_str().unwrap();
    assert!(reason.ends_with("the benchmark was cancelled while its plugin computed them"), "{reason}");
}

#[tokio::test]
async fn nothing_of_a_disabled_or_blocked_plugin_computes_the_metrics_of_its_cancelled_benchmark() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let slow = json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96, "metrics": ["contains", "chrf"] },
    });
    let running = async || {
        let id = host.create(&slow).await;
        host.wait_until(&id, |benchmark| benchmark["samples"]["completed"].as_u64() >= Some(3)).await;
        id
    };
    let send = async |method: Method, address: &str, body: Value| {
        let answer = host.request(method, address).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{address}: {}", answer.text().await.unwrap());
    };
    // There are samples to compute it of, which the metrics of samples show.
    let cancelled_without = async |id: &str, reason: &str| {
        let ended = host.ended(id).await;
        assert_eq!(ended["status"], "cancelled", "{ended:#}");
        assert!(named(&ended, "contains")["count"].as_u64() >= Some(3), "{ended:#}");
        let chrf = named(&ended, "chrf");
        assert_eq!((&chrf["value"], &chrf["count"]), (&Value::Null, &json!(0)), "{ended:#}");
        assert!(chrf["reason"].as_str().unwrap().contains(reason), "{chrf:#}");
        let failure = &ended["aggregation_failure"];
        assert_eq!((&failure["phase"], &failure["kind"]), (&json!("aggregate"), &json!("internal")));
    };

    let plugin = host.get("/api/v1/plugins/generate-until").await;
    let (label, digest) =
        (format!("generate-until@{}", plugin["version"].as_str().unwrap()), &plugin["digest"]);
    let address = format!("/api/v1/plugins/{label}");
    let id = running().await;
    let disabling = json!({ "enabled": false, "reason": "odd scores", "unfinished": "cancel" });
    send(Method::PATCH, &address, disabling).await;
    cancelled_without(&id, &format!("plugin `{label}` is disabled (odd scores)")).await;

    send(Method::PATCH, &address, json!({ "enabled": true })).await;
    let id = running().await;
    let address = format!("/api/v1/blocked-plugins/{}", digest.as_str().unwrap());
    send(Method::PUT, &address, json!({ "reason": "sends keys" })).await;
    host.wait_until(&id, |benchmark| benchmark["held"].is_string()).await;
    send(Method::POST, &format!("/api/v1/benchmarks/{id}/cancel"), Value::Null).await;
    cancelled_without(&id, &format!("plugin `{label}` is blocked by its digest (sends keys)")).await;
}

#[test]
fn the_table_says_why_a_metric_of_the_corpus_has_no_value() {
    let data = tempfile::tempdir().unwrap();
    let output = run(
        data.path(),
        &[
            "run",
            "--model",
            "tiny-llama",
            "--task",
            hostile_plugin().to_str().unwrap(),
            "--dataset",
            "capitals",
            "--limit",
            "3",
            "--config",
            r#"{"behaviour": "panic-in-aggregation"}"#,
        ],
    );
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = table
        .lines()
        .find(|line| line.starts_with("harmless_together:"))
        .unwrap_or_else(|| panic!("{table}"));
    assert!(
        line.contains("the plugin's aggregator failed (trap): the plugin panicked: this plugin panics"),
        "{line}"
    );
    assert!(output.status.success());
}
