use axum::extract::{Request, State};
use axum::http::StatusCode;
use llm_bench_core::plugin::PluginReference;

use crate::app::App;
use crate::digest_header;
use crate::extract::{Caller, Path, media_type, unsupported_media_type};
use crate::problem::Problem;
use crate::upload;
use crate::view::PluginDetailView;

/// The media type of an archive.
const TAR: &str = "application/x-tar";
/// What an archive has besides its files, at most: headers, and what fills blocks.
const TAR_OVERHEAD: u64 = 1 << 20;

/// Give a version the files that it reads beside its component: a tar archive (`application/x-tar`, not compressed) with
/// exactly the files that `data_files` of the plugin names. Needs the role `admin`.
///
/// `name` is `name@version`. Links, devices and names that lead elsewhere are refused. The same files again change nothing;
/// other ones are refused once a benchmark used the first. A header `Digest`, `Content-Digest` or `Repr-Digest` with a
/// SHA-256 is held against what arrives. The files have at most 256 MiB together unless the host's `config.toml` says
/// otherwise.
#[utoipa::path(put, path = "/api/v1/plugins/{name}/data-files", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses((status = 200, body = PluginDetailView), (status = "4XX", body = Problem)))]
pub(super) async fn give(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<axum::Json<PluginDetailView>, Problem> {
    let reference: PluginReference = name.parse()?;
    app.plugin(&reference).await?;
    let media_type = media_type(&request);
    if media_type != TAR {
        let message = format!("the content type is `{media_type}`; send the archive as {TAR}");
        return Err(unsupported_media_type(message));
    }
    let expected = digest_header::expected(request.headers());
    let most = (app.uploads.data_files_mib << 20) + TAR_OVERHEAD;
    let received = upload::receive(request.into_body().into_data_stream(), &app.data.uploads(), most).await?;
    digest_header::check(expected?, &received.sha256)?;
    app.lifecycle.give_data_files(&reference, received.file.path(), &actor).await?;
    Ok(axum::Json(app.plugin_detail(&reference).await?))
}

/// Take the files of a version away. Refused once a benchmark used them. Needs the role `admin`.
#[utoipa::path(delete, path = "/api/v1/plugins/{name}/data-files", tag = "plugins",
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(super) async fn withdraw(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let reference: PluginReference = name.parse()?;
    app.plugin(&reference).await?;
    app.lifecycle.withdraw_data_files(&reference, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
