use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use jiff::Timestamp;
use llm_bench_core::Row;
use llm_bench_core::benchmark::{BenchmarkFilter, FewShotSampling, SampleCursor, Status};
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::limits::Budget;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::order::{LimitChoices, OrderRequest};
use crate::page::{PageQuery, PageView};
use crate::preset::FewShotChoices;
use crate::problem::Problem;
use crate::view::{BenchmarkView, ReadingView, SampleView};

/// What to measure.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBenchmark {
    /// A registered model.
    pub model: String,
    /// A plugin (`name` or `name@version`) or a preset.
    pub task: String,
    /// A registered dataset; a preset may bring its own.
    #[serde(default)]
    pub dataset: Option<String>,
    /// The split to evaluate; unless given the preset's, else `test`, else `validation`, else the first.
    #[serde(default)]
    pub split: Option<String>,
    /// At most so many rows, from the first.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Solved examples before each question; unless given the preset's, else 0.
    #[serde(default)]
    pub few_shot: Option<u32>,
    /// The split that examples come from; unless given the preset's, else `train`.
    #[serde(default)]
    pub few_shot_split: Option<String>,
    /// `first`: the first rows, or `random`: rows drawn for each question, as lm-evaluation-harness draws them from
    /// `seed`; unless given the preset's, else `first`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub few_shot_sampling: Option<FewShotSampling>,
    /// Whether rows that equal the evaluated one are left out of its examples; unless given the preset's, else where
    /// both come from one split.
    #[serde(default)]
    pub few_shot_exclude_evaluated: Option<bool>,
    /// Columns that the task knows by another name: that name, and the dataset's column. They come before the
    /// preset's of the same name.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Whether to ask by the model's chat template; unless given the preset's, else what `config` says.
    #[serde(default)]
    pub chat: Option<bool>,
    /// Instructions to the model, before everything; unless given the preset's, else what `config` says.
    #[serde(default)]
    pub system: Option<String>,
    /// The task's settings; its `config_schema` says which. They come before the preset's of the same name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: Row,
    /// Further models by part, such as `judge`.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
    /// 1234 unless given.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Samples in flight at once, 1 to 256; 16 unless given.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// `small`, `normal` (unless given) or `large`: what one sample of the task may use.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub budget: Option<Budget>,
    /// WebAssembly fuel of a sample, instead of the budget's. An uploaded plugin gets no more than the host's default,
    /// or what it was granted; so with the other limits.
    #[serde(default)]
    pub fuel: Option<u64>,
    /// Memory of a sample in MiB, instead of the budget's.
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// Seconds a sample may compute, instead of the budget's.
    #[serde(default)]
    pub timeout_s: Option<u64>,
    /// The share of samples, 0 to 1, that may fail before the benchmark does; 0.1 unless given.
    #[serde(default)]
    pub max_failed: Option<f64>,
    /// Whether a model call that was recorded before may be answered from its record, without the model; so unless
    /// false. Such answers are marked; with one of them, rates and power are null.
    #[serde(default)]
    pub response_cache: Option<bool>,
}

impl From<CreateBenchmark> for OrderRequest {
    fn from(body: CreateBenchmark) -> Self {
        Self {
            task: body.task,
            dataset: body.dataset,
            split: body.split,
            limit: body.limit,
            few_shot: FewShotChoices {
                count: body.few_shot,
                split: body.few_shot_split,
                sampling: body.few_shot_sampling,
                exclude_evaluated: body.few_shot_exclude_evaluated,
            },
            columns: body.columns,
            chat: body.chat,
            system: body.system,
            config: body.config,
            seed: body.seed,
            concurrency: body.concurrency,
            limits: LimitChoices {
                budget: body.budget,
                fuel: body.fuel,
                memory_mib: body.memory_mib,
                timeout_s: body.timeout_s,
            },
            max_failed: body.max_failed,
            response_cache: body.response_cache,
        }
    }
}

/// Queue a benchmark.
#[utoipa::path(post, path = "/api/v1/benchmarks", tag = "benchmarks", request_body = CreateBenchmark,
    responses((status = 202, body = BenchmarkView), (status = "4XX", body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Json(body): Json<CreateBenchmark>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], axum::Json<BenchmarkView>), Problem> {
    let order = app.registered_order(&body.model.clone(), &body.parts.clone(), body.into()).await?;
    let benchmark = app.orchestrator.submit(order).await?;
    let location = format!("/api/v1/benchmarks/{}", benchmark.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(benchmark.into())))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only those of this status.
    status: Option<String>,
    /// Only those whose task is the component with this SHA-256.
    task_digest: Option<String>,
    /// `next` of the page before; the first page without it.
    cursor: Option<String>,
    /// Items of a page, 1 to 1000; 50 unless given.
    limit: Option<u32>,
}

/// Benchmarks, newest first.
#[utoipa::path(get, path = "/api/v1/benchmarks", tag = "benchmarks", params(ListQuery),
    responses((status = 200, body = PageView<BenchmarkView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<PageView<BenchmarkView>>, Problem> {
    let page = PageQuery { cursor: query.cursor, limit: query.limit };
    let status: Option<Status> = query.status.as_deref().map(str::parse).transpose()?;
    let filter = BenchmarkFilter { status, task_digest: query.task_digest };
    let after = page.after(|text| text.parse::<BenchmarkId>().ok())?;
    let found = app.benchmarks.list(&filter, after, page.limit()?).await?;
    Ok(axum::Json(PageView {
        items: found.items.into_iter().map(BenchmarkView::from).collect(),
        next: found.next.map(|id| id.to_string()),
    }))
}

/// One benchmark with its progress and, once it has ended, its metrics.
#[utoipa::path(get, path = "/api/v1/benchmarks/{id}", tag = "benchmarks",
    responses((status = 200, body = BenchmarkView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<BenchmarkView>, Problem> {
    Ok(axum::Json(app.orchestrator.find(id.parse()?).await?.into()))
}

/// Ask for the end of a benchmark. What is finished of it is kept.
#[utoipa::path(post, path = "/api/v1/benchmarks/{id}/cancel", tag = "benchmarks",
    responses((status = 202, body = BenchmarkView), (status = "4XX", body = Problem)))]
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<BenchmarkView>), Problem> {
    let benchmark = app.orchestrator.cancel(id.parse()?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(benchmark.into())))
}

/// Finished samples with their model calls, in dataset order.
#[utoipa::path(get, path = "/api/v1/benchmarks/{id}/samples", tag = "benchmarks", params(PageQuery),
    responses((status = 200, body = PageView<SampleView>), (status = "4XX", body = Problem)))]
pub(super) async fn samples(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<SampleView>>, Problem> {
    let benchmark = app.orchestrator.find(id.parse()?).await?;
    let after = page.after(parse_sample_cursor)?;
    let found = app.benchmarks.samples(benchmark.id, after, page.limit()?).await?;
    Ok(axum::Json(PageView {
        items: found.items.into_iter().map(SampleView::from).collect(),
        next: found.next.map(|(index, repeat)| format!("{index}.{repeat}")),
    }))
}

/// Readings of the hardware taken while a benchmark ran, in order.
#[utoipa::path(get, path = "/api/v1/benchmarks/{id}/hardware", tag = "benchmarks", params(PageQuery),
    responses((status = 200, body = PageView<ReadingView>), (status = "4XX", body = Problem)))]
pub(super) async fn hardware(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<ReadingView>>, Problem> {
    let benchmark = app.orchestrator.find(id.parse()?).await?;
    let after = page.after(|text| text.parse::<Timestamp>().ok())?;
    let found = app.benchmarks.hardware(benchmark.id, after, page.limit()?).await?;
    Ok(axum::Json(PageView {
        items: found.items.into_iter().map(ReadingView::from).collect(),
        next: found.next.map(|at| at.to_string()),
    }))
}

fn parse_sample_cursor(text: &str) -> Option<SampleCursor> {
    let (index, repeat) = text.split_once('.')?;
    Some((index.parse().ok()?, repeat.parse().ok()?))
}
