//! The HTTP API as a client meets it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Host, metric};

#[tokio::test]
async fn a_benchmark_is_queued_executed_and_shown_with_all_it_recorded() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let order = json!({
        "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "limit": 20, "few_shot": 2,
    });
    let id = host.create(&order).await;
    let ended = host.ended(&id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["samples"], json!({ "total": 20, "completed": 20, "failed": 0 }));
    assert!(metric(&ended, "acc") > 0.5);
    assert!(ended["metrics"][0]["stderr"].is_number());
    assert!(ended["speed"]["samples_per_s"].as_f64() > Some(0.0));
    assert!(ended["speed"]["prompt_tokens"].as_u64() > Some(0));
    assert!(ended["hardware"]["peak_process_memory_bytes"].as_u64() > Some(1 << 20));

    let samples = host.samples(&id).await;
    assert_eq!(samples.len(), 20);
    let call = &samples[0]["calls"][0];
    assert_eq!((call["kind"].as_str(), call["part"].as_str()), (Some("log-likelihood"), Some("subject")));
    let choices = call["request"].as_array().unwrap().len();
    assert!(choices > 1);
    assert_eq!(call["response"].as_array().map(Vec::len), Some(choices));
    assert!(call["response"][0]["sum"].as_f64() < Some(0.0));
    let prompt = call["request"][0]["context"]["text"].as_str().unwrap();
    assert_eq!(prompt.matches("Question: ").count(), 3, "two examples stand before the question: {prompt}");
    assert!(prompt.ends_with("Answer:"), "{prompt:?}");
    assert!(samples[0]["fuel"].as_u64() > Some(0));

    let readings = host.get(&format!("/api/v1/benchmarks/{id}/hardware")).await;
    assert!(readings["items"][0]["process_memory_bytes"].as_u64() > Some(0), "{readings:#}");
}

#[tokio::test]
async fn the_bundled_things_are_listed_and_shown() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    assert_eq!(host.get("/api/v1/health").await["status"], "ok");
    let models = host.get("/api/v1/models").await;
    assert_eq!(models["items"][0]["name"], "tiny-llama");
    let model = host.get("/api/v1/models/tiny-llama").await;
    assert_eq!(model["digest"].as_str().map(str::len), Some(64));

    let first = host.get("/api/v1/datasets?limit=3").await;
    let second =
        host.get(&format!("/api/v1/datasets?limit=3&cursor={}", first["next"].as_str().unwrap())).await;
    let names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|dataset| dataset["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["arithmetic", "capitals", "opposites", "reading", "stories"]);
    assert!(second["next"].is_null());
    let preview = host.get("/api/v1/datasets/capitals/preview?split=train&limit=2").await;
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(2));
    assert_eq!(preview["gold"], json!(["answer"]));

    let plugin = host.get("/api/v1/plugins/multiple-choice").await;
    assert_eq!(plugin["exports"], json!(["solver", "scorer"]));
    assert_eq!(plugin["config_schema"]["properties"]["answer"]["x-gold"], true);
    assert!(host.get("/api/v1/hardware").await["now"]["used_memory_bytes"].as_u64() > Some(0));
}

#[tokio::test]
async fn every_endpoint_is_in_the_openapi_document_and_on_a_page() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let document = host.get("/openapi.json").await;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    for path in [
        "/api/v1/health",
        "/api/v1/models",
        "/api/v1/models/{name}/load",
        "/api/v1/models/{name}/unload",
        "/api/v1/datasets/{name}/preview",
        "/api/v1/plugins",
        "/api/v1/benchmarks/{id}/cancel",
        "/api/v1/benchmarks/{id}/samples",
        "/api/v1/benchmarks/{id}/comparison",
        "/api/v1/benchmarks/{id}/hardware",
        "/api/v1/hardware",
    ] {
        assert!(paths.iter().any(|known| known == path), "{path} is not in {paths:?}");
    }
    let page = host.request(Method::GET, "/docs/").send().await.unwrap();
    assert!(page.status().is_success());
    assert!(page.text().await.unwrap().contains("swagger"));
}

#[tokio::test]
async fn an_uploaded_dataset_is_evaluated_and_its_gold_column_withheld() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let rows = "{\"question\": \"What is the capital of France?\", \"options\": [\"Rome\", \"Paris\"], \"key\": \"B\"}\n\
                {\"question\": broken\n\
                {\"question\": \"What is the capital of Italy?\", \"options\": [\"Rome\", \"Paris\"], \"key\": \"A\"}\n";
    let upload = host
        .request(Method::PUT, "/api/v1/datasets/mine")
        .header("content-type", "application/jsonl")
        .body(rows);
    let response = upload.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let dataset: Value = response.json().await.unwrap();
    assert_eq!(dataset["splits"][0]["rows"], 3);

    let order = json!({
        "model": "tiny-llama", "task": "multiple-choice", "dataset": "mine", "max_failed": 0.5,
        "config": { "choices": "options", "answer": "key" },
    });
    let id = host.create(&order).await;
    let ended = host.ended(&id).await;
    assert_eq!(ended["samples"], json!({ "total": 3, "completed": 2, "failed": 1 }), "{ended:#}");
    assert_eq!(ended["failures"], json!({ "unreadable-row": 1 }));
    let samples = host.samples(&id).await;
    let message = samples[1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("line 2"), "{message}");
    assert_eq!(samples[0]["target"], json!({ "key": "B" }));
}

#[tokio::test]
async fn a_misspelt_gold_column_is_refused_before_a_solver_could_see_the_answer() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let upload = |gold: &str| {
        host.request(Method::PUT, &format!("/api/v1/datasets/mine?gold={gold}"))
            .header("content-type", "application/jsonl")
            .body("{\"question\": \"?\", \"answer\": 1}\n")
    };
    let (status, problem) = host.refusal(upload("anser")).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (400, Some("unknown-column")));
    let (status, _) = host.refusal(host.request(Method::GET, "/api/v1/datasets/mine")).await;
    assert_eq!(status.as_u16(), 404);
    assert!(upload("answer").send().await.unwrap().status().is_success());
    assert_eq!(host.get("/api/v1/datasets/mine").await["gold"], json!(["answer"]));
}

#[tokio::test]
async fn a_dataset_that_changed_since_the_benchmark_was_created_fails_it() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("datasets/mine");
    std::fs::create_dir_all(&folder).unwrap();
    let card = "name = \"mine\"\ndescription = \"\"\nlicence = \"none\"\n[splits]\ntest = \"test.jsonl\"\n";
    std::fs::write(folder.join("dataset.toml"), card).unwrap();
    std::fs::write(folder.join("test.jsonl"), "{\"text\": \"one\"}\n").unwrap();
    let host = Host::start(data.path());
    std::fs::write(folder.join("test.jsonl"), "{\"text\": \"two\"}\n").unwrap();
    let order = json!({ "model": "tiny-llama", "task": "perplexity", "dataset": "mine" });
    let ended = host.ended(&host.create(&order).await).await;
    assert_eq!(ended["status"], "failed");
    assert!(ended["error"].as_str().unwrap().contains("split `test`"), "{ended:#}");
}

#[tokio::test]
async fn wrong_orders_are_refused_with_a_sentence_that_names_the_field() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let good = json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals" });
    let cases: [(&str, Value, u16, &str, &str); 10] = [
        ("model", json!("nope"), 404, "model-not-found", "tiny-llama"),
        ("task", json!("nope"), 404, "plugin-not-found", "multiple-choice"),
        ("dataset", json!("nope"), 404, "dataset-not-found", "capitals"),
        ("split", json!("nope"), 404, "split-not-found", "train"),
        ("config", json!({ "promt": "x" }), 400, "invalid-config", "promt"),
        ("config", json!({ "answer": "nope" }), 400, "unknown-column", "nope"),
        ("concurrency", json!(0), 400, "invalid-concurrency", "1 to 256"),
        ("max_failed", json!(2), 400, "invalid-max-failed", "0 to 1"),
        ("few_shot", json!(999), 400, "too-few-examples", "999"),
        ("few_shot", json!(100_000), 400, "invalid-few-shot", "1000"),
    ];
    for (field, value, status, code, named) in cases {
        let mut order = good.clone();
        order[field] = value;
        let request = host.request(Method::POST, "/api/v1/benchmarks").json(&order);
        let (got, problem) = host.refusal(request).await;
        assert_eq!((got.as_u16(), problem["type"].as_str()), (status, Some(code)), "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem:#}");
    }
    let mut order = good.clone();
    order["modle"] = json!("x");
    let (status, problem) = host.refusal(host.request(Method::POST, "/api/v1/benchmarks").json(&order)).await;
    assert_eq!(status.as_u16(), 422);
    assert!(problem["detail"].as_str().unwrap().contains("modle"), "{problem:#}");
}

#[tokio::test]
async fn wrong_addresses_and_foreign_hosts_get_problem_documents() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let cases = [
        (Method::GET, "/api/v1/nothing", 404, "unknown-address"),
        (Method::DELETE, "/api/v1/models", 405, "wrong-method"),
        (Method::GET, "/api/v1/benchmarks/not-an-id", 400, "invalid-id"),
        (Method::GET, "/api/v1/benchmarks/01890a5d-ac96-774b-bcce-b302099a8057", 404, "benchmark-not-found"),
        (Method::GET, "/api/v1/benchmarks?cursor=x", 400, "invalid-cursor"),
        (Method::GET, "/api/v1/models?limit=0", 400, "invalid-limit"),
        (Method::GET, "/api/v1/models?page=2", 400, "invalid-query"),
    ];
    for (method, path, status, code) in cases {
        let (got, problem) = host.refusal(host.request(method, path)).await;
        assert_eq!((got.as_u16(), problem["type"].as_str()), (status, Some(code)), "{path}: {problem:#}");
    }
    let foreign = host.request(Method::GET, "/api/v1/health").header("host", "evil.example");
    let (status, problem) = host.refusal(foreign).await;
    assert_eq!((status.as_u16(), problem["type"].as_str()), (421, Some("unknown-host")));
}

#[tokio::test]
async fn a_page_of_another_site_may_change_nothing() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let load = || host.request(Method::POST, "/api/v1/models/tiny-llama/load");
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "http://localhost:1"),
        ("origin", "null"),
    ] {
        let (status, problem) = host.refusal(load().header(header, value)).await;
        assert_eq!(
            (status.as_u16(), problem["type"].as_str()),
            (403, Some("cross-site-request")),
            "{header}: {value}"
        );
    }
    assert_eq!(host.get("/api/v1/models/tiny-llama").await["state"], "unloaded");

    // A page may be opened from anywhere; what it shows may be asked by itself.
    let opened =
        host.request(Method::GET, "/docs/").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert!(opened.status().is_success());
    let own =
        load().header("sec-fetch-site", "same-origin").header("origin", host.base()).send().await.unwrap();
    assert!(own.status().is_success());
    let older = load().header("origin", host.base()).send().await.unwrap();
    assert!(older.status().is_success());
}

#[tokio::test]
async fn benchmarks_are_listed_newest_first_and_by_status() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let order =
        json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "limit": 1 });
    let mut created = Vec::new();
    for _ in 0..3 {
        let id = host.create(&order).await;
        host.ended(&id).await;
        created.push(id);
    }
    created.reverse();
    let first = host.get("/api/v1/benchmarks?limit=2&status=completed").await;
    let next = first["next"].as_str().unwrap();
    let second = host.get(&format!("/api/v1/benchmarks?limit=2&status=completed&cursor={next}")).await;
    let ids: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|benchmark| benchmark["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, created);
    assert_eq!(host.get("/api/v1/benchmarks?status=failed").await["items"], json!([]));
}
