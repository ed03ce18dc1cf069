//! The imports of the contract: models and the log.

use llm_bench_core::model::{ModelRequest, ModelResponse, RankRequest};
use llm_bench_core::sample::FailureKind;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::budget::Ended;
use super::state::{GuestState, OpenModel};
use super::wasi;
use crate::bindings::Host_;
use crate::bindings::llm_bench::plugin::types::{Error, ErrorCode};
use crate::bindings::llm_bench::plugin::{data_files, logging, models, types};
use crate::convert::{lift, lower};

/// What a guest is told, within what ends it.
type Told<T> = wasmtime::Result<Result<T, Error>>;

/// Longest name of a part; a longer one is nobody's.
const PART_BYTES: usize = 64;

/// Everything that a plugin may import.
///
/// # Errors
/// `internal` when a name is linked twice.
pub(crate) fn linker(engine: &Engine) -> llm_bench_core::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)
        .and_then(|()| Host_::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state))
        .map_err(|error| {
            llm_bench_core::Error::internal("sandbox-engine", format!("cannot link: {error:#}"))
        })?;
    Ok(linker)
}

impl types::Host for GuestState {}

impl logging::Host for GuestState {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        self.budget.count_call()?;
        self.log.append(format!("[{}] {message}\n", lift::level(level)).as_bytes());
        Ok(())
    }
}

impl data_files::Host for GuestState {
    async fn size(&mut self, name: String) -> Told<u64> {
        self.budget.count_call()?;
        Ok(self.clock.rest(self.files.size(&name)).await)
    }

    async fn read(&mut self, name: String, offset: u64, length: u32) -> Told<Vec<u8>> {
        self.budget.count_call()?;
        let bytes = self.clock.rest(self.files.read(&name, offset, length)).await;
        self.budget.count_data(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))?;
        Ok(bytes)
    }
}

impl models::Host for GuestState {
    async fn open(&mut self, part: String) -> Told<Resource<OpenModel>> {
        self.budget.count_call()?;
        if part.len() > PART_BYTES {
            let message = format!("no part has a name of {} bytes", part.len());
            return Ok(Err(Error { code: ErrorCode::Denied, message, detail: None }));
        }
        let opened = self.clock.wait_for_model(self.models.open(&part)).await;
        if let Err(error) = opened {
            return Ok(Err(error));
        }
        self.budget.model_opened()?;
        Ok(Ok(self.table.push(OpenModel { part })?))
    }
}

impl models::HostModel for GuestState {
    async fn generate(
        &mut self,
        model: Resource<OpenModel>,
        requests: Vec<models::GenerationRequest>,
    ) -> Told<Vec<models::Generation>> {
        let request = ModelRequest::Generate(requests.into_iter().map(lift::generation_request).collect());
        self.ask(model, request, |response| match response {
            ModelResponse::Generate(list) => Some(list.into_iter().map(lower::generation).collect()),
            _ => None,
        })
        .await
    }

    async fn log_likelihood(
        &mut self,
        model: Resource<OpenModel>,
        requests: Vec<models::ScoringRequest>,
    ) -> Told<Vec<models::LogLikelihood>> {
        let request = ModelRequest::LogLikelihood(requests.into_iter().map(lift::scoring_request).collect());
        self.ask(model, request, |response| match response {
            ModelResponse::LogLikelihood(list) => Some(list.into_iter().map(lower::log_likelihood).collect()),
            _ => None,
        })
        .await
    }

    async fn log_likelihood_rolling(
        &mut self,
        model: Resource<OpenModel>,
        texts: Vec<String>,
    ) -> Told<Vec<models::LogLikelihood>> {
        self.ask(model, ModelRequest::LogLikelihoodRolling(texts), |response| match response {
            ModelResponse::LogLikelihoodRolling(list) => {
                Some(list.into_iter().map(lower::log_likelihood).collect())
            }
            _ => None,
        })
        .await
    }

    async fn embed(&mut self, model: Resource<OpenModel>, texts: Vec<String>) -> Told<Vec<Vec<f32>>> {
        self.ask(model, ModelRequest::Embed(texts), |response| match response {
            ModelResponse::Embed(vectors) => Some(vectors),
            _ => None,
        })
        .await
    }

    async fn rank(
        &mut self,
        model: Resource<OpenModel>,
        query: String,
        documents: Vec<String>,
    ) -> Told<Vec<f32>> {
        self.ask(model, ModelRequest::Rank(RankRequest { query, documents }), |response| match response {
            ModelResponse::Rank(scores) => Some(scores),
            _ => None,
        })
        .await
    }

    async fn count_tokens(&mut self, model: Resource<OpenModel>, texts: Vec<String>) -> Told<Vec<u32>> {
        self.ask(model, ModelRequest::CountTokens(texts), |response| match response {
            ModelResponse::CountTokens(counts) => Some(counts),
            _ => None,
        })
        .await
    }

    fn drop(&mut self, model: Resource<OpenModel>) -> wasmtime::Result<()> {
        self.table.delete(model)?;
        self.budget.model_closed();
        Ok(())
    }
}

impl GuestState {
    /// Asks the model behind a handle; `take` picks the answers of the request's kind.
    async fn ask<T>(
        &mut self,
        model: Resource<OpenModel>,
        request: ModelRequest,
        take: impl FnOnce(ModelResponse) -> Option<Vec<T>>,
    ) -> Told<Vec<T>> {
        self.budget.count_call()?;
        self.budget.count_request(&request)?;
        let part = self.table.get(&model)?.part.clone();
        let (kind, expected) = (request.kind(), request.len());
        let answer = self.models.call(&part, request, self.cancel.clone());
        match self.clock.wait_for_model(answer).await {
            Ok(response) => match take(response) {
                Some(answers) if answers.len() == expected => Ok(Ok(answers)),
                _ => Err(Ended {
                    kind: FailureKind::Internal,
                    message: format!(
                        "the model of `{part}` did not answer each of {expected} `{kind}` requests"
                    ),
                }
                .into()),
            },
            Err(error) => Ok(Err(error)),
        }
    }
}
