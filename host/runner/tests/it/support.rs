//! Models, the library, and short forms of requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use llm_bench_core::model::{
    Generation, GenerationRequest, LoadedModel, LogLikelihood, Model, ModelAnswer, ModelRequest,
    ModelResponse, ModelRunner, Origin, Prompt, Sampling, ScoringRequest,
};
use llm_bench_core::{Json, Result};
use llm_bench_runner::{Execution, OnnxRunner, RunnerConfig};
use tokio_util::sync::CancellationToken;

/// Models in single precision, as every exporter writes them.
pub(crate) const FIXTURES: [&str; 10] = [
    "gpt2",
    "gpt2-without-positions",
    "gpt2-without-cache",
    "llama",
    "llama-without-positions",
    "llama-cache-position",
    "llama-merged",
    "qwen2",
    "mistral",
    "genai-llama",
];

pub(crate) const HALF_PRECISION: [&str; 4] =
    ["llama-float16", "genai-llama-float16", "genai-llama-float16-cpu", "genai-llama-float16-cpu-shared"];

pub(crate) const QUANTISED: [&str; 2] = ["llama-int8", "genai-llama-int4"];

/// `lib/libonnxruntime.so` of the folder that holds this test's build.
pub(crate) fn library() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    executable
        .ancestors()
        .map(|folder| folder.join("lib").join(&name))
        .find(|library| library.is_file())
        .unwrap_or_else(|| panic!("no lib/{name} beside the build: run `cargo xtask layout` first"))
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn expected(name: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(fixture(name).join("expected.json")).unwrap()).unwrap()
}

/// A copy of a fixture that a test may break.
pub(crate) fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

pub(crate) fn runner(execution: Execution) -> OnnxRunner {
    OnnxRunner::new(RunnerConfig { threads: Some(1), execution, ..RunnerConfig::new(library()) })
}

pub(crate) async fn load(path: &Path, runner: &OnnxRunner) -> Result<Loaded> {
    let facts = runner.inspect(path).await?;
    let model = Model { name: "tested".to_owned(), origin: Origin::Path, path: path.to_owned(), facts };
    Ok(Loaded { model: runner.load(&model).await? })
}

/// A fixture in batches, with what requests share computed once.
pub(crate) async fn loaded(name: &str) -> Loaded {
    load(&fixture(name), &runner(Execution::Shared)).await.unwrap()
}

/// A fixture in batches that share nothing.
pub(crate) async fn loaded_unshared(name: &str) -> Loaded {
    load(&fixture(name), &runner(Execution::Unshared)).await.unwrap()
}

/// A fixture that runs each row alone and whole, on the graph as it stands.
pub(crate) async fn loaded_row_by_row(name: &str) -> Loaded {
    load(&fixture(name), &runner(Execution::Reference)).await.unwrap()
}

pub(crate) struct Loaded {
    pub(crate) model: Arc<dyn LoadedModel>,
}

impl Loaded {
    pub(crate) async fn ask(&self, request: ModelRequest) -> Result<ModelAnswer> {
        self.model.answer(request, CancellationToken::new()).await
    }

    pub(crate) async fn score(&self, requests: Vec<ScoringRequest>) -> Result<Vec<LogLikelihood>> {
        match self.ask(ModelRequest::LogLikelihood(requests)).await?.response {
            ModelResponse::LogLikelihood(answers) => Ok(answers),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn roll(&self, texts: &[&str]) -> Result<Vec<LogLikelihood>> {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        match self.ask(ModelRequest::LogLikelihoodRolling(texts)).await?.response {
            ModelResponse::LogLikelihoodRolling(answers) => Ok(answers),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn generate(&self, requests: Vec<GenerationRequest>) -> Result<Vec<Generation>> {
        match self.ask(ModelRequest::Generate(requests)).await?.response {
            ModelResponse::Generate(answers) => Ok(answers),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn count(&self, text: &str) -> u32 {
        match self.ask(ModelRequest::CountTokens(vec![text.to_owned()])).await.unwrap().response {
            ModelResponse::CountTokens(counts) => counts[0],
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn pair(context: &str, continuation: &str) -> ScoringRequest {
    ScoringRequest {
        context: Prompt::Text(context.to_owned()),
        continuation: continuation.to_owned(),
        extra: Vec::new(),
    }
}

pub(crate) fn greedy(prompt: &str, max_tokens: u32, stop: &[&str]) -> GenerationRequest {
    let stop = stop.iter().map(|&stop| stop.to_owned()).collect();
    let sampling =
        Sampling { max_tokens: Some(max_tokens), temperature: Some(0.0), stop, ..Sampling::default() };
    GenerationRequest { prompt: Prompt::Text(prompt.to_owned()), sampling }
}

/// Prompts of different length, so that a batch of them is padded.
pub(crate) const PROMPTS: [&str; 5] = [
    "The quick brown fox jumps over",
    "She",
    "Question: what is three plus one? Answer:",
    "Paris is the capital of France. Berlin is",
    "a b c",
];
