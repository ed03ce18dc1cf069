//! axum's extractors, with problem documents for what they refuse.

use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
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
