//! Loaded models over the API: states, loading and unloading, and the memory that they share.

use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, bundled_model, copy_folder};

/// Registers a second model: the bundled one, with a line break more in its settings.
fn add_second(data: &Path) -> PathBuf {
    let folder = data.join("models/second");
    copy_folder(&bundled_model(), &folder);
    change(&folder);
    folder
}

fn change(folder: &Path) {
    let settings = folder.join("generation_config.json");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n")).unwrap();
}

/// Long enough to be met while it runs.
fn slow_order(model: &str) -> Value {
    json!({
        "model": model, "task": "generate-until", "dataset": "reading", "concurrency": 1,
        "config": { "until": ["\u{1}"], "max_tokens": 96 },
    })
}

fn is_under_way(benchmark: &Value) -> bool {
    benchmark["samples"]["completed"].as_u64() > Some(0)
}

impl Host {
    async fn post(&self, path: &str) -> (StatusCode, Value) {
        let response = self.request(Method::POST, path).send().await.expect("the host answers");
        (response.status(), response.json().await.expect("the answer is JSON"))
    }

    /// The model once its state is no longer `loading` or `in-use`.
    async fn settled(&self, model: &str) -> Value {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            pause.tick().await;
            let view = self.get(&format!("/api/v1/models/{model}")).await;
            if view["state"] != "loading" && view["state"] != "in-use" {
                return view;
            }
        }
    }

    /// The states of the two models.
    async fn states(&self) -> [Value; 2] {
        let models = self.get("/api/v1/models").await;
        ["tiny-llama", "second"].map(|name| {
            let models = models["items"].as_array().unwrap();
            models.iter().find(|model| model["name"] == name).unwrap()["state"].clone()
        })
    }
}

#[tokio::test]
async fn a_model_is_loaded_and_unloaded_over_the_api() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let model = host.get("/api/v1/models/tiny-llama").await;
    assert_eq!((&model["state"], model.get("last_used_at")), (&json!("unloaded"), None));

    let (status, model) = host.post("/api/v1/models/tiny-llama/load").await;
    assert_eq!((status, &model["state"]), (StatusCode::ACCEPTED, &json!("loading")), "{model:#}");
    let loaded = host.settled("tiny-llama").await;
    assert_eq!((&loaded["state"], loaded.get("load_error")), (&json!("loaded"), None));
    assert!(loaded["bytes"].as_u64() > Some(0));
    let (status, _) = host.post("/api/v1/models/tiny-llama/load").await;
    assert_eq!(status, StatusCode::OK);

    for _ in 0..2 {
        let (status, model) = host.post("/api/v1/models/tiny-llama/unload").await;
        assert_eq!((status, &model["state"]), (StatusCode::OK, &json!("unloaded")), "{model:#}");
    }
    for action in ["load", "unload"] {
        let request = host.request(Method::POST, &format!("/api/v1/models/nope/{action}"));
        let (status, problem) = host.refusal(request).await;
        assert_eq!((status.as_u16(), &problem["type"]), (404, &json!("model-not-found")));
    }
}

#[tokio::test]
async fn a_model_in_use_is_not_unloaded_and_tells_when_it_was_used() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let id = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&id, is_under_way).await;
    assert_eq!(host.get("/api/v1/models/tiny-llama").await["state"], "in-use");
    let (status, problem) =
        host.refusal(host.request(Method::POST, "/api/v1/models/tiny-llama/unload")).await;
    assert_eq!((status.as_u16(), &problem["type"]), (409, &json!("model-in-use")));
    assert!(problem["detail"].as_str().unwrap().contains("tiny-llama"), "{problem:#}");

    host.post(&format!("/api/v1/benchmarks/{id}/cancel")).await;
    host.ended(&id).await;
    let model = host.settled("tiny-llama").await;
    assert_eq!(model["state"], "loaded", "it is kept for the next benchmark");
    assert!(model["last_used_at"].is_string(), "{model:#}");
    assert_eq!(model["kv_cache_budget_bytes"], 4_u64 << 30);
    assert_eq!(host.post("/api/v1/models/tiny-llama/unload").await.0, StatusCode::OK);
}

#[tokio::test]
async fn models_beyond_the_budget_make_room_or_wait_for_each_other() {
    let data = tempfile::tempdir().unwrap();
    add_second(data.path());
    // Room for one of the two, which are of about the same size.
    let host = Host::start_with(data.path(), &["--model-cache-mib", "8"]);
    host.post("/api/v1/models/tiny-llama/load").await;
    assert_eq!(host.settled("tiny-llama").await["state"], "loaded");
    host.post("/api/v1/models/second/load").await;
    assert_eq!(host.settled("second").await["state"], "loaded");
    assert_eq!(host.states().await, ["unloaded", "loaded"]);

    let first = host.create(&slow_order("tiny-llama")).await;
    host.wait_until(&first, is_under_way).await;
    assert_eq!(host.states().await, ["in-use", "unloaded"]);
    let (status, problem) = host.refusal(host.request(Method::POST, "/api/v1/models/second/load")).await;
    assert_eq!((status.as_u16(), &problem["type"]), (409, &json!("model-memory-in-use")));
    assert!(problem["detail"].as_str().unwrap().contains("beside tiny-llama"), "{problem:#}");

    let order = json!({ "model": "second", "task": "multiple-choice", "dataset": "capitals", "limit": 2 });
    let second = host.ended(&host.create(&order).await).await;
    assert_eq!(second["status"], "completed", "{second:#}");
    let first = host.ended(&first).await;
    assert_eq!(first["status"], "completed", "{first:#}");
    let ended_first = first["finished_at"].as_str().unwrap();
    assert!(ended_first < second["finished_at"].as_str().unwrap(), "the second waited for the first");
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_why() {
    let data = tempfile::tempdir().unwrap();
    let folder = add_second(data.path());
    let host = Host::start(data.path());
    change(&folder);
    assert_eq!(host.post("/api/v1/models/second/load").await.0, StatusCode::ACCEPTED);
    let model = host.settled("second").await;
    assert_eq!(model["state"], "unloaded");
    let error = model["load_error"].as_str().unwrap();
    assert!(error.contains("not those that it was registered with"), "{error}");
}
