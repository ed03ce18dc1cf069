//! Holding two benchmarks against each other, over the API and on the command line.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Host, json_of, metric, run};

fn order(few_shot: u32, limit: u64) -> Value {
    json!({
        "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals",
        "few_shot": few_shot, "limit": limit,
    })
}

fn of_metric<'v>(comparison: &'v Value, name: &str) -> &'v Value {
    let metrics = comparison["metrics"].as_array().unwrap();
    metrics
        .iter()
        .find(|metric| metric["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {comparison:#}"))
}

fn values(samples: &[Value], name: &str) -> Vec<f64> {
    let value = |sample: &Value| {
        let metrics = sample["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["value"].as_f64().unwrap()
    };
    samples.iter().map(value).collect()
}

#[tokio::test]
async fn two_benchmarks_are_compared_over_the_samples_that_both_have() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let (first, second) = (host.create(&order(0, 30)).await, host.create(&order(4, 20)).await);
    let ended = [host.ended(&first).await, host.ended(&second).await];
    assert_eq!([&ended[0]["status"], &ended[1]["status"]], ["completed", "completed"]);

    let comparison = host.get(&format!("/api/v1/benchmarks/{first}/comparison?with={second}")).await;
    assert_eq!(comparison["samples"], json!({ "paired": 20, "only_first": 10, "only_second": 0 }));
    assert_eq!((&comparison["first"]["few_shot"], &comparison["second"]["few_shot"]), (&json!(0), &json!(4)));
    assert_eq!(comparison["second"]["id"], second.as_str());

    // The same figures from the samples that the API shows.
    let without = values(&host.samples(&first).await[..20], "acc");
    let with = values(&host.samples(&second).await, "acc");
    let differences: Vec<_> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
    let mean = differences.iter().sum::<f64>() / 20.0;
    let variance = differences.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 19.0;
    let acc = of_metric(&comparison, "acc");
    let close = |field: &str, expected: f64| {
        let got = acc[field].as_f64().unwrap_or_else(|| panic!("no {field}: {acc:#}"));
        assert!((got - expected).abs() < 1e-12, "{field}: {got}, not {expected}");
    };
    close("first", without.iter().sum::<f64>() / 20.0);
    close("second", metric(&ended[1], "acc"));
    close("difference", mean);
    close("stderr", (variance / 20.0).sqrt());
    assert_eq!((&acc["count"], &acc["scale"]), (&json!(20), &json!("linear")));
    assert!(acc["ci95"][0].as_f64() <= acc["difference"].as_f64());
    let gained = differences.iter().filter(|difference| **difference > 0.0).count();
    assert_eq!(acc["mcnemar"]["only_second"].as_u64(), Some(gained as u64));
    assert_eq!(acc["mcnemar"]["test"], "exact");
    assert!((0.0..=1.0).contains(&acc["mcnemar"]["p_value"].as_f64().unwrap()));
}

#[tokio::test]
async fn benchmarks_that_cannot_be_paired_are_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let capitals = host.create(&order(0, 2)).await;
    let mut other = order(0, 2);
    other["dataset"] = json!("opposites");
    let opposites = host.create(&other).await;
    host.ended(&capitals).await;
    host.ended(&opposites).await;
    let slow = json!({
        "model": "tiny-llama", "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96 },
    });
    let slow = host.create(&slow).await;

    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let cases = [
        (format!("{capitals}/comparison?with={opposites}"), 409, "different-data", "opposites/test"),
        (format!("{capitals}/comparison?with={slow}"), 409, "benchmark-not-ended", slow.as_str()),
        (format!("{unknown}/comparison?with={capitals}"), 404, "benchmark-not-found", unknown),
        (format!("{capitals}/comparison?with={unknown}"), 404, "benchmark-not-found", unknown),
        (format!("{capitals}/comparison?with=x"), 400, "invalid-id", "x"),
        (format!("{capitals}/comparison"), 400, "invalid-query", "with"),
    ];
    for (path, status, code, named) in cases {
        let request = host.request(Method::GET, &format!("/api/v1/benchmarks/{path}"));
        let (got, problem) = host.refusal(request).await;
        assert_eq!((got.as_u16(), problem["type"].as_str()), (status, Some(code)), "{path}: {problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem:#}");
    }
}

#[test]
fn the_command_line_compares_in_a_table_and_as_json() {
    let data = tempfile::tempdir().unwrap();
    let id = |task: &str, dataset: &str, few_shot: &str| {
        let words = ["run", "--model", "tiny-llama", "--task", task, "--dataset", dataset, "--limit", "5"];
        let words = [&words[..], &["--few-shot", few_shot, "--format", "json"]].concat();
        json_of(&run(data.path(), &words))["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (id("multiple-choice", "capitals", "0"), id("multiple-choice", "capitals", "3"));
    let output = run(data.path(), &["benchmarks", "compare", &first, &second]);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("5 samples paired, 0 in A alone, 0 in B alone"), "{table}");
    assert!(table.contains(&first) && table.contains("3-shot") && table.contains("McNemar p"), "{table}");
    assert!(table.lines().any(|line| line.trim_start().starts_with("acc_norm ")), "{table}");
    let json = json_of(&run(data.path(), &["benchmarks", "compare", &first, &second, "--format", "json"]));
    assert_eq!(of_metric(&json, "acc")["count"], 5);

    let (first, second) = (id("perplexity", "stories", "0"), id("multiple-choice", "opposites", "0"));
    let output = run(data.path(), &["benchmarks", "compare", &first, &first]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("ln +0.0000") && table.contains("e^difference"), "{table}");
    let output = run(data.path(), &["benchmarks", "compare", &first, &second]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("different data") && message.contains("stories/test"), "{message}");
}
