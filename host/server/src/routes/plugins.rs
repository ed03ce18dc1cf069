use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use llm_bench_core::plugin::PluginReference;

use crate::app::App;
use crate::extract::{Caller, Path, Query};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::upload;
use crate::view::PluginView;

/// Bytes of one component, at most: one written in Python has about 18 MB.
const MOST_BYTES: u64 = 64 << 20;

/// The admitted plugins, ordered by name and version.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", params(PageQuery),
    responses((status = 200, body = PageView<PluginView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<PluginView>>, Problem> {
    app.admit_bundled().await?;
    let mut plugins = app.catalog.plugins.list().await?;
    let key = |plugin: &llm_bench_core::plugin::Plugin| format!("{}@{}", plugin.name, plugin.version);
    plugins.sort_by_key(key);
    Ok(axum::Json(page.cut(plugins, key, PluginView::from)?))
}

/// One plugin: `name` is its default version, `name@version` that one.
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins",
    responses((status = 200, body = PluginView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<PluginView>, Problem> {
    let reference: PluginReference = name.parse()?;
    Ok(axum::Json(app.plugin(&reference).await?.into()))
}

/// Upload a plugin: the component itself as the body (`application/wasm`), at most 64 MiB.
///
/// It is inspected, compiled in a child process and asked to describe itself, all under limits; the answer
/// is what it says. The same component again changes nothing.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 201, body = PluginView), (status = "4XX", body = Problem)))]
pub(super) async fn upload(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], axum::Json<PluginView>), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if media_type != "application/wasm" {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("the content type is `{media_type}`; send the component as application/wasm"),
        ));
    }
    let file = upload::receive(body, &app.data.uploads(), MOST_BYTES).await?;
    let plugin = app.catalog.admit_upload(file.path(), actor).await?;
    let location = format!("/api/v1/plugins/{}@{}", plugin.name, plugin.version);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(plugin.into())))
}
