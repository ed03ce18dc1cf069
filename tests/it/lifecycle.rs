//! What an administrator does with plugins: versions, defaults, disabling, blocking, granting and removing.

use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, hostile_plugin, json_of, run, stderr_of};

/// The stranger's plugin under another version.
fn second_version(folder: &Path) -> PathBuf {
    let component = std::fs::read(hostile_plugin()).unwrap();
    let (old, new) = (b"hostile0.1.0", b"hostile0.2.0");
    let places: Vec<_> = component
        .windows(old.len())
        .enumerate()
        .filter(|(_, there)| there == old)
        .map(|(at, _)| at)
        .collect();
    let [place] = places[..] else { panic!("the component names its version {} times", places.len()) };
    let mut changed = component;
    changed[place..place + new.len()].copy_from_slice(new);
    let path = folder.join("second.wasm");
    std::fs::write(&path, changed).unwrap();
    path
}

fn order(task: &str, behaviour: &str) -> Value {
    json!({
        "model": "tiny-llama", "task": task, "dataset": "capitals", "limit": 20, "max_failed": 1.0,
        "concurrency": 1, "config": { "behaviour": behaviour },
    })
}

fn patch(host: &Host, plugin: &str, change: &Value) -> RequestBuilder {
    host.request(Method::PATCH, &format!("/api/v1/plugins/{plugin}")).json(change)
}

async fn change(host: &Host, plugin: &str, body: &Value) -> Value {
    let answer = patch(host, plugin, body).send().await.unwrap();
    let status = answer.status();
    let changed: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{changed:#}");
    changed
}

async fn problem(host: &Host, request: RequestBuilder) -> (u16, String) {
    let (status, problem) = host.refusal(request).await;
    (status.as_u16(), problem["type"].as_str().unwrap().to_owned())
}

fn refused_order(host: &Host, order: &Value) -> RequestBuilder {
    host.request(Method::POST, "/api/v1/benchmarks").json(order)
}

#[tokio::test]
async fn versions_stand_side_by_side_and_rolling_back_is_one_call() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let first = host.upload(&hostile_plugin()).await;
    let second = host.upload(&second_version(data.path())).await;
    assert_eq!((&first["is_default"], &second["is_default"]), (&json!(true), &json!(false)));
    assert!(first["compile_ms"].as_u64() > Some(0), "{first:#}");
    assert_eq!((&first["contract"], &first["status"]), (&json!("0.1.0"), &json!("enabled")));
    // The same content is the same plugin.
    assert_eq!(host.upload(&hostile_plugin()).await["created_at"], first["created_at"]);

    change(&host, "hostile@0.2.0", &json!({ "default": true })).await;
    assert_eq!(host.get("/api/v1/plugins/hostile").await["version"], "0.2.0");
    let id = host.create(&order("hostile", "honest")).await;
    assert_eq!(host.ended(&id).await["task_digest"], second["digest"]);
    change(&host, "hostile@0.1.0", &json!({ "default": true })).await;
    assert_eq!(host.get("/api/v1/plugins/hostile").await["version"], "0.1.0");
    assert_eq!(host.get(&format!("/api/v1/benchmarks/{id}")).await["task"], "hostile@0.2.0");

    let statistics = &host.get("/api/v1/plugins/hostile@0.2.0").await["statistics"];
    assert_eq!((&statistics["benchmarks"], &statistics["samples"]), (&json!(1), &json!(20)));
    assert!(statistics["fuel"]["p99"].as_u64() >= statistics["fuel"]["p50"].as_u64());
    assert!(statistics["peak_memory_bytes"]["p50"].as_u64() > Some(65_536), "{statistics:#}");
    let unused = &host.get("/api/v1/plugins/hostile@0.1.0").await["statistics"];
    assert_eq!((&unused["samples"], &unused["fuel"]), (&json!(0), &Value::Null));

    let without_version = patch(&host, "hostile", &json!({ "default": true }));
    assert_eq!(problem(&host, without_version).await, (400, "version-missing".to_owned()));
    let not_the_default = patch(&host, "hostile@0.1.0", &json!({ "default": false }));
    assert_eq!(problem(&host, not_the_default).await, (400, "invalid-change".to_owned()));
    let audit = json_of(&run(data.path(), &["audit", "list", "--format", "json"]));
    let actions: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["action"].as_str().unwrap(), entry["subject"].as_str().unwrap()))
        .collect();
    assert_eq!(
        actions,
        [
            "choose-default hostile@0.1.0",
            "choose-default hostile@0.2.0",
            "upload-plugin hostile@0.2.0",
            "upload-plugin hostile@0.1.0"
        ]
    );
}

#[tokio::test]
async fn an_upload_is_held_against_its_digest_and_comes_back_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let bytes = std::fs::read(hostile_plugin()).unwrap();
    let upload = |name: &str, digest: &str| {
        let request =
            host.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm");
        request.header(name, digest).body(bytes.clone())
    };
    // SHA-256 of nothing.
    let other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let wrong = upload("digest", &format!("sha-256={other}"));
    assert_eq!(problem(&host, wrong).await, (400, "digest-mismatch".to_owned()));
    assert_eq!(problem(&host, upload("repr-digest", "sha-256=x")).await, (400, "invalid-digest".to_owned()));

    // As a form, whose field bears the digest that the download says.
    let form = |field: &str, digest: &str| {
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"p.wasm\"\r\n{digest}\r\n"
        );
        let body = [head.as_bytes(), &bytes, b"\r\n--edge--\r\n"].concat();
        host.request(Method::POST, "/api/v1/plugins")
            .header("content-type", "multipart/form-data; boundary=edge")
            .body(body)
    };
    let wrong = form("component", &format!("digest: sha-256={other}\r\n"));
    assert_eq!(problem(&host, wrong).await, (400, "digest-mismatch".to_owned()));
    assert_eq!(problem(&host, form("file", "")).await, (400, "invalid-form".to_owned()));
    let uploaded = form("component", "").send().await.unwrap();
    assert_eq!(uploaded.status(), StatusCode::CREATED);
    let uploaded: Value = uploaded.json().await.unwrap();

    let answer = host.request(Method::GET, "/api/v1/plugins/hostile@0.1.0/wasm").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/wasm");
    assert_eq!(answer.headers()["etag"], format!("\"{}\"", uploaded["digest"].as_str().unwrap()));
    let digest = answer.headers()["repr-digest"].to_str().unwrap().to_owned();
    assert!(answer.bytes().await.unwrap() == bytes, "the component comes back byte for byte");
    assert_eq!(upload("repr-digest", &digest).send().await.unwrap().status(), StatusCode::CREATED);
    let listed = host.get("/api/v1/plugins").await;
    let hostile = |plugin: &&Value| plugin["name"] == "hostile";
    assert_eq!(listed["items"].as_array().unwrap().iter().filter(hostile).count(), 1);
}

#[tokio::test]
async fn the_host_s_configuration_caps_uploads_and_sets_limits() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(
        data.path().join("config.toml"),
        "[uploads]\nplugin_mib = 1\n[limits]\nfuel = 5_000_000_000\n",
    )
    .unwrap();
    let host = Host::start(data.path());
    let large = host.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm");
    let (status, kind) = problem(&host, large.body(vec![0; (1 << 20) + 1])).await;
    assert_eq!((status, &*kind), (413, "upload-too-large"));
    host.upload(&hostile_plugin()).await;
    assert_eq!(host.get("/api/v1/plugins/hostile").await["limits"]["fuel"], 5_000_000_000_u64);
    drop(host);

    std::fs::write(data.path().join("config.toml"), "[limits]\nfuel = \"all\"\n").unwrap();
    let refused = run(data.path(), &["plugins", "list"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr_of(&refused);
    assert!(said.contains("config.toml") && said.contains("line 2"), "{said}");
}

#[tokio::test]
async fn disabling_a_plugin_holds_its_benchmarks_and_enabling_lets_them_go_on() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_with(data.path(), &["--parallel-benchmarks", "1"]);
    host.upload(&hostile_plugin()).await;
    // It computes until its fuel ends, sample after sample.
    let running = host.create(&order("hostile", "spin")).await;
    let waiting = host.create(&order("hostile", "honest")).await;
    host.wait_until(&running, |benchmark| benchmark["status"] == "running").await;

    let disabled = change(&host, "hostile@0.1.0", &json!({ "enabled": false, "reason": "odd scores" })).await;
    assert_eq!((&disabled["status"], &disabled["status_reason"]), (&json!("disabled"), &json!("odd scores")));
    for id in [&running, &waiting] {
        let held = host.wait_until(id, |benchmark| benchmark["status"] == "queued").await;
        let reason = held["held"].as_str().unwrap();
        assert_eq!(reason, "plugin `hostile@0.1.0` is disabled (odd scores); an administrator can enable it");
    }
    let refused = refused_order(&host, &order("hostile", "honest"));
    assert_eq!(problem(&host, refused).await, (409, "plugin-disabled".to_owned()));
    // Others are not held up.
    let other =
        json!({ "model": "tiny-llama", "task": "multiple-choice", "dataset": "capitals", "limit": 2 });
    assert_eq!(host.ended(&host.create(&other).await).await["status"], "completed");

    let cancel = host.request(Method::POST, &format!("/api/v1/benchmarks/{running}/cancel"));
    assert_eq!(cancel.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(host.ended(&running).await["status"], "cancelled");
    change(&host, "hostile@0.1.0", &json!({ "enabled": true })).await;
    let ended = host.ended(&waiting).await;
    assert_eq!((&ended["status"], &ended["held"]), (&json!("completed"), &Value::Null));

    let another = host.create(&order("hostile", "spin")).await;
    host.wait_until(&another, |benchmark| benchmark["status"] == "running").await;
    change(&host, "hostile@0.1.0", &json!({ "enabled": false, "unfinished": "cancel" })).await;
    assert_eq!(host.ended(&another).await["status"], "cancelled");
}

#[tokio::test]
async fn a_blocked_content_is_refused_and_marks_what_used_it() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let uploaded = host.upload(&hostile_plugin()).await;
    let digest = uploaded["digest"].as_str().unwrap();
    let id = host.create(&order("hostile", "honest")).await;
    assert_eq!(host.ended(&id).await["task_status"], "enabled");

    let blocked = run(data.path(), &["plugins", "block", "hostile@0.1.0", "--reason", "sends keys"]);
    assert!(blocked.status.success(), "{}", stderr_of(&blocked));
    assert!(
        stderr_of(&blocked).contains(&format!("1 benchmarks used it:\n  {id} completed")),
        "{}",
        stderr_of(&blocked)
    );
    let marked = host.get(&format!("/api/v1/benchmarks/{id}")).await;
    assert_eq!(
        (&marked["task_status"], &marked["task_status_reason"]),
        (&json!("blocked"), &json!("sends keys"))
    );
    assert_eq!(marked["status"], "completed");
    let listed = host.get(&format!("/api/v1/benchmarks?task_digest={digest}")).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));

    let again = host
        .request(Method::POST, "/api/v1/plugins")
        .header("content-type", "application/wasm")
        .body(std::fs::read(hostile_plugin()).unwrap());
    let (status, problem_document) = host.refusal(again).await;
    assert_eq!((status, &problem_document["type"]), (StatusCode::FORBIDDEN, &json!("plugin-blocked")));
    assert!(problem_document["detail"].as_str().unwrap().contains("sends keys"), "{problem_document:#}");
    // Nor from a file, nor by what was recorded.
    let file = hostile_plugin();
    let from_file =
        ["run", "--model", "tiny-llama", "--dataset", "capitals", "--task", file.to_str().unwrap()];
    let from_file = run(data.path(), &from_file);
    assert_eq!(from_file.status.code(), Some(2));
    assert!(stderr_of(&from_file).contains("sends keys"), "{}", stderr_of(&from_file));
    for verb in ["rescore", "verify"] {
        let body = if verb == "rescore" { json!({ "task": "hostile" }) } else { json!({}) };
        let request = host.request(Method::POST, &format!("/api/v1/benchmarks/{id}/{verb}")).json(&body);
        assert_eq!(problem(&host, request).await.1, "plugin-blocked", "{verb}");
    }

    let address = format!("/api/v1/blocked-plugins/{digest}");
    let removed = host.request(Method::DELETE, &address).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        problem(&host, host.request(Method::DELETE, &address)).await,
        (404, "block-not-found".to_owned())
    );
    host.upload(&hostile_plugin()).await;
    let unknown = host.request(Method::PUT, "/api/v1/blocked-plugins/abc").json(&json!({ "reason": "x" }));
    assert_eq!(problem(&host, unknown).await, (400, "invalid-digest".to_owned()));
}

#[tokio::test]
async fn a_stranger_gets_more_than_the_default_only_by_a_grant() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&hostile_plugin()).await;
    let mut large = order("hostile", "honest");
    large["budget"] = json!("large");
    let (status, document) = host.refusal(refused_order(&host, &large)).await;
    assert_eq!((status, &document["type"]), (StatusCode::FORBIDDEN, &json!("limit-not-granted")));
    let detail = document["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("fuel is 100000000000, but plugin `hostile@0.1.0` may have 10000000000"),
        "{detail}"
    );

    let granted = run(
        data.path(),
        &[
            "plugins",
            "grant",
            "hostile@0.1.0",
            "--parts",
            "judge",
            "--limit",
            "fuel=100_000_000_000",
            "--limit",
            "memory_bytes=1073741824",
            "--limit",
            "compute_timeout_ms=120000",
            "--format",
            "json",
        ],
    );
    assert_eq!(json_of(&granted)["grants"]["parts"], json!(["judge"]));
    assert_eq!(host.get("/api/v1/plugins/hostile").await["limits"]["fuel"], 100_000_000_000_u64);
    assert_eq!(host.ended(&host.create(&large).await).await["status"], "completed");
    // What was granted is also what it has without a choice, and what is taken back is gone.
    let taken = change(
        &host,
        "hostile@0.1.0",
        &json!({ "grants": { "limits": { "memory_bytes": null, "fuel": 1000 } } }),
    )
    .await;
    assert_eq!(
        taken["grants"],
        json!({
            "parts": ["judge"], "limits": { "compute_timeout_ms": 120_000, "fuel": 1000 }, "data_files": null,
        })
    );
    let (_, starved) = host.refusal(refused_order(&host, &order("hostile", "honest"))).await;
    assert!(starved["detail"].as_str().unwrap().contains("all of its 1000 units of fuel"), "{starved:#}");

    for (grants, kind) in [
        (json!({ "limits": { "oil": 1 } }), "unknown-limit"),
        (json!({ "limits": { "fuel": 0 } }), "invalid-limit"),
        (json!({ "limits": { "memory_bytes": 5_000_000_000_u64 } }), "invalid-limit"),
        (json!({ "parts": ["boss"] }), "unknown-part"),
    ] {
        let request = patch(&host, "hostile@0.1.0", &json!({ "grants": grants }));
        assert_eq!(problem(&host, request).await, (400, kind.to_owned()), "{grants}");
    }
}

#[tokio::test]
async fn a_pinned_plugin_is_removed_by_force_alone_and_its_history_stays() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let uploaded = host.upload(&hostile_plugin()).await;
    host.upload(&second_version(data.path())).await;
    let id = host.create(&order("hostile@0.1.0", "honest")).await;
    host.ended(&id).await;
    let remove = |address: &str| host.request(Method::DELETE, &format!("/api/v1/plugins/{address}"));
    assert_eq!(problem(&host, remove("hostile@0.1.0")).await, (409, "plugin-referenced".to_owned()));
    assert_eq!(problem(&host, remove("perplexity@0.1.0?force")).await, (409, "plugin-built-in".to_owned()));

    let components = data.path().join("plugins/components");
    let component = components.join(format!("{}.wasm", uploaded["digest"].as_str().unwrap()));
    assert!(component.is_file());
    assert_eq!(remove("hostile@0.1.0?force").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(!component.exists());
    let compiled = std::fs::read_dir(data.path().join("plugins/compiled")).unwrap();
    let digest = uploaded["digest"].as_str().unwrap();
    let left =
        compiled.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(digest));
    assert_eq!(left.count(), 0);

    // The other version takes its place, and what was measured can be read.
    assert_eq!(host.get("/api/v1/plugins/hostile").await["version"], "0.2.0");
    let kept = host.get(&format!("/api/v1/benchmarks/{id}")).await;
    assert_eq!((&kept["task_status"], &kept["status"]), (&json!("removed"), &json!("completed")));
    assert_eq!(host.samples(&id).await.len(), 20);
    let refused = refused_order(&host, &order("hostile@0.1.0", "honest"));
    assert_eq!(problem(&host, refused).await, (409, "plugin-removed".to_owned()));
    let download = host.request(Method::GET, "/api/v1/plugins/hostile@0.1.0/wasm");
    assert_eq!(problem(&host, download).await, (404, "plugin-not-found".to_owned()));
    // The same content may come again; one that nothing pins goes without force.
    assert_eq!(host.upload(&hostile_plugin()).await["status"], "enabled");
    assert_eq!(
        host.ended(&host.create(&order("hostile@0.1.0", "honest")).await).await["status"],
        "completed"
    );
    let second = run(data.path(), &["plugins", "remove", "hostile@0.2.0"]);
    assert!(second.status.success(), "{}", stderr_of(&second));
    assert_eq!(problem(&host, remove("hostile@0.2.0")).await, (404, "plugin-not-found".to_owned()));
}
