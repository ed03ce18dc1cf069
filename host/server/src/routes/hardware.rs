use axum::extract::State;

use crate::app::App;
use crate::view::HardwareView;

/// What the machine has and how busy it is now.
#[utoipa::path(get, path = "/api/v1/hardware", tag = "host", responses((status = 200, body = HardwareView)))]
pub(super) async fn show(State(app): State<App>) -> axum::Json<HardwareView> {
    let now = app.hardware.readings().borrow().clone();
    axum::Json(HardwareView { info: app.hardware.info().into(), now: now.into() })
}
