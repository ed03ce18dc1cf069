//! What a request needs: the one table of roles, and the guard that goes by it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use llm_bench_core::access::{Caller, Role};
use llm_bench_core::audit::Actor;
use llm_bench_core::{Error, ErrorKind};

use crate::app::App;
use crate::problem::Problem;

/// Addresses by the word behind `/api/v1/`: who may look, and who may change something. What stands not here is for
/// administrators.
const ROLES: [(&str, Role, Role); 9] = [
    ("audit", Role::Admin, Role::Admin),
    ("benchmarks", Role::Viewer, Role::Runner),
    ("blocked-plugins", Role::Viewer, Role::Admin),
    ("datasets", Role::Viewer, Role::Runner),
    ("hardware", Role::Viewer, Role::Admin),
    ("models", Role::Viewer, Role::Runner),
    ("plugins", Role::Viewer, Role::Admin),
    ("presets", Role::Viewer, Role::Admin),
    ("tokens", Role::Admin, Role::Admin),
];

/// Whom the API is open to that bears no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// To everybody who reaches it while there never was a token: the server listens on a loopback address.
    UntilThereIsAToken,
    /// To nobody.
    Closed,
}

/// The role that a request needs; none: it needs no token. The page and the document of the API tell nothing of what is
/// here, and whether the server lives is asked by programs without tokens.
fn needed(method: &Method, path: &str) -> Option<Role> {
    let rest = path.strip_prefix("/api/v1/")?;
    let word = rest.split('/').next().unwrap_or_default();
    if rest == "health" {
        return None;
    }
    let (look, change) = ROLES
        .iter()
        .find(|(noun, ..)| *noun == word)
        .map_or((Role::Admin, Role::Admin), |(_, look, change)| (*look, *change));
    Some(if method.is_safe() { look } else { change })
}

pub(super) async fn check_role(
    State((app, openness)): State<(App, Openness)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(role) = needed(request.method(), request.uri().path()) else { return next.run(request).await };
    let caller = caller(&app, openness, request.headers()).await;
    match caller.and_then(|caller| caller.require(role).map(|()| caller)) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.actor);
            next.run(request).await
        }
        Err(error) => refusal(error),
    }
}

async fn caller(app: &App, openness: Openness, headers: &HeaderMap) -> Result<Caller, Error> {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => app.access.bearer(bearer(value)?).await,
        None if openness == Openness::UntilThereIsAToken && app.access.tokens.is_empty().await? => {
            Ok(Caller { actor: Actor::Loopback, role: Role::Admin })
        }
        None => Err(Error::denied(
            "authentication-required",
            "this server asks for a token: send `Authorization: Bearer TOKEN`; `llm-bench tokens create` makes one",
        )),
    }
}

fn bearer(value: &HeaderValue) -> Result<&str, Error> {
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::denied("invalid-authorization", "the header is not `Authorization: Bearer TOKEN`")),
    }
}

/// Who is not known is asked to say who they are; who is known and may not is not.
fn refusal(error: Error) -> Response {
    if error.kind != ErrorKind::Denied || error.code == "role-required" {
        return Problem::from(error).into_response();
    }
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, &error.code, error.message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nobody_thought_of_is_for_administrators() {
        assert_eq!(needed(&Method::GET, "/api/v1/secrets"), Some(Role::Admin));
        assert_eq!(needed(&Method::GET, "/api/v1/"), Some(Role::Admin));
        assert_eq!(needed(&Method::GET, "/api/v1/health/more"), Some(Role::Admin));
        assert_eq!(needed(&Method::GET, "/api/v1/%62enchmarks"), Some(Role::Admin));
    }

    #[test]
    fn looking_and_changing_need_what_the_table_says() {
        for (method, path, role) in [
            (Method::GET, "/api/v1/benchmarks", Role::Viewer),
            (Method::HEAD, "/api/v1/benchmarks/x/samples", Role::Viewer),
            (Method::POST, "/api/v1/benchmarks", Role::Runner),
            (Method::POST, "/api/v1/models/x/load", Role::Runner),
            (Method::PUT, "/api/v1/datasets/x", Role::Runner),
            (Method::GET, "/api/v1/plugins", Role::Viewer),
            (Method::POST, "/api/v1/plugins", Role::Admin),
            (Method::GET, "/api/v1/tokens", Role::Admin),
            (Method::GET, "/api/v1/audit", Role::Admin),
        ] {
            assert_eq!(needed(&method, path), Some(role), "{method} {path}");
        }
        assert_eq!(needed(&Method::GET, "/api/v1/health"), None);
        assert_eq!(needed(&Method::GET, "/docs/"), None);
    }

    #[test]
    fn a_bearer_is_read_from_a_sound_header_alone() {
        let read = |text: &'static str| bearer(&HeaderValue::from_static(text)).map(str::to_owned);
        assert_eq!(read("Bearer abc").unwrap(), "abc");
        assert_eq!(read("bearer abc").unwrap(), "abc");
        for text in ["", "abc", "Basic YTpi"] {
            assert_eq!(read(text).unwrap_err().code, "invalid-authorization", "{text:?}");
        }
        assert!(bearer(&HeaderValue::from_bytes(b"Bearer \xff").unwrap()).is_err());
    }
}
