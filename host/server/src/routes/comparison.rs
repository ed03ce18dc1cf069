use axum::extract::State;
use llm_bench_core::comparison;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::view::ComparisonView;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ComparisonQuery {
    /// The id of the second benchmark.
    with: String,
}

/// Hold a benchmark against another over the same data, sample by sample.
///
/// Both must have ended. Differences are those of the second (`with`) from the first, with paired standard errors.
#[utoipa::path(get, path = "/api/v1/benchmarks/{id}/comparison", tag = "benchmarks", params(ComparisonQuery),
    responses((status = 200, body = ComparisonView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<ComparisonQuery>,
) -> Result<axum::Json<ComparisonView>, Problem> {
    let first = app.orchestrator.find(id.parse()?).await?;
    let second = app.orchestrator.find(query.with.parse()?).await?;
    let compared = comparison::compare(&*app.benchmarks, &first, &second).await?;
    Ok(axum::Json(ComparisonView::new(first, second, compared)))
}
