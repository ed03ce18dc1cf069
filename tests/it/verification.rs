//! Whether scores can be trusted: honest ones come out clean, cheats are found out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Host, cheating_plugin, json_of, run, run_with_samples, stderr_of};

async fn verify(host: &Host, id: &str) -> Value {
    let response =
        host.request(Method::POST, &format!("/api/v1/benchmarks/{id}/verify")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn ended(host: &Host, order: &Value) -> String {
    let id = host.create(order).await;
    let ended = host.ended(&id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    id
}

#[tokio::test]
async fn an_honest_score_comes_out_again_and_needs_its_gold_answers() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let order =
        json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "few_shot": 2 });
    let id = ended(&host, &order).await;
    let unknown = host.request(Method::GET, &format!("/api/v1/benchmarks/{id}/verify"));
    let (status, problem) = host.refusal(unknown).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (404, Some("not-verified")));

    let verified = verify(&host, &id).await;
    let agreement = json!({ "identical": true, "compared": 100, "differing": 0, "samples": [] });
    assert_eq!((&verified["agreement"], &verified["ignores_gold"]), (&agreement, &json!(false)));
    assert_eq!(verified["shuffled"], 100);
    let acc = &verified["metrics"][0];
    let benchmark = host.get(&format!("/api/v1/benchmarks/{id}")).await;
    assert_eq!(acc["real"]["value"], benchmark["metrics"][0]["value"], "as it was measured, bit for bit");
    assert_eq!(acc["verdict"], "uses-gold", "{verified:#}");
    assert!(acc["shuffled"]["value"].as_f64() < acc["real"]["value"].as_f64(), "{acc:#}");
    // A blank solution has no choice to judge.
    assert_eq!(acc["blank"]["count"], 0);
    assert_eq!(verified["failures"]["blank"], json!({ "plugin-error": 100 }));

    let stored = host.get(&format!("/api/v1/benchmarks/{id}/verify")).await;
    assert_eq!(stored, verified);
    let again = verify(&host, &id).await;
    assert_eq!(again["metrics"], verified["metrics"], "the shuffle is seeded");
}

#[tokio::test]
async fn scorers_that_do_not_look_at_the_gold_answer_are_found_out() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&cheating_plugin()).await;
    for way in ["always-right", "smuggle"] {
        let order = json!({
            "model": "tiny-llama", "task": "cheater", "dataset": "capitals", "config": { "way": way },
        });
        let id = ended(&host, &order).await;
        let verified = verify(&host, &id).await;
        assert_eq!(verified["agreement"]["identical"], true);
        assert_eq!(verified["ignores_gold"], true, "{way}: {verified:#}");
        let acc = &verified["metrics"][0];
        assert_eq!((&acc["verdict"], &acc["gain"]), (&json!("ignores-gold"), &json!(0.0)), "{way}: {acc:#}");
        assert_eq!(acc["real"], acc["shuffled"], "{way}");
    }
}

#[test]
fn the_command_line_shows_the_passes_side_by_side_and_fails_for_a_cheat() {
    let data = tempfile::tempdir().unwrap();
    let cheater = cheating_plugin();
    let verify = |task: &str, sandbox: &str| {
        let arguments = ["run", "--model", "tiny-llama", "--dataset", "capitals", "--task", task];
        let (benchmark, _) = run_with_samples(data.path(), &arguments);
        let id = benchmark["id"].as_str().unwrap();
        let output = run(data.path(), &["verify", id, "--sandbox-process", sandbox]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr_of(&output))
    };
    let (code, table, _) = verify(cheater.to_str().unwrap(), "isolated");
    assert_eq!(code, Some(1));
    assert!(table.contains("all 100 solutions have the stored scores, bit for bit"), "{table}");
    assert!(table.contains("IGNORES THE GOLD ANSWER"), "{table}");
    assert!(table.contains("acc: every sample has the same value with another's gold answer"), "{table}");

    let (code, table, errors) = verify("multiple-choice", "in-process");
    assert_eq!(code, Some(0), "{errors}");
    assert!(table.contains("uses the gold answer"), "{table}");
}

#[test]
fn what_has_no_gold_answer_or_too_few_samples_is_said_to_be_so() {
    let data = tempfile::tempdir().unwrap();
    let verify = |task: &str, dataset: &str, limit: &str| {
        let arguments =
            ["run", "--model", "tiny-llama", "--task", task, "--dataset", dataset, "--limit", limit];
        let (benchmark, _) = run_with_samples(data.path(), &arguments);
        let id = benchmark["id"].as_str().unwrap().to_owned();
        json_of(&run(data.path(), &["verify", &id, "--format", "json"]))
    };
    let verified = verify("perplexity", "stories", "4");
    assert_eq!((&verified["agreement"]["identical"], &verified["shuffled"]), (&json!(true), &json!(0)));
    assert!(verified["not_shuffled"].as_str().unwrap().starts_with("the benchmark has no gold columns"));
    let metrics: &Vec<Value> = verified["metrics"].as_array().unwrap();
    assert!(metrics.iter().all(|metric| metric["verdict"] == "not-shuffled"));

    let verified = verify("multiple-choice", "capitals", "12");
    let acc = &verified["metrics"][0];
    assert_eq!(acc["verdict"], "unclear");
    assert!(acc["reason"].as_str().unwrap().ends_with("it takes 20 to tell"), "{acc:#}");
}
