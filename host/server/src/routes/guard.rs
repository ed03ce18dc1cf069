//! Which names a request may call this server by.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
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

#[cfg(test)]
mod tests {
    use super::AllowedHosts;

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
