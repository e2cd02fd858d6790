//! The unix sockets that agents and their launchers connect to: the SPIFFE Workload API, the stdio shim's, and `bailiwick run`'s.

pub mod launch;
pub mod mcp;
pub mod workload;

use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::listen::pause;

/// Serves each connection until it or `stop` ends it; beyond `most` at once, new ones wait to be accepted.
async fn serve_each<F>(
    listener: UnixListener,
    most: usize,
    connections: TaskTracker,
    stop: CancellationToken,
    connection: impl Fn(UnixStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(most));
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (served, stop) = (connection(stream), stop.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = served => {}
                    }
                    drop(place);
                });
            }
            Err(error) => pause(&error).await,
        }
    }
}
