//! The gateway's own listener: bounded connections, bounded heads, no upgrade.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accept::Acceptor;
use crate::egress::Run;
use crate::gateway::Gateway;

/// Connections open at once; beyond this, new ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 4_096;
/// A request's head has at most this many bytes.
const MAX_HEAD: usize = 64 << 10;
/// A request's head must be there within this time; also how long an unused connection stays.
const HEAD: Duration = Duration::from_secs(10);
/// Pause after a failed accept, so that a full file table is not a busy loop.
const RETRY: Duration = Duration::from_millis(50);

impl Gateway {
    /// Serves connections until `stop`; then lets open ones finish within the bound of [`Gateway::maintain`].
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        acceptor: Acceptor,
        stop: CancellationToken,
    ) {
        self.accept(listener, acceptor, None, stop).await;
    }

    /// Serves the listener of one launch until `stop`: there its processes reach connectors with the run token, and nothing else.
    pub async fn serve_run(
        self: Arc<Self>,
        listener: TcpListener,
        run: Run,
        stop: CancellationToken,
    ) {
        let acceptor = Acceptor::new(None);
        self.accept(listener, acceptor, Some(Arc::new(run)), stop)
            .await;
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        acceptor: Acceptor,
        run: Option<Arc<Run>>,
        stop: CancellationToken,
    ) {
        let acceptor = Arc::new(acceptor);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let (gateway, run, stop) = (Arc::clone(&self), run.clone(), stop.clone());
            let acceptor = Arc::clone(&acceptor);
            self.tasks.spawn(async move {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = acceptor.accept(stream, peer) => accepted,
                };
                let (stream, about) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::debug!(%error, %peer, "a connection did not shake hands");
                        return;
                    }
                };
                let service = service_fn(|mut request: Request<Incoming>| {
                    let (gateway, run) = (Arc::clone(&gateway), run.clone());
                    request.extensions_mut().insert(about.clone());
                    async move {
                        Ok::<_, Infallible>(match run {
                            None => gateway.handle(request).await,
                            Some(run) => gateway.handle_run(request, &run).await,
                        })
                    }
                });
                let mut builder = http1::Builder::new();
                builder
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .max_buf_size(MAX_HEAD);
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
                drop(place);
            });
        }
    }
}
