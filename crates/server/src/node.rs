//! One node: everything opened, wired, watched over, and closed again in order.

mod acceptors;
mod certificates;
mod checkpoints;
mod connectors;
mod directories;
mod elsewhere;
mod error;
mod keys;
mod log;
mod log_keys;
mod log_metrics;
mod ports;
mod reindex;
pub mod repair;
mod restored;
mod serve;
pub(crate) mod snapshot;
mod start;
mod store;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::config::Config;
use crate::witnesses;

pub use certificates::CertificateError;
pub use directories::ensure_private;
pub use error::{NodeError, StartError};
pub use log_keys::{Former, LogKeys, OVERLAP};
pub use reindex::reindex;
pub use restored::adopt;
pub use store::migrate;

/// What is running may go on for this long after the node was told to stop.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Putting on record what is left may take this long after that.
const CLOSE: Duration = Duration::from_secs(5);

/// Where a running node can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Address of the console listener.
    pub console: SocketAddr,
    /// URL of API and token endpoint.
    pub console_url: String,
    /// Address of the gateway.
    pub gateway: SocketAddr,
    /// URL of the gateway.
    pub gateway_url: String,
    /// Address of the listener whose clients show their SVID.
    pub mtls: Option<SocketAddr>,
    /// Its URL.
    pub mtls_url: Option<String>,
    /// The admin socket.
    pub admin_socket: PathBuf,
    /// The SPIFFE Workload API.
    pub workload_socket: PathBuf,
    /// The stdio shim's socket.
    pub mcp_socket: PathBuf,
    /// The socket of `bailiwick run`.
    pub launch_socket: PathBuf,
    /// The key that others verify the node's log with.
    pub log_vkey: String,
}

/// A running node.
pub struct Node {
    addresses: Addresses,
    app: Arc<App>,
    log: Arc<Log>,
    /// What has to run as long as the node does; each ends only when told to.
    tasks: JoinSet<&'static str>,
    /// Connections of the listeners.
    connections: TaskTracker,
    /// Told first: accept nothing more, end what runs.
    stop: CancellationToken,
    /// Told last: carry what is left to the log.
    drained: CancellationToken,
}

impl Node {
    /// Opens and starts everything. When this resolves, every listener accepts.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let node = start::start(config).await?;
        start::tell(&node.addresses);
        Ok(node)
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What routes use.
    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The node's name.
    pub fn name(&self) -> String {
        self.app.node.to_string()
    }

    /// Resolves when a part of the node that has to run has ended: the node is of no use any more.
    pub async fn broken(&mut self) -> NodeError {
        match self.tasks.join_next().await {
            Some(Ok(part @ (witnesses::ROLLED_BACK | witnesses::SPLIT))) => NodeError::Log(part),
            Some(Ok(part)) => NodeError::Ended(part),
            Some(Err(error)) => NodeError::Panicked(error.to_string()),
            None => NodeError::Ended("everything"),
        }
    }

    /// Runs until `stop` resolves or a part of the node breaks, then shuts down.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let broken = tokio::select! {
            () = stop => None,
            error = self.broken() => Some(error),
        };
        if let Some(error) = &broken {
            tracing::error!(%error, "the node stops");
        }
        self.shutdown().await;
        broken.map_or(Ok(()), Err)
    }

    /// Stops: accepts nothing more, ends calls and child processes, puts on record what is left, publishes a last checkpoint. Bounded
    /// by [`DRAIN`] and a few seconds.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.connections.close();
        let connections = self.connections.clone();
        let calm = async {
            connections.wait().await;
            // All but the outbox end by themselves now.
            while self.tasks.len() > 1 && self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, calm).await.is_err() {
            tracing::warn!("some connections or calls did not end in time and are cut");
        }
        self.drained.cancel();
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE, rest).await.is_err() {
            tracing::warn!("events wait in the outbox; the next start carries them");
            self.tasks.shutdown().await;
        }
        let log = Arc::clone(&self.log);
        if tokio::task::spawn_blocking(move || log.close())
            .await
            .is_err()
        {
            tracing::error!("the audit log did not close as it should");
        }
        for socket in [
            &self.addresses.admin_socket,
            &self.addresses.workload_socket,
            &self.addresses.mcp_socket,
            &self.addresses.launch_socket,
        ] {
            // A socket that is left behind is recognised and replaced at the next start.
            let _ = std::fs::remove_file(socket);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
