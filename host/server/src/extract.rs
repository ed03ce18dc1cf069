//! axum's extractors, with problem documents for what they refuse.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use llm_bench_core::Error;
use llm_bench_core::audit::Actor;

use crate::problem::Problem;

#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Json<T>(pub(crate) T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

/// Who asks, as the guard of the route found out.
pub(crate) struct Caller(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let actor = parts.extensions.get::<Actor>().cloned();
        // A route whose changes are audited must not be reached by nobody in particular.
        let unguarded = || Error::internal("unguarded-route", format!("{} has no guard", parts.uri.path()));
        actor.map(Self).ok_or_else(|| unguarded().into())
    }
}

/// The media type of a body, without its parameters.
pub(crate) fn media_type(request: &Request) -> String {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let media_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("");
    media_type.split(';').next().unwrap_or("").trim().to_owned()
}

pub(crate) fn unsupported_media_type(message: String) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message)
}
