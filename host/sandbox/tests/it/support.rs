//! What the tests share: a sandbox with a real compiling child, real plugins, scripted models.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use llm_bench_core::limits::{Budget, Limits};
use llm_bench_core::model::{FinishReason, Generation, LogLikelihood, ModelRequest, ModelResponse};
use llm_bench_core::plugin::{GuestCall, LoadedPlugin, ModelAccess, Sandbox};
use llm_bench_core::sample::{Context, Sample};
use llm_bench_core::{Error, Json, Result, Row};
use llm_bench_sandbox::{CompileLimits, CompilerCommand, Isolation, SandboxConfig, WasmSandbox};
use tokio_util::sync::CancellationToken;

/// A plugin as `cargo xtask layout` lays it out.
pub(crate) fn plugin(name: &str) -> PathBuf {
    // <target>/<profile>/deps/<this test>
    let test = std::env::current_exe().unwrap();
    let share = test.ancestors().nth(3).unwrap().join("share/llm-bench");
    let folder = if ["cheater", "hostile"].contains(&name) { "demo" } else { "plugins" };
    let component = share.join(folder).join(format!("{name}.wasm"));
    assert!(component.exists(), "{} is missing: run `cargo xtask layout` first", component.display());
    component
}

pub(crate) fn compiler() -> CompilerCommand {
    CompilerCommand {
        program: env!("CARGO_BIN_EXE_llm-bench-compile-plugin").into(),
        arguments: vec![],
        limits: CompileLimits::default(),
    }
}

pub(crate) fn sandbox_with(folder: &Path, compiler: CompilerCommand) -> WasmSandbox {
    let config = SandboxConfig {
        folder: folder.to_owned(),
        compiler,
        concurrency: 4,
        max_component_bytes: 64 << 20,
        max_data_bytes: 4 << 20,
        max_memory_bytes: 256 << 20,
        isolation: Isolation::InProcess,
    };
    WasmSandbox::open(config).unwrap()
}

/// A sandbox whose folder outlives the test, so that a plugin is compiled once for all of them.
pub(crate) fn sandbox() -> WasmSandbox {
    sandbox_with(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"), compiler())
}

/// A plugin in a sandbox of its own.
pub(crate) async fn load(name: &str) -> Arc<dyn LoadedPlugin> {
    let sandbox = sandbox();
    let digest = sandbox.admit(&plugin(name)).await.unwrap().digest;
    sandbox.load(&digest, None).await.unwrap()
}

/// Models whose answers follow from the request; remembers what it was asked.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) parts: Vec<&'static str>,
    pub(crate) asked: Mutex<Vec<(String, ModelRequest)>>,
    /// Fails every call.
    pub(crate) broken: Option<Error>,
    /// Answers no call.
    pub(crate) silent: bool,
}

impl Scripted {
    pub(crate) fn subject() -> Arc<Self> {
        Arc::new(Self { parts: vec!["subject"], ..Self::default() })
    }
}

#[async_trait]
impl ModelAccess for Scripted {
    fn open(&self, part: &str) -> Result<()> {
        if self.parts.contains(&part) {
            return Ok(());
        }
        Err(Error::denied("denied", format!("no model plays `{part}` in this call")))
    }

    async fn call(&self, part: &str, request: ModelRequest, _: CancellationToken) -> Result<ModelResponse> {
        self.asked.lock().unwrap().push((part.to_owned(), request.clone()));
        if self.silent {
            std::future::pending::<()>().await;
        }
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        // The shorter a text, the likelier.
        let likelihood =
            |text: &String| LogLikelihood { sum: -(text.len() as f64), is_greedy: false, tokens: 1 };
        Ok(match request {
            ModelRequest::Generate(requests) => ModelResponse::Generate(
                requests
                    .iter()
                    .map(|_| Generation {
                        text: "Paris".into(),
                        finish_reason: FinishReason::Stop,
                        prompt_tokens: 3,
                        completion_tokens: 1,
                    })
                    .collect(),
            ),
            ModelRequest::LogLikelihood(requests) => ModelResponse::LogLikelihood(
                requests.iter().map(|request| likelihood(&request.continuation)).collect(),
            ),
            ModelRequest::LogLikelihoodRolling(texts) => {
                ModelResponse::LogLikelihoodRolling(texts.iter().map(likelihood).collect())
            }
            ModelRequest::Embed(texts) => ModelResponse::Embed(vec![vec![1.0]; texts.len()]),
            ModelRequest::Rank(request) => ModelResponse::Rank(vec![0.5; request.documents.len()]),
            ModelRequest::CountTokens(texts) => ModelResponse::CountTokens(vec![1; texts.len()]),
        })
    }
}

/// A call under small budgets.
pub(crate) fn call(config: Json, models: Arc<dyn ModelAccess>) -> GuestCall {
    GuestCall {
        context: Arc::new(Context { config, examples: vec![], seed: 7 }),
        limits: Limits::of(Budget::Small),
        seed: 1,
        models,
        cancel: CancellationToken::new(),
    }
}

pub(crate) fn row(json: Json) -> Row {
    match json {
        Json::Object(row) => row,
        other => panic!("{other} is no row"),
    }
}

pub(crate) fn sample(input: Json) -> Sample {
    Sample { index: 3, input: row(input), repeat: 0 }
}
