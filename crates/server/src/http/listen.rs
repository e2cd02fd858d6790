//! Accepting connections: bounded in number, heads bounded in size and time, and a graceful end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bailiwick_enforce::accept::Acceptor;
use bailiwick_identity::peer::Peer;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Via;

/// Connections of one listener at once; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 1_024;
/// Longest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Time for a head to arrive.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Pause after a failed accept, so that a full file table is no busy loop.
const RETRY: Duration = Duration::from_millis(50);

/// Serves the router over TCP until `stop`; connections are among `connections` and end soon after it.
pub async fn tcp(
    listener: TcpListener,
    acceptor: Acceptor,
    router: Router,
    connections: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let acceptor = Arc::new(acceptor);
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (acceptor, router, stop) =
                    (Arc::clone(&acceptor), router.clone(), stop.clone());
                connections.spawn(async move {
                    let accepted = tokio::select! {
                        () = stop.cancelled() => return,
                        accepted = acceptor.accept(stream, peer) => accepted,
                    };
                    match accepted {
                        Ok((stream, about)) => serve(stream, router, Via::Tcp(about), stop).await,
                        Err(error) => {
                            tracing::debug!(%error, %peer, "a connection did not shake hands");
                        }
                    }
                    drop(place);
                });
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// Serves the router over the admin socket.
pub async fn unix(
    listener: UnixListener,
    router: Router,
    connections: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Peer::of(&stream) {
                Ok(peer) => {
                    let connection = serve(stream, router.clone(), Via::Admin(peer), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // Who cannot be told is not served.
                Err(error) => tracing::warn!(%error, "a peer of the admin socket was refused"),
            },
            Err(error) => pause(&error).await,
        }
    }
}

/// Waits a little after a failed accept.
pub(crate) async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(RETRY).await;
}

async fn serve<S>(stream: S, router: Router, via: Via, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(via.clone());
        let router = router.clone();
        async move {
            let answer: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
            answer
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
