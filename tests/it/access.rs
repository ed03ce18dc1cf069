//! Who may do what: tokens, their roles, and the audit of changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, hostile_plugin, json_of, program, run, stderr_of};

/// Makes a token on the command line and gives its text.
fn token(data: &Path, name: &str, role: &str) -> String {
    let created = json_of(&run(data, &["tokens", "create", name, "--role", role, "--format", "json"]));
    assert_eq!((&created["name"], &created["role"]), (&json!(name), &json!(role)));
    created["secret"].as_str().unwrap().to_owned()
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn every_address_of_the_api_asks_for_its_role() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let document = host.get("/openapi.json").await;
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let roles = ["viewer", "runner", "admin"];
    let secrets: BTreeMap<_, _> = roles.map(|role| (role, token(data.path(), role, role))).into();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if path == "/api/v1/health" {
                assert_eq!(document["paths"][path]["get"]["security"], json!([{}]));
                assert_eq!(status(host.request(method, path)).await, StatusCode::OK);
                continue;
            }
            let needed = match (method.as_str(), path.split('/').nth(3).unwrap()) {
                (_, "tokens" | "audit") => 2,
                ("GET", _) => 0,
                (_, "plugins" | "blocked-plugins") => 2,
                (_, "benchmarks" | "models" | "datasets") => 1,
                other => panic!("say here which role {other:?} needs"),
            };
            // Nothing has such a name, so whoever may ask learns that, and nothing is changed.
            let address = path.replace(['{', '}'], "");
            let (code, problem) = host.refusal(host.request(method.clone(), &address)).await;
            assert_eq!(
                (code, &problem["type"]),
                (StatusCode::UNAUTHORIZED, &json!("authentication-required"))
            );
            for (held, role) in roles.iter().enumerate() {
                let request = host.request(method.clone(), &address).bearer_auth(&secrets[role]);
                let code = status(request).await;
                let is_refused = matches!(code, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
                assert_eq!(is_refused, held < needed, "{method} {path} with {role}: {code}");
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

#[tokio::test]
async fn tokens_are_made_used_revoked_and_audited() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    // On a loopback address the API is open until there is a token.
    host.upload(&hostile_plugin()).await;
    let request =
        host.request(Method::POST, "/api/v1/tokens").json(&json!({"name": "boss", "role": "admin"}));
    let created: Value = request.send().await.unwrap().json().await.unwrap();
    let boss = created["secret"].as_str().unwrap();
    assert_eq!(boss.len(), "llmb_".len() + 64);

    let ask = |secret: &str| host.request(Method::GET, "/api/v1/tokens").bearer_auth(secret);
    let listed: Value = ask(boss).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["items"][0]["name"], "boss");
    assert!(!listed.to_string().contains(boss), "a token's text is shown once");
    let again = host.request(Method::POST, "/api/v1/tokens").bearer_auth(boss);
    let (code, problem) = host.refusal(again.json(&json!({"name": "boss", "role": "viewer"}))).await;
    assert_eq!((code, &problem["type"]), (StatusCode::CONFLICT, &json!("token-exists")));
    let unknown = host.request(Method::POST, "/api/v1/tokens").bearer_auth(boss);
    let (_, problem) = host.refusal(unknown.json(&json!({"name": "x", "role": "root"}))).await;
    assert_eq!(problem["type"], "invalid-role");
    let (code, problem) = host.refusal(ask(&format!("llmb_{}", "0".repeat(64)))).await;
    assert_eq!((code, &problem["type"]), (StatusCode::UNAUTHORIZED, &json!("token-unknown")));

    let answer = host.request(Method::DELETE, "/api/v1/tokens/boss").bearer_auth(boss).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let (code, problem) = host.refusal(ask(boss)).await;
    assert_eq!((code, &problem["type"]), (StatusCode::UNAUTHORIZED, &json!("token-revoked")));
    let challenge = ask(boss).send().await.unwrap();
    assert_eq!(challenge.headers()["www-authenticate"], "Bearer");
    // The last token is gone, and the API stays closed.
    let (code, _) = host.refusal(host.request(Method::GET, "/api/v1/models")).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);

    let boss = token(data.path(), "boss", "admin");
    let audit = host.request(Method::GET, "/api/v1/audit?limit=3").bearer_auth(&boss).send().await.unwrap();
    let page: Value = audit.json().await.unwrap();
    let entry = |entry: &Value| format!("{} {} {}", entry["actor"], entry["action"], entry["subject"]);
    let entries: Vec<_> = page["items"].as_array().unwrap().iter().map(entry).collect();
    assert_eq!(
        entries,
        [
            r#""command line" "create-token" "boss""#,
            r#""token boss" "revoke-token" "boss""#,
            r#""loopback, without a token" "create-token" "boss""#,
        ]
    );
    let rest = format!("/api/v1/audit?cursor={}", page["next"].as_str().unwrap());
    let rest = host.request(Method::GET, &rest).bearer_auth(&boss).send().await.unwrap();
    let rest: Value = rest.json().await.unwrap();
    assert_eq!((&rest["items"][0]["action"], &rest["next"]), (&json!("upload-plugin"), &Value::Null));

    let listed = json_of(&run(data.path(), &["audit", "list", "--format", "json"]));
    assert_eq!(listed.as_array().unwrap().len(), 4);
    let refused = run(data.path(), &["tokens", "revoke", "nobody"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr_of(&refused).contains("there is no token `nobody`"));
}

#[tokio::test]
async fn beyond_this_machine_the_first_start_shows_a_token_and_later_ones_do_not() {
    let data = tempfile::tempdir().unwrap();
    let start = || {
        let host = Host::start_on("0.0.0.0:0", data.path(), &[]);
        let answer = host.request(Method::GET, "/api/v1/models");
        (host, answer)
    };
    let first = first_words(data.path());
    let secret = first.lines().find_map(|line| line.trim().strip_prefix("llmb_")).expect("a token is shown");
    let (host, anonymous) = start();
    assert_eq!(status(anonymous).await, StatusCode::UNAUTHORIZED);
    let request = host.request(Method::GET, "/api/v1/tokens").bearer_auth(format!("llmb_{secret}"));
    assert_eq!(status(request).await, StatusCode::OK);
    host.kill();
    assert!(!first_words(data.path()).contains("llmb_"));
}

/// What a server says to standard error until it is told to end.
fn first_words(data: &Path) -> String {
    let mut server = Command::new(program())
        .args(["serve", "--listen", "0.0.0.0:0"])
        .env("LLM_BENCH_DATA_DIR", data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = server.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert!(line.starts_with("listening on"), "{line:?}");
    server.kill().unwrap();
    stderr_of(&server.wait_with_output().unwrap())
}
