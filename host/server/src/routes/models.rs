use axum::extract::State;

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
    Ok(axum::Json(page.cut(models, |model| model.name.clone(), ModelView::from)?))
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{name}", tag = "models",
    responses((status = 200, body = ModelView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<ModelView>, Problem> {
    Ok(axum::Json(app.catalog.model(&name).await?.into()))
}
