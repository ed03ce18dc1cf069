//! A host as its users meet it: a process that listens.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::program;

pub(crate) struct Host {
    process: Child,
    base: String,
    http: reqwest::Client,
}

impl Host {
    /// Starts `llm-bench serve` on a free port and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// As [`Self::start`], with further options.
    pub(crate) fn start_with(data: &Path, options: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", data, options)
    }

    /// As [`Self::start_with`], on an address.
    pub(crate) fn start_on(listen: &str, data: &Path, options: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args(["serve", "--listen", listen])
            .args(options)
            .env("LLM_BENCH_DATA_DIR", data)
            .env("LLM_BENCH_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the host says something");
        let address =
            line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("the host said {line:?}"));
        Self { process, base: address.to_owned(), http: reqwest::Client::new() }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Such as `http://127.0.0.1:1234`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// The JSON at an address, which must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.expect("the host answers");
        let status = response.status();
        let body: Value = response.json().await.expect("the answer is JSON");
        assert_eq!(status, StatusCode::OK, "{path}: {body:#}");
        body
    }

    /// Status and problem document of a request that must be refused.
    pub(crate) async fn refusal(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.expect("the host answers");
        let status = response.status();
        let kind = response.headers().get("content-type").cloned();
        let text = response.text().await.expect("the answer is text");
        assert_eq!(
            kind.as_ref().and_then(|kind| kind.to_str().ok()),
            Some("application/problem+json"),
            "{text}"
        );
        (status, serde_json::from_str(&text).expect("the problem is JSON"))
    }

    /// Queues a benchmark and gives its id.
    pub(crate) async fn create(&self, order: &Value) -> String {
        let request = self.request(Method::POST, "/api/v1/benchmarks").json(order);
        let response = request.send().await.expect("the host answers");
        let status = response.status();
        let location = response.headers().get("location").cloned();
        let body: Value = response.json().await.expect("the answer is JSON");
        assert_eq!(status, StatusCode::ACCEPTED, "{body:#}");
        let id = body["id"].as_str().expect("a benchmark has an id").to_owned();
        assert_eq!(
            location.as_ref().and_then(|location| location.to_str().ok()),
            Some(format!("/api/v1/benchmarks/{id}").as_str())
        );
        id
    }

    /// Asks for a benchmark until `wanted` holds.
    pub(crate) async fn wait_until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            let benchmark = self.get(&format!("/api/v1/benchmarks/{id}")).await;
            if wanted(&benchmark) {
                return benchmark;
            }
            let has_ended = benchmark["finished_at"].is_string();
            assert!(!has_ended, "it ended without what is waited for: {benchmark:#}");
            pause.tick().await;
        }
    }

    /// The benchmark once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.wait_until(id, |benchmark| !matches!(benchmark["status"].as_str(), Some("queued" | "running")))
            .await
    }

    /// All samples of a benchmark, a page at a time.
    pub(crate) async fn samples(&self, id: &str) -> Vec<Value> {
        let mut samples = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/benchmarks/{id}/samples?limit=7{cursor}")).await;
            samples.extend(page["items"].as_array().expect("a page has items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return samples,
            }
        }
    }

    pub(crate) async fn upload(&self, component: &Path) -> Value {
        let bytes = std::fs::read(component)
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask layout`", component.display()));
        let request =
            self.request(Method::POST, "/api/v1/plugins").header("content-type", "application/wasm");
        let response = request.body(bytes).send().await.expect("the host answers");
        let status = response.status();
        let body: Value = response.json().await.expect("the answer is JSON");
        assert_eq!(status, StatusCode::CREATED, "{body:#}");
        body
    }

    /// Ends the process at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("the host can be killed");
        self.process.wait().expect("the host ends");
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill starts");
        assert!(sent.success());
        self.process.wait().expect("the host ends")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A host that ended already cannot be killed again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
