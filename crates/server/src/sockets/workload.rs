//! The SPIFFE Workload API over a unix socket (SPIFFE_Workload_Endpoint.md §4), for every gRPC client: see [`crate::uds`].

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_identity::peer::Peer;
use bailiwick_identity::workload::Workload;
use bailiwick_proto::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::http::listen::pause;
use crate::uds::ShimStream;

/// Connections at once.
pub const MAX_CONNECTIONS: usize = 1_024;
/// Connections of one user at once.
pub const MAX_OF_USER: usize = 64;
/// Accepted connections that wait to be served.
const QUEUE: usize = 16;

/// Serves the Workload API until `stop`.
pub async fn serve(
    listener: UnixListener,
    workload: Workload,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let (accepted, connections) = mpsc::channel::<io::Result<Counted>>(QUEUE);
    let accepting = accept(listener, accepted, stop.clone());
    let serving = Server::builder()
        .add_service(SpiffeWorkloadApiServer::new(workload))
        .serve_with_incoming_shutdown(
            ReceiverStream::new(connections).map(|connection| connection),
            stop.cancelled_owned(),
        );
    let (served, ()) = tokio::join!(serving, accepting);
    served
}

async fn accept(
    listener: UnixListener,
    accepted: mpsc::Sender<io::Result<Counted>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Places::default());
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = listener.accept() => next,
        };
        match next {
            Ok((stream, _)) => {
                // Who cannot be told, or has too many already, is hung up on; others are not kept waiting for it.
                let Some(connection) = admit(stream, &places) else {
                    continue;
                };
                if accepted.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}

fn admit(stream: UnixStream, places: &Arc<Places>) -> Option<Counted> {
    match Peer::of(&stream) {
        Ok(peer) => {
            let place = places.take(peer.uid);
            if place.is_none() {
                tracing::warn!(uid = peer.uid, "too many connections to the Workload API");
            }
            Some(Counted {
                stream: ShimStream::new(stream, peer),
                _place: place?,
            })
        }
        Err(error) => {
            tracing::warn!(%error, "a peer of the Workload API was refused");
            None
        }
    }
}

/// Connections by user.
#[derive(Default)]
struct Places(Mutex<HashMap<u32, usize>>);

impl Places {
    fn take(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.entry(uid).or_default();
        if all >= MAX_CONNECTIONS || *own >= MAX_OF_USER {
            return None;
        }
        *own += 1;
        let places = Arc::clone(self);
        Some(Place { uid, places })
    }
}

/// One connection's place; given back when dropped.
struct Place {
    uid: u32,
    places: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

pub use counted::Counted;

mod counted;

#[cfg(test)]
mod tests;
