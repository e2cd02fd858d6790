//! The outermost layer: request ids, the `Host` check, bounds on time and number, and refusals written out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bailiwick_core::id::RequestId;
use bailiwick_core::{Code, Problem};

use super::refusal::{Details, document};
use super::{Refused, Via};
use crate::app::App;

/// A request is answered within this time; a stream has begun by then. Long enough for a tool server to start.
pub const MAX_TIME: Duration = Duration::from_mins(1);

/// Browsers that were here once come by TLS alone (RFC 6797 §6.1). Of other hosts of the domain it says nothing.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps every request of the API.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = RequestId::new(&*app.clock, &*app.rng);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let via = request.extensions().get::<Via>();
    let tls = matches!(via, Some(Via::Tcp(connection)) if connection.tls);
    let mut response = within_bounds(&app, request, next).await;
    let status = response.status();
    tracing::debug!(request = %id, %method, path, status = status.as_u16(), "answered");
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if status.is_server_error() {
            tracing::warn!(request = %id, %method, path, code = %problem.code, %problem, "refused");
        }
        let details = response.extensions_mut().remove::<Details>();
        write(&mut response, &problem, details.unwrap_or_default(), id);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, FOR_A_YEAR);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn within_bounds(app: &App, request: Request, next: Next) -> Response {
    if let Err(refused) = check_host(app, &request) {
        return refused.into_response();
    }
    let Ok(_room) = app.requests.try_acquire() else {
        let message = "the node works on as many requests as it takes at once";
        return Refused::new(Code::Overloaded, message, "try again in a moment").into_response();
    };
    match tokio::time::timeout(MAX_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::new(
            Code::TimedOut,
            format!("no answer within {} s", MAX_TIME.as_secs()),
            "what was asked for may still happen: look before asking again",
        )
        .into_response(),
    }
}

/// A page whose name was rebound to loopback carries its own name here.
fn check_host(app: &App, request: &Request) -> Result<(), Refused> {
    if !matches!(request.extensions().get::<Via>(), Some(Via::Tcp(_))) {
        return Ok(());
    }
    let named = request
        .uri()
        .authority()
        .map(|host| host.as_str().to_owned());
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next().and_then(|host| host.to_str().ok());
    let several = headers.next().is_some();
    let host = named.or(header.map(str::to_owned)).unwrap_or_default();
    if several || !app.hosts.contains(&host.to_ascii_lowercase()) {
        return Err(Refused::new(
            Code::HostRefused,
            format!("`{}` is not a name of this node", shortened(&host)),
            format!("use {}, or set [console] public_url", app.console_url),
        ));
    }
    Ok(())
}

fn write(response: &mut Response, problem: &Problem, details: Details, id: RequestId) {
    let body = serde_json::to_vec(&document(problem, details, id)).unwrap_or_default();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    let form = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, form);
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"bailiwick\"");
        let headers = response.headers_mut();
        headers.entry(WWW_AUTHENTICATE).or_insert(scheme);
    }
    *response.body_mut() = Body::from(body);
}

/// No such path.
pub async fn not_found() -> Refused {
    Refused::new(
        Code::NotFound,
        "there is nothing here",
        "GET /openapi.json lists every path",
    )
}

/// The path does not take this method.
pub async fn method_not_allowed() -> Refused {
    Refused::new(
        Code::MethodNotAllowed,
        "this path does not take this method",
        "GET /openapi.json lists the methods of every path",
    )
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
