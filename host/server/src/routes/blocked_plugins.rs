use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Caller, Json, Path, Query};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::view::{BlockView, UnfinishedChoice};

/// Why a content is refused from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockPlugin {
    /// For whoever meets the block; at most 1000 bytes.
    reason: String,
    /// What becomes of benchmarks that pin it and have not ended; `hold` unless given.
    #[serde(default)]
    unfinished: UnfinishedChoice,
}

/// Contents that are refused, by their SHA-256, ordered by it.
#[utoipa::path(get, path = "/api/v1/blocked-plugins", tag = "plugins", params(PageQuery),
    responses((status = 200, body = PageView<BlockView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<BlockView>>, Problem> {
    let mut blocks = app.catalog.plugins.blocks().await?;
    blocks.sort_by(|a, b| a.digest.cmp(&b.digest));
    Ok(axum::Json(page.cut(blocks, |block| block.digest.clone(), BlockView::from)?))
}

/// Refuse a component by its SHA-256, whether or not it is here. Needs the role `admin`.
///
/// It cannot be uploaded again, no benchmark starts or goes on with it, and those that have ended say so;
/// `GET /api/v1/benchmarks?task_digest=…` lists them. Blocking it again gives it the new reason.
#[utoipa::path(put, path = "/api/v1/blocked-plugins/{digest}", tag = "plugins", request_body = BlockPlugin,
    responses((status = 200, body = BlockView), (status = "4XX", body = Problem)))]
pub(super) async fn block(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(digest): Path<String>,
    Json(body): Json<BlockPlugin>,
) -> Result<axum::Json<BlockView>, Problem> {
    let block = app.lifecycle.block(&digest, &body.reason, body.unfinished.into(), actor).await?;
    Ok(axum::Json(block.into()))
}

/// Take a block back. Benchmarks that it held go on. Needs the role `admin`.
#[utoipa::path(delete, path = "/api/v1/blocked-plugins/{digest}", tag = "plugins",
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(super) async fn unblock(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(digest): Path<String>,
) -> Result<StatusCode, Problem> {
    app.lifecycle.unblock(&digest, actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
