use axum::extract::State;

use crate::app::App;
use crate::extract::Query;
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::view::AuditEntryView;

/// Who changed what about plugins and tokens, newest first. Needs the role `admin`.
#[utoipa::path(get, path = "/api/v1/audit", tag = "access", params(PageQuery),
    responses((status = 200, body = PageView<AuditEntryView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<AuditEntryView>>, Problem> {
    let after = page.after(|cursor| cursor.parse().ok())?;
    let entries = app.audit.list(after, page.limit()?).await?;
    Ok(axum::Json(PageView {
        items: entries.items.into_iter().map(AuditEntryView::from).collect(),
        next: entries.next.map(|id| id.to_string()),
    }))
}
