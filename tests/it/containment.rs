//! A stranger's plugin harms its own samples and nothing else.

use serde_json::{Value, json};

use crate::support::{Host, hostile_plugin};

fn attack(behaviour: &str) -> Value {
    json!({
        "model": "tiny-llama", "task": "hostile", "dataset": "capitals", "limit": 2, "max_failed": 1.0,
        "budget": "small", "config": { "behaviour": behaviour },
    })
}

#[tokio::test]
async fn every_attack_fails_its_samples_by_name_and_the_neighbour_is_undisturbed() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let uploaded = host.upload(&hostile_plugin()).await;
    assert_eq!(uploaded["name"], "hostile");
    let honest = json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals" });
    let alone = host.ended(&host.create(&honest).await).await;

    let neighbour = host.create(&honest).await;
    let attacks = [
        ("read-file", "solve", "denied"),
        ("open-socket", "solve", "denied"),
        ("spin", "solve", "fuel-exhausted"),
        ("memory-bomb", "solve", "memory-limit"),
        ("panic", "solve", "trap"),
        ("abort", "solve", "trap"),
        ("exit", "solve", "exit"),
        ("recurse", "solve", "stack-overflow"),
        ("host-call-flood", "solve", "call-limit"),
        ("spin-in-score", "score", "fuel-exhausted"),
        ("panic-in-score", "score", "trap"),
        ("nan-measurement", "score", "invalid-output"),
        ("undeclared-measurement", "score", "invalid-output"),
        ("duplicate-measurement", "score", "invalid-output"),
        ("huge-answer", "solve", "invalid-output"),
        ("open-judge", "solve", "denied"),
    ];
    let mut seen = Vec::new();
    let mut wanted = Vec::new();
    for (behaviour, phase, kind) in attacks {
        let id = host.create(&attack(behaviour)).await;
        let ended = host.ended(&id).await;
        assert_eq!(ended["status"], "completed", "{behaviour}: {ended:#}");
        for sample in host.samples(&id).await {
            let failure = &sample["error"];
            assert!(failure["message"].as_str().is_some_and(|message| !message.is_empty()), "{sample:#}");
            seen.push(format!("{behaviour}: {} in {}", failure["kind"], failure["phase"]));
            wanted.push(format!("{behaviour}: \"{kind}\" in \"{phase}\""));
        }
        assert_eq!(ended["samples"]["failed"], 2, "{behaviour}");
    }
    assert_eq!(seen, wanted);
    let ended = host.ended(&neighbour).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["metrics"], alone["metrics"]);

    let honest = host.ended(&host.create(&attack("honest")).await).await;
    assert_eq!(honest["failures"], json!({}), "{honest:#}");
}

#[tokio::test]
async fn the_solver_never_sees_the_gold_answer() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&hostile_plugin()).await;
    let id = host.create(&attack("peek-gold")).await;
    host.ended(&id).await;
    for sample in host.samples(&id).await {
        let seen = sample["answer"].as_str().unwrap_or_default();
        assert!(!seen.contains("\"answer\""), "the solver saw {seen}");
        assert!(sample["target"]["answer"].is_number(), "{sample:#}");
    }
}

#[tokio::test]
async fn a_benchmark_whose_share_of_failures_is_exceeded_fails_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&hostile_plugin()).await;
    let mut order = attack("panic");
    order["max_failed"] = json!(0.5);
    let ended = host.ended(&host.create(&order).await).await;
    assert_eq!(ended["status"], "failed");
    let error = ended["error"].as_str().unwrap();
    assert!(error.contains("2 of 2 samples failed (trap 2)"), "{error}");
}

#[tokio::test]
async fn what_is_not_a_plugin_is_refused_with_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let good = std::fs::read(hostile_plugin()).unwrap();
    let uploads: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("text", b"(component)".to_vec()),
        ("core module", b"\0asm\x01\0\0\0".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("empty component", b"\0asm\x0d\0\x01\0".to_vec()),
    ];
    for (name, bytes) in uploads {
        let request = host
            .request(reqwest::Method::POST, "/api/v1/plugins")
            .header("content-type", "application/wasm")
            .body(bytes);
        let (status, problem) = host.refusal(request).await;
        assert!(status.is_client_error(), "{name}: {problem:#}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{name}: {problem:#}");
    }
    let plugins = host.get("/api/v1/plugins").await;
    let names: Vec<_> =
        plugins["items"].as_array().unwrap().iter().map(|plugin| plugin["name"].clone()).collect();
    assert_eq!(
        names,
        [
            "answer-match",
            "dialogue",
            "generate-until",
            "lexical",
            "log-likelihood",
            "multiple-choice",
            "perplexity",
            "retrieval"
        ]
    );
}
