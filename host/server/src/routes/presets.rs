use axum::extract::State;

use crate::app::App;
use crate::extract::{Path, Query};
use crate::page::{PageQuery, PageView};
use crate::preset::Preset;
use crate::problem::Problem;
use crate::view::PresetView;

/// The presets, the user's own and those that ship, ordered by name.
#[utoipa::path(get, path = "/api/v1/presets", tag = "presets", params(PageQuery),
    responses((status = 200, body = PageView<PresetView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<PresetView>>, Problem> {
    let key = |preset: &Preset| preset.name().to_owned();
    Ok(axum::Json(page.cut(app.presets().await?, key, PresetView::from)?))
}

/// One preset.
#[utoipa::path(get, path = "/api/v1/presets/{name}", tag = "presets",
    responses((status = 200, body = PresetView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<PresetView>, Problem> {
    Ok(axum::Json(app.known_preset(&name).await?.into()))
}
