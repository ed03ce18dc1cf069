use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use llm_bench_core::Error;
use llm_bench_core::plugin::PluginReference;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::digest_header;
use crate::extract::{Caller, Json, Path, Query, media_type, unsupported_media_type};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::upload::{self, Received};
use crate::view::{ChangePlugin, PluginDetailView, PluginView};

/// The media type of a component.
const WASM: &str = "application/wasm";
/// The field of a form that holds the component.
const COMPONENT: &str = "component";

/// The admitted plugins, ordered by name and version.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", params(PageQuery),
    responses((status = 200, body = PageView<PluginView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<PluginView>>, Problem> {
    app.admit_bundled().await?;
    let mut plugins = app.catalog.plugins.list().await?;
    let key = |plugin: &llm_bench_core::plugin::Plugin| plugin.reference().to_string();
    plugins.sort_by_key(key);
    Ok(axum::Json(page.cut(plugins, key, PluginView::from)?))
}

/// One plugin with its limits and what came of it: `name` is its default version, `name@version` that one.
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins",
    responses((status = 200, body = PluginDetailView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<PluginDetailView>, Problem> {
    let reference: PluginReference = name.parse()?;
    Ok(axum::Json(app.plugin_detail(&reference).await?))
}

/// The component itself, as it was uploaded.
#[utoipa::path(get, path = "/api/v1/plugins/{name}/wasm", tag = "plugins",
    responses((status = 200, body = Vec<u8>, content_type = "application/wasm"), (status = "4XX", body = Problem)))]
pub(super) async fn download(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let reference: PluginReference = name.parse()?;
    let plugin = app.plugin(&reference).await?;
    let component = app.catalog.sandbox.component(&plugin.digest).await?;
    let file = format!("attachment; filename=\"{}.wasm\"", plugin.reference());
    let etag = format!("\"{}\"", plugin.digest);
    let named =
        [(header::CONTENT_TYPE, WASM.to_owned()), (header::CONTENT_DISPOSITION, file), (header::ETAG, etag)];
    let mut response = (named, component).into_response();
    response.headers_mut().extend(digest_header::header(&plugin.digest));
    Ok(response)
}

/// Upload a plugin: the component itself as the body (`application/wasm`), or a form (`multipart/form-data`) whose field
/// `component` is the file. Needs the role `admin`.
///
/// It is inspected, compiled in a child process and asked to describe itself, all under limits; the answer
/// is what it says. The same component again changes nothing. A header `Digest`, `Content-Digest` or `Repr-Digest` with
/// a SHA-256, in a form among the headers of the field, is held against what arrives. The largest component is 64 MiB
/// unless the host's `config.toml` says otherwise.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 201, body = PluginView), (status = "4XX", body = Problem)))]
pub(super) async fn upload(
    State(app): State<App>,
    Caller(actor): Caller,
    request: Request,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], axum::Json<PluginView>), Problem> {
    let received = receive(&app, request).await?;
    let plugin = app.catalog.admit_upload(received.file.path(), actor).await?;
    let location = format!("/api/v1/plugins/{}", plugin.reference());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(plugin.into())))
}

/// The component of a request, whose digest was checked. What is wrong with the request is told once it was read: a
/// client that still sends would not hear it.
async fn receive(app: &App, mut request: Request) -> Result<Received, Problem> {
    let (folder, most) = (app.data.uploads(), app.uploads.plugin_mib << 20);
    let media_type = media_type(&request);
    let expected = digest_header::expected(request.headers());
    match media_type.as_str() {
        WASM => {
            let received = upload::receive(request.into_body().into_data_stream(), &folder, most).await?;
            digest_header::check(expected?, &received.sha256)?;
            Ok(received)
        }
        "multipart/form-data" => {
            // The cap is ours: the framework's would say nothing of plugins.
            DefaultBodyLimit::disable().apply(&mut request);
            let form = Multipart::from_request(request, &()).await.map_err(|rejection| {
                Problem::new(rejection.status(), "invalid-form", rejection.body_text())
            })?;
            let received = receive_form(form, &folder, most).await?;
            if !matches!(expected, Ok(None)) {
                let message =
                    "the digest of a form's file stands among the headers of its field, not of the request";
                return Err(Error::invalid("invalid-digest", message).into());
            }
            Ok(received)
        }
        other => Err(unsupported_media_type(format!(
            "the content type is `{other}`; send the component as {WASM}, or as the field `{COMPONENT}` of a form"
        ))),
    }
}

async fn receive_form(mut form: Multipart, folder: &std::path::Path, most: u64) -> Result<Received, Problem> {
    let broken = |error: MultipartError| Problem::new(error.status(), "invalid-form", error.body_text());
    let (mut component, mut unknown) = (None, None);
    // What it has too much of is read as well, within the same bound, and dropped.
    let mut left = most;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name: String = field.name().unwrap_or_default().chars().take(64).collect();
        let expected = digest_header::expected(field.headers());
        let received = upload::receive(field, folder, left).await?;
        left = left.saturating_sub(received.bytes);
        if name == COMPONENT && component.is_none() {
            component = Some((received, expected));
        } else {
            unknown.get_or_insert(name);
        }
    }
    let invalid = |message: String| Problem::from(Error::invalid("invalid-form", message));
    if let Some(name) = unknown {
        return Err(invalid(format!(
            "the form's field `{name}` is one too many: it has one field, `{COMPONENT}`, with the component"
        )));
    }
    let (received, expected) = component
        .ok_or_else(|| invalid(format!("the form has no field `{COMPONENT}` with the component")))?;
    digest_header::check(expected?, &received.sha256)?;
    Ok(received)
}

/// Enable or disable a version, make it the default, or change what it is granted. Needs the role `admin`.
///
/// What the body does not name stays. `name` is `name@version`. A version that is disabled holds the benchmarks that pin
/// it in the queue, or ends them with `"unfinished": "cancel"`.
#[utoipa::path(patch, path = "/api/v1/plugins/{name}", tag = "plugins", request_body = ChangePlugin,
    responses((status = 200, body = PluginDetailView), (status = "4XX", body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Json(body): Json<ChangePlugin>,
) -> Result<axum::Json<PluginDetailView>, Problem> {
    let reference: PluginReference = name.parse()?;
    app.plugin(&reference).await?;
    app.lifecycle.change(&reference, body.try_into()?, &actor).await?;
    Ok(axum::Json(app.plugin_detail(&reference).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveQuery {
    /// Also when benchmarks pin it: they stay and say what they used, those that have not ended are cancelled.
    #[serde(default)]
    #[param(value_type = bool)]
    force: Force,
}

/// `?force`, `?force=true` or `?force=false`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Force {
    #[default]
    False,
    #[serde(alias = "")]
    True,
}

/// Remove a version and its code. Refused while a benchmark pins it, unless by force. Needs the role `admin`.
///
/// `name` is `name@version`. A version that was removed by force can be uploaded again, with the same content.
#[utoipa::path(delete, path = "/api/v1/plugins/{name}", tag = "plugins", params(RemoveQuery),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode, Problem> {
    let reference: PluginReference = name.parse()?;
    app.plugin(&reference).await?;
    app.lifecycle.remove(&reference, query.force == Force::True, actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
