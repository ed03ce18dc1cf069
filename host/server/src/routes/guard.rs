//! Which names a request may call this server by, and which web pages may have it change something.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// The hosts that requests may name.
///
/// A server on a loopback address is for this machine alone, but a web page can have a name of its own point to
/// that address (DNS rebinding). Its requests still bear that name, and are refused by it.
#[derive(Debug, Clone)]
pub enum AllowedHosts {
    /// `localhost` and loopback addresses.
    Loopback,
    /// Any name: a server on another address is reached by names that it does not know.
    Any,
}

impl AllowedHosts {
    pub fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Loopback } else { Self::Any }
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => {
                let Ok(authority) = host.parse::<Authority>() else { return false };
                let name = authority.host();
                let address = name.trim_start_matches('[').trim_end_matches(']');
                name.eq_ignore_ascii_case("localhost")
                    || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

pub(super) async fn check_host(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().host()).unwrap_or("");
    if hosts.allows(named) {
        return next.run(request).await;
    }
    let detail = "this server listens on a loopback address and answers to that and to localhost only";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", detail).into_response()
}

/// A page of another site cannot read an answer, but a browser sends its requests all the same: those that change
/// something are refused.
pub(super) async fn check_site(request: Request, next: Next) -> Response {
    if request.method().is_safe() || !is_of_another_site(request.headers()) {
        return next.run(request).await;
    }
    let detail = "a web page of another site asked for this; only pages of this server and programs that are no \
                  browser may change something here";
    Problem::new(StatusCode::FORBIDDEN, "cross-site-request", detail).into_response()
}

/// What a browser says of the page that a request comes from. Programs that are none say nothing, and older browsers
/// name the page's origin only.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    !matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{AllowedHosts, is_of_another_site};

    #[test]
    fn a_request_is_of_another_site_when_the_browser_says_so_or_its_page_has_another_origin() {
        let is_foreign = |headers: &[(&'static str, &'static str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_of_another_site(&headers.collect::<HeaderMap>())
        };
        let host = ("host", "localhost:8420");
        for headers in [
            &[host][..],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8420")],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("origin", "http://localhost:8420")],
        ] {
            assert!(!is_foreign(headers), "{headers:?}");
        }
        for headers in [
            &[host, ("sec-fetch-site", "cross-site")][..],
            &[host, ("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
            &[host, ("origin", "http://localhost:3000")],
            &[host, ("origin", "https://evil.example")],
            &[host, ("origin", "null")],
            &[("origin", "https://evil.example")],
        ] {
            assert!(is_foreign(headers), "{headers:?}");
        }
    }

    #[test]
    fn a_foreign_name_is_refused_on_a_loopback_address() {
        for host in ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:8080", "[::1]", "127.5.5.5"] {
            assert!(AllowedHosts::Loopback.allows(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "10.0.0.1:80", "::1"]
        {
            assert!(!AllowedHosts::Loopback.allows(host), "{host}");
        }
        assert!(AllowedHosts::Any.allows("bench.example:80"));
    }
}
