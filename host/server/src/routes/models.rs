use axum::extract::State;
use axum::http::StatusCode;
use llm_bench_core::model::Model;
use llm_bench_core::orchestrator::{ModelState, Residence};

use crate::app::App;
use crate::extract::{Path, Query};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::view::ModelView;

/// The registered models, ordered by name.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", params(PageQuery),
    responses((status = 200, body = PageView<ModelView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<ModelView>>, Problem> {
    let models = app.catalog.models.list().await?;
    Ok(axum::Json(page.cut(models, |model| model.name.clone(), |model| as_it_is(&app, model))?))
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{name}", tag = "models",
    responses((status = 200, body = ModelView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<ModelView>, Problem> {
    let model = app.catalog.model(&name).await?;
    Ok(axum::Json(as_it_is(&app, model)))
}

/// Load a model before a benchmark asks for it. 202: it is being loaded; its `state` and `load_error` tell how that
/// goes. Models that no benchmark uses make room.
#[utoipa::path(post, path = "/api/v1/models/{name}/load", tag = "models",
    responses((status = 200, body = ModelView, description = "It is loaded already"),
        (status = 202, body = ModelView), (status = "4XX", body = Problem)))]
pub(super) async fn load(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<(StatusCode, axum::Json<ModelView>), Problem> {
    let model = app.catalog.model(&name).await?;
    let residence = app.orchestrator.load_model(&model)?;
    let status = if residence.state == ModelState::Loading { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, axum::Json(view(&app, model, residence))))
}

/// Give back the memory of a model, unless a benchmark uses it.
#[utoipa::path(post, path = "/api/v1/models/{name}/unload", tag = "models",
    responses((status = 200, body = ModelView), (status = "4XX", body = Problem)))]
pub(super) async fn unload(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<ModelView>, Problem> {
    let model = app.catalog.model(&name).await?;
    let residence = app.orchestrator.unload_model(&model).await?;
    Ok(axum::Json(view(&app, model, residence)))
}

fn as_it_is(app: &App, model: Model) -> ModelView {
    let residence = app.orchestrator.residence(&model);
    view(app, model, residence)
}

fn view(app: &App, model: Model, residence: Residence) -> ModelView {
    ModelView::of_server(model, residence, app.runner.kv_cache_budget_bytes())
}
