use axum::extract::State;
use axum::http::StatusCode;
use llm_bench_core::name::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Caller, Json, Path, Query};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::view::{CreatedTokenView, TokenView};

/// A token to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    /// What it is called in lists and in the audit; no two that are not revoked share a name.
    name: String,
    /// `viewer`: looks; `runner`: also orders benchmarks, loads models, uploads datasets; `admin`: everything.
    role: String,
}

/// The tokens, oldest first, revoked ones among them. Needs the role `admin`.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", params(PageQuery),
    responses((status = 200, body = PageView<TokenView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<TokenView>>, Problem> {
    let tokens = app.access.tokens.list().await?;
    Ok(axum::Json(page.cut(tokens, |token| token.id.to_string(), TokenView::from)?))
}

/// Make a token. Its text is in this answer and is never shown again. Needs the role `admin`; the first token closes
/// the API to whoever has none.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = CreateToken,
    responses((status = 201, body = CreatedTokenView), (status = "4XX", body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Json(body): Json<CreateToken>,
) -> Result<(StatusCode, axum::Json<CreatedTokenView>), Problem> {
    let created = app.create_token(Name::new(body.name)?, body.role.parse()?, actor).await?;
    Ok((StatusCode::CREATED, axum::Json(created)))
}

/// Revoke a token, named by its id or its name. It stays in the list. Needs the role `admin`.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "access",
    responses((status = 200, body = TokenView), (status = "4XX", body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(token): Path<String>,
) -> Result<axum::Json<TokenView>, Problem> {
    Ok(axum::Json(app.access.revoke(&token, actor).await?.into()))
}
