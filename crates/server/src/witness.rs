//! A witness as an HTTP service (C2SP tlog-witness v1.0.0): `POST /add-checkpoint` for logs, `GET /<sha256 of origin>/checkpoint` for
//! monitors. What is decided, and what is kept, is `bailiwick_audit::witness`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bailiwick_audit::witness::{MAX_REQUEST, Refusal, Witness};
use bailiwick_enforce::accept::Acceptor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::listen;

pub use key::{KeyFileError, open_or_create};

mod key;

/// Time for a request's body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Requests that write state at once; further ones wait.
const MAX_WRITERS: usize = 16;
/// Time to end what runs once the witness is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What the routes share.
struct Service {
    witness: Arc<Witness>,
    writers: Semaphore,
}

/// Serves until `until` resolves.
pub async fn serve(
    witness: Arc<Witness>,
    listener: TcpListener,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        until.await;
        told.cancel();
    });
    let acceptor = Acceptor::new(None);
    listen::tcp(
        listener,
        acceptor,
        router(witness),
        connections.clone(),
        stop,
    )
    .await?;
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and are cut");
    }
    Ok(())
}

/// The routes. Submission prefix and monitoring prefix are the same.
fn router(witness: Arc<Witness>) -> Router {
    let service = Arc::new(Service {
        witness,
        writers: Semaphore::new(MAX_WRITERS),
    });
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .with_state(service)
}

async fn add_checkpoint(State(service): State<Arc<Service>>, body: Body) -> Response {
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_REQUEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let why = "the request is over 64 KiB, or broke off\n";
            return (StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
        }
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let Ok(_room) = service.writers.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let witness = Arc::clone(&service.witness);
    match tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await {
        Ok(Ok(lines)) => lines.into_response(),
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => {
            tracing::error!(%error, "a request was not answered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn checkpoint(State(service): State<Arc<Service>>, Path(origin): Path<String>) -> Response {
    match service.witness.checkpoint(&origin) {
        Some(note) => note.into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "no checkpoint of this log was cosigned\n",
        )
            .into_response(),
    }
}

/// The status that tlog-witness has for it.
fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Conflict { size } => {
            let kind = [(CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response();
        }
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::Untrusted(_) => StatusCode::FORBIDDEN,
        Refusal::Inconsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Sign(_) | Refusal::Storage(_) => {
            tracing::error!(error = %refusal, source = ?std::error::Error::source(refusal), "nothing was cosigned");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    (status, format!("{refusal}\n")).into_response()
}
