use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// That the server answers, and which version it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`.
    pub status: String,
    pub version: String,
}

/// Whether the server answers. Needs no token.
#[utoipa::path(get, path = "/api/v1/health", tag = "host", security(()),
    responses((status = 200, body = HealthView)))]
pub(super) async fn show() -> axum::Json<HealthView> {
    axum::Json(HealthView { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}
