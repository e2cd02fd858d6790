//! The HTTP side: who presents the bearer token reaches rmcp's streamable HTTP service, everyone else gets 401.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use bailiwick_core::Secret;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::handler::Tools;

/// What a request that carried the right token brought along.
#[derive(Debug, Clone)]
pub(super) struct Presented {
    /// The arguments of a `tools/call`, byte for byte; none if the body is no such call.
    pub(super) arguments: Option<String>,
}

/// Serves `/mcp` until `stop`, then lets connections end for [`LINGER`].
pub(super) async fn serve(
    listener: TcpListener,
    bearer: Secret<String>,
    tools: Tools,
    stop: CancellationToken,
) -> io::Result<()> {
    let config = StreamableHttpServerConfig::default()
        .with_max_request_body_bytes(LARGEST_BODY)
        .with_cancellation_token(stop.child_token());
    let mcp = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let router = Router::new()
        .nest_service("/mcp", mcp)
        .layer(from_fn_with_state(Arc::new(bearer), admit));
    let lingered = {
        let stop = stop.clone();
        async move {
            stop.cancelled().await;
            tokio::time::sleep(LINGER).await;
        }
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()) => served,
        () = lingered => Ok(()),
    }
}

/// Lets a request through if it presents the token; a bearer is checked before a byte of the body is read.
async fn admit(
    State(bearer): State<Arc<Secret<String>>>,
    request: Request,
    next: Next,
) -> Response {
    if !presents(request.headers(), &bearer) {
        let challenge = [(WWW_AUTHENTICATE, "Bearer realm=\"demo workspace\"")];
        return (
            StatusCode::UNAUTHORIZED,
            challenge,
            "This tool server insists on its bearer token.\n",
        )
            .into_response();
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    parts.extensions.insert(Presented {
        arguments: arguments(&body),
    });
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn presents(headers: &HeaderMap, bearer: &Secret<String>) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer")
        && bool::from(token.as_bytes().ct_eq(bearer.expose().as_bytes()))
}

/// The `params.arguments` of a JSON-RPC message, as they stand in the body.
fn arguments(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        arguments: &'a RawValue,
    }
    serde_json::from_slice::<Message<'_>>(body)
        .ok()
        .map(|message| message.params.arguments.get().to_owned())
}

/// Bytes of one request body.
const LARGEST_BODY: usize = 4 << 20;
/// Time that open connections get to end after the stop.
const LINGER: Duration = Duration::from_secs(1);
