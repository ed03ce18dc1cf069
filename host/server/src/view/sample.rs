use llm_bench_core::model::{ModelRequest, ModelResponse, Timings, TokenUsage};
use llm_bench_core::sample::{
    CallOutcome, Failure, Measurement, ModelCall, Passage, Phase, SampleRecord, Solution,
};
use llm_bench_core::{ErrorKind, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One finished sample with everything that was recorded of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampleView {
    /// The row's position in its split, in decimal.
    pub id: String,
    /// `completed` or `failed`.
    pub status: String,
    pub metrics: Vec<MeasurementView>,
    pub answer: Option<String>,
    /// What the solver retrieved, best first; absent where it retrieved nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<PassageView>,
    /// The gold columns.
    #[schema(value_type = Object)]
    pub target: Json,
    /// What the solver added to its answer.
    #[schema(value_type = Object)]
    pub detail: Json,
    pub calls: Vec<CallView>,
    /// WebAssembly fuel, solving and scoring together.
    pub fuel: u64,
    pub peak_memory_bytes: u64,
    /// Calls of the host's functions, for models and for the log, solving and scoring together.
    #[serde(default)]
    pub host_calls: u32,
    pub duration_ms: f64,
    /// Whether solution, measurements or failure differ from those of the source's sample; absent where there is
    /// none to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<bool>,
    pub error: Option<FailureView>,
}

/// A retrieved text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassageView {
    pub id: String,
    pub text: String,
    /// The retriever's score: the higher, the better.
    pub score: f64,
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeasurementView {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Null where it is undefined; `reason` says why.
    pub value: Option<f64>,
    pub weight: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A model call as the host saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// The contract's function: `generate`, `log-likelihood`, ….
    pub kind: String,
    /// `solve` or `score`: what the call was made for; absent in calls that were not recorded by a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub phase: Option<Phase>,
    pub part: String,
    /// The requests of the call, in its order.
    #[schema(value_type = Vec<Object>)]
    pub request: Json,
    /// The answers, one a request; null for a call that failed.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub response: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error's stable name, such as `model-crashed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The error's kind, such as `unavailable`, which decides what the plugin is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error_kind: Option<ErrorKind>,
    /// Of an answer from the response cache: what it cost the first time.
    #[serde(default)]
    pub tokens: TokensView,
    /// Null for an answer from the response cache.
    #[serde(default)]
    pub timings: Option<TimingsView>,
    /// Whether the answer is one that was recorded before, so that the model was not asked.
    #[serde(default)]
    pub cached: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensView {
    pub prompt: u64,
    pub completion: u64,
}

/// Milliseconds of each phase.
#[expect(clippy::struct_field_names, reason = "the unit belongs to a number in JSON")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimingsView {
    pub queue_ms: f64,
    pub tokenize_ms: f64,
    pub prefill_ms: f64,
    pub decode_ms: f64,
}

/// Why a sample, or a corpus, has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// `fuel-exhausted`, `memory-limit`, `timeout`, `trap`, `plugin-error`, ….
    pub kind: String,
    /// `read`, `solve`, `score` or `aggregate`.
    #[schema(value_type = String)]
    pub phase: Phase,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// The end of what the plugin logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl From<SampleRecord> for SampleView {
    fn from(record: SampleRecord) -> Self {
        let Solution { answer, passages, detail } = record.solution.unwrap_or_default();
        Self {
            id: record.index.to_string(),
            status: if record.failure.is_some() { "failed" } else { "completed" }.to_owned(),
            metrics: record.measurements.into_iter().map(MeasurementView::from).collect(),
            answer,
            passages: passages.into_iter().map(PassageView::from).collect(),
            target: record.target.map_or(Json::Null, Json::Object),
            detail: detail.unwrap_or(Json::Null),
            calls: record.calls.into_iter().map(CallView::from).collect(),
            fuel: record.usage.fuel,
            peak_memory_bytes: record.usage.peak_memory_bytes,
            host_calls: record.usage.host_calls,
            duration_ms: record.duration_ms,
            differs: record.differs,
            error: record.failure.map(FailureView::from),
        }
    }
}

impl From<Passage> for PassageView {
    fn from(Passage { id, text, score }: Passage) -> Self {
        Self { id, text, score }
    }
}

impl From<Measurement> for MeasurementView {
    fn from(measurement: Measurement) -> Self {
        let Measurement { metric, filter, value, weight, reason } = measurement;
        Self { name: metric, filter, value, weight, reason }
    }
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        let Failure { kind, phase, message, backtrace, log } = failure;
        Self { kind: kind.as_str().to_owned(), phase, message, backtrace, log }
    }
}

impl From<ModelCall> for CallView {
    fn from(call: ModelCall) -> Self {
        let kind = call.request.kind().to_owned();
        let (response, error) = match call.outcome {
            CallOutcome::Response(response) => (response_array(&response), None),
            CallOutcome::Error { kind, code, message } => (Json::Null, Some((kind, code, message))),
        };
        let (error_kind, error_code, error) = match error {
            Some((kind, code, message)) => (Some(kind), Some(code), Some(message)),
            None => (None, None, None),
        };
        let TokenUsage { prompt, completion } = call.tokens;
        let Timings { queue_ms, tokenize_ms, prefill_ms, decode_ms } = call.timings;
        Self {
            kind,
            phase: Some(call.phase),
            part: call.part,
            request: request_array(&call.request),
            response,
            error,
            error_code,
            error_kind,
            tokens: TokensView { prompt, completion },
            timings: (!call.is_cached).then_some(TimingsView {
                queue_ms,
                tokenize_ms,
                prefill_ms,
                decode_ms,
            }),
            cached: call.is_cached,
        }
    }
}

fn request_array(request: &ModelRequest) -> Json {
    match request {
        ModelRequest::Generate(requests) => array(requests),
        ModelRequest::LogLikelihood(requests) => array(requests),
        ModelRequest::LogLikelihoodRolling(texts)
        | ModelRequest::Embed(texts)
        | ModelRequest::CountTokens(texts) => array(texts),
        ModelRequest::Rank(request) => array(std::slice::from_ref(request)),
    }
}

fn response_array(response: &ModelResponse) -> Json {
    match response {
        ModelResponse::Generate(answers) => array(answers),
        ModelResponse::LogLikelihood(answers) | ModelResponse::LogLikelihoodRolling(answers) => {
            array(answers)
        }
        ModelResponse::Embed(vectors) => array(vectors),
        ModelResponse::Rank(scores) => array(scores),
        ModelResponse::CountTokens(counts) => array(counts),
    }
}

fn array<T: Serialize>(items: &[T]) -> Json {
    items.iter().map(|item| serde_json::to_value(item).unwrap_or(Json::Null)).collect()
}
