use axum::extract::State;

use crate::app::App;
use crate::extract::Path;
use crate::problem::Problem;
use crate::view::VerificationView;

/// Score the stored solutions of a benchmark again: with their own gold answers, with those of other samples, and blank.
///
/// No model is asked. The answer comes when all is scored, and is kept; a client that leaves before ends the work.
#[utoipa::path(post, path = "/api/v1/benchmarks/{id}/verify", tag = "benchmarks",
    responses((status = 200, body = VerificationView), (status = "4XX", body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<VerificationView>, Problem> {
    Ok(axum::Json(app.orchestrator.verify(id.parse()?).await?.into()))
}

/// The last verification of a benchmark.
#[utoipa::path(get, path = "/api/v1/benchmarks/{id}/verify", tag = "benchmarks",
    responses((status = 200, body = VerificationView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<VerificationView>, Problem> {
    Ok(axum::Json(app.orchestrator.verification(id.parse()?).await?.into()))
}
