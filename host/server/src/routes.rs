//! The API: one module a noun, one function an endpoint.

mod access;
mod audit;
mod benchmarks;
mod blocked_plugins;
mod comparison;
mod data_files;
mod datasets;
mod guard;
mod hardware;
mod health;
mod models;
mod plugins;
mod presets;
mod rescore;
mod tokens;
mod verification;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::problem::Problem;

pub use access::Openness;
pub use benchmarks::CreateBenchmark;
pub use guard::AllowedHosts;
pub use health::HealthView;
pub use rescore::RescoreBenchmark;

#[derive(OpenApi)]
#[openapi(
    modifiers(&BearerToken),
    security(("token" = [])),
    info(
        title = "LLM Bench Local",
        description = "Measures language models on this machine. Every error is a problem document (RFC 9457) \
                       whose `type` is a stable slug."
    ),
    tags(
        (name = "benchmarks", description = "Evaluations: queued, run, cancelled, resumed"),
        (name = "models", description = "Models that are registered"),
        (name = "datasets", description = "Datasets that are registered"),
        (name = "plugins", description = "Tasks and scorers as WebAssembly components"),
        (name = "presets", description = "Names for tasks with their config and dataset, and for groups of such"),
        (name = "access", description = "Tokens, and the audit of changes. While there are tokens, or the server listens \
            beyond this machine, every request but `/api/v1/health` and this document bears one: \
            `Authorization: Bearer TOKEN`"),
        (name = "host", description = "The host itself")
    )
)]
struct ApiDocument;

/// Tells clients how a token is sent.
struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The whole HTTP interface.
pub fn router(app: App, hosts: AllowedHosts, openness: Openness) -> Router {
    let guarded = (app.clone(), openness);
    let (router, document) = OpenApiRouter::with_openapi(ApiDocument::openapi())
        .routes(routes!(health::show))
        .routes(routes!(hardware::show))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(models::load))
        .routes(routes!(models::unload))
        .routes(routes!(datasets::list))
        .routes(routes!(datasets::show, datasets::upload))
        .routes(routes!(datasets::preview))
        .routes(routes!(plugins::list, plugins::upload))
        .routes(routes!(plugins::show, plugins::change, plugins::remove))
        .routes(routes!(plugins::download))
        .routes(routes!(data_files::give, data_files::withdraw))
        .routes(routes!(blocked_plugins::list))
        .routes(routes!(blocked_plugins::block, blocked_plugins::unblock))
        .routes(routes!(presets::list))
        .routes(routes!(presets::show))
        .routes(routes!(benchmarks::list, benchmarks::create))
        .routes(routes!(benchmarks::show))
        .routes(routes!(benchmarks::cancel))
        .routes(routes!(benchmarks::samples))
        .routes(routes!(comparison::show))
        .routes(routes!(benchmarks::hardware))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(rescore::create))
        .routes(routes!(verification::create, verification::show))
        .with_state(app)
        .split_for_parts();
    router
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .fallback(unknown_address)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(guarded, access::check_role))
        .layer(middleware::from_fn(guard::check_site))
        .layer(middleware::from_fn_with_state(hosts, guard::check_host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TraceLayer::new_for_http())
}

async fn unknown_address(uri: axum::http::Uri) -> Problem {
    let detail = format!("there is nothing at {}; the API is described at /docs", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown-address", detail)
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let detail = format!("{} does not take {method}; the API is described at /docs", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let error = llm_bench_core::Error::internal("panic", format!("a request panicked: {message}"));
    axum::response::IntoResponse::into_response(Problem::from(error))
}
