use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use llm_bench_core::orchestrator::NewRescore;
use llm_bench_core::rescore::Takes;
use llm_bench_core::{Error, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::view::BenchmarkView;

/// What to judge a record by: a task or a scorer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescoreBenchmark {
    /// A task (`name` or `name@version`): asks and judges anew, answered from the recorded calls.
    #[serde(default)]
    pub task: Option<String>,
    /// A scorer (`name` or `name@version`): judges the stored solutions.
    #[serde(default)]
    pub scorer: Option<String>,
    /// Settings of the plugin. They are laid over those of the recorded benchmark where the plugin bears the name of its
    /// task.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: Row,
    /// Models for parts that a scorer asks, such as `judge`; one that the recorded benchmark bound and that is not
    /// named here is answered from the record.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
}

/// Judge anew what a benchmark recorded.
///
/// Queues a benchmark of its own that needs no model: a task is answered from the recorded calls, a scorer judges the
/// stored solutions. A sample for which the task asks what is not recorded fails as `not-recorded`. The rows have to be
/// where they were.
#[utoipa::path(post, path = "/api/v1/benchmarks/{id}/rescore", tag = "benchmarks", request_body = RescoreBenchmark,
    responses((status = 202, body = BenchmarkView), (status = "4XX", body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(body): Json<RescoreBenchmark>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], axum::Json<BenchmarkView>), Problem> {
    let (name, takes) = match (&body.task, &body.scorer) {
        (Some(task), None) => (task, Takes::Calls),
        (None, Some(scorer)) => (scorer, Takes::Solutions),
        _ => {
            let message =
                "name a `task` to be answered from the record, or a `scorer` of the stored solutions";
            return Err(Error::invalid("invalid-rescore", message).into());
        }
    };
    let mut parts = BTreeMap::new();
    for (part, model) in &body.parts {
        parts.insert(part.clone(), app.catalog.model(model).await?);
    }
    let plugin = app.plugin(&name.parse()?).await?;
    let order = NewRescore { source: id.parse()?, plugin, takes, config: body.config, parts };
    let benchmark = app.orchestrator.submit_rescore(order).await?;
    let location = format!("/api/v1/benchmarks/{}", benchmark.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(benchmark.into())))
}
