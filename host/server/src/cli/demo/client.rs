//! The demo's view of the API: a client like any other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use llm_bench_core::{Error, Json, Result};
use reqwest::{RequestBuilder, header};
use serde::de::DeserializeOwned;

use crate::page::PageView;
use crate::problem::Problem;
use crate::view::{BenchmarkView, PluginView, SampleView, VerificationView};

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { http: reqwest::Client::new(), base: format!("http://{address}/api/v1") }
    }

    pub(super) async fn create(&self, order: &Json) -> Result<BenchmarkView> {
        send(self.http.post(format!("{}/benchmarks", self.base)).json(order)).await
    }

    /// Asks for a benchmark until it has ended.
    pub(super) async fn wait(
        &self,
        id: &str,
        mut progress: impl FnMut(&BenchmarkView),
    ) -> Result<BenchmarkView> {
        loop {
            let benchmark: BenchmarkView =
                send(self.http.get(format!("{}/benchmarks/{id}", self.base))).await?;
            progress(&benchmark);
            if !matches!(benchmark.status.as_str(), "queued" | "running") {
                return Ok(benchmark);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) async fn upload(&self, component: &Path) -> Result<PluginView> {
        let bytes = tokio::fs::read(component).await.map_err(|error| {
            Error::unavailable("plugin-missing", format!("cannot read {}: {error}", component.display()))
        })?;
        let request = self.http.post(format!("{}/plugins", self.base));
        send(request.header(header::CONTENT_TYPE, "application/wasm").body(bytes)).await
    }

    /// Scores the stored solutions of a benchmark again.
    pub(super) async fn verify(&self, id: &str) -> Result<VerificationView> {
        send(self.http.post(format!("{}/benchmarks/{id}/verify", self.base))).await
    }

    /// Kind and message of the first sample that failed.
    pub(super) async fn first_failure(&self, id: &str) -> Result<Option<(String, String)>> {
        let samples: PageView<SampleView> =
            send(self.http.get(format!("{}/benchmarks/{id}/samples", self.base))).await?;
        let failure = samples.items.into_iter().find_map(|sample| sample.error);
        Ok(failure.map(|failure| (failure.kind, failure.message)))
    }
}

async fn send<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    let failed =
        |error: reqwest::Error| Error::internal("demo-failed", format!("the host did not answer: {error}"));
    let response = request.send().await.map_err(failed)?;
    if response.status().is_success() {
        return response.json().await.map_err(failed);
    }
    let problem: Problem = response.json().await.map_err(failed)?;
    Err(Error::internal("demo-failed", problem.detail))
}
