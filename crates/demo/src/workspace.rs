//! The tool server of the demo: files, notes and one table of orders, over streamable HTTP with a bearer token, or over stdio.
//!
//! Its journal is the demo's witness of what truly ran: a call stands there before the tool acts, or it did not run.

mod catalogue;
mod export;
mod failure;
mod files;
mod handler;
mod http;
mod journal;
mod orders;
mod seed;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Clock, Code, Fault, Secret};
use rmcp::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use export::Pace;
pub use handler::Tools;
pub use journal::{Journal, Outcome, Record};

/// Where the tool server keeps what it serves.
#[derive(Debug, Clone)]
pub struct Place {
    /// Directory of the files; made and filled when it does not exist.
    pub root: PathBuf,
    /// SQLite database with the table `orders`; made and filled when it does not exist.
    pub database: PathBuf,
    /// Journal of the calls that ran, JSON lines; only ever appended to.
    pub journal: PathBuf,
    /// Fake secret that a new `secrets/prod.env` holds, for the caller to look for where it must not be.
    pub canary: String,
    /// How long `export_all` takes.
    pub pace: Pace,
}

/// A tool server over streamable HTTP.
#[derive(Debug)]
pub struct WorkspaceConfig {
    /// What is served.
    pub place: Place,
    /// The token that every request must present as `Authorization: Bearer …`.
    pub bearer: Secret<String>,
    /// Loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Why the tool server did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The caller named an address that others can reach.
    #[error("the demo's tool server would listen on {0}, which is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The caller gave no token to insist on.
    #[error("the bearer token of the demo's tool server is empty")]
    NoBearer,
    /// A file or directory of the place cannot be used.
    #[error("{path} cannot be used")]
    Place {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error("the database {path} cannot be used")]
    Database {
        /// Which one.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The ready line could not be written: nobody waits for this server.
    #[error("the ready line cannot be written")]
    Ready(#[source] std::io::Error),
    /// Serving failed.
    #[error("the tool server stopped serving")]
    Serve(#[source] std::io::Error),
    /// The peer on stdio did not open an MCP connection.
    #[error("no MCP connection was opened on stdio")]
    Opening(#[source] Box<rmcp::service::ServerInitializeError>),
}

impl Fault for WorkspaceError {
    fn code(&self) -> Code {
        match self {
            Self::NotLoopback(_) | Self::NoBearer => Code::ConfigInvalid,
            Self::Place { .. } => Code::DataDir,
            Self::Database { .. } => Code::StoreUnavailable,
            Self::Listen { .. } => Code::PortInUse,
            Self::Ready(_) | Self::Serve(_) => Code::Internal,
            Self::Opening(_) => Code::EnvelopeInvalid,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotLoopback(_) => "Give a loopback address such as 127.0.0.1:0.".into(),
            Self::NoBearer => "Give a token of at least one character.".into(),
            Self::Place { .. } | Self::Database { .. } => {
                "Give a directory that this user can write.".into()
            }
            Self::Listen { .. } => "Give port 0 to take a free one.".into(),
            Self::Ready(_) | Self::Serve(_) | Self::Opening(_) => String::new(),
        }
    }
}

/// A tool server that listens but does not serve yet.
#[derive(Debug)]
pub struct Workspace {
    listener: TcpListener,
    address: SocketAddr,
    bearer: Secret<String>,
    tools: Tools,
}

/// Opens the place and the listener. Calls are answered once [`Workspace::run`] is polled.
pub async fn serve(
    config: WorkspaceConfig,
    clock: Arc<dyn Clock>,
) -> Result<Workspace, WorkspaceError> {
    let WorkspaceConfig {
        place,
        bearer,
        listen,
    } = config;
    if !listen.ip().is_loopback() {
        return Err(WorkspaceError::NotLoopback(listen));
    }
    if bearer.expose().is_empty() {
        return Err(WorkspaceError::NoBearer);
    }
    let tools = open(&place, clock)?;
    let bound = async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = bound.await.map_err(|source| WorkspaceError::Listen {
        address: listen,
        source,
    })?;
    Ok(Workspace {
        listener,
        address,
        bearer,
        tools,
    })
}

impl Workspace {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The journal of the calls that ran.
    pub fn journal(&self) -> Journal {
        self.tools.journal()
    }

    /// Serves until `stop` is cancelled; then calls that still run are cut and written to the journal before this returns.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkspaceError> {
        let Self {
            listener,
            bearer,
            tools,
            ..
        } = self;
        let mut serving =
            std::pin::pin!(http::serve(listener, bearer, tools.clone(), stop.clone()));
        let early = tokio::select! {
            served = &mut serving => Some(served),
            () = stop.cancelled() => None,
        };
        let served = match early {
            Some(served) => {
                tools.stop(WIND_DOWN).await;
                served
            }
            None => tokio::join!(serving, tools.stop(WIND_DOWN)).0,
        };
        served.map_err(WorkspaceError::Serve)
    }
}

/// The whole life of the process `demo workspace`: serve, print the ready line `{"ready":true,"url":…}` to `ready`, and stop
/// when `lifeline` (its stdin) closes, so that it never outlives its parent.
pub async fn run(
    config: WorkspaceConfig,
    clock: Arc<dyn Clock>,
    mut ready: impl AsyncWrite + Unpin,
    lifeline: impl AsyncRead + Unpin,
) -> Result<(), WorkspaceError> {
    let workspace = serve(config, clock).await?;
    let line = format!(
        "{}\n",
        serde_json::json!({"ready": true, "url": workspace.url()})
    );
    ready
        .write_all(line.as_bytes())
        .await
        .map_err(WorkspaceError::Ready)?;
    ready.flush().await.map_err(WorkspaceError::Ready)?;
    let stop = CancellationToken::new();
    let mut running = std::pin::pin!(workspace.run(stop.clone()));
    tokio::select! {
        served = &mut running => return served,
        () = closed(lifeline) => stop.cancel(),
    }
    running.await
}

/// The same tools for one peer over a pair of pipes (MCP's stdio transport), until the peer closes its end. No token is asked
/// for: whoever holds the pipes is the parent. The journal has each call's arguments as rmcp read them, not byte for byte.
pub async fn serve_stdio<R, W>(
    place: Place,
    clock: Arc<dyn Clock>,
    input: R,
    output: W,
) -> Result<(), WorkspaceError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let tools = open(&place, clock)?;
    let service = tools
        .clone()
        .serve((input, output))
        .await
        .map_err(|error| WorkspaceError::Opening(Box::new(error)))?;
    let ended = service
        .waiting()
        .await
        .map_err(|error| WorkspaceError::Serve(std::io::Error::other(error)));
    tools.stop(WIND_DOWN).await;
    ended.map(|_| ())
}

/// The tools on their place, which is filled first if it is new.
fn open(place: &Place, clock: Arc<dyn Clock>) -> Result<Tools, WorkspaceError> {
    let place_error = |path: &std::path::Path, source| WorkspaceError::Place {
        path: path.to_owned(),
        source,
    };
    seed::files(&place.root, &place.canary).map_err(|source| place_error(&place.root, source))?;
    let files =
        files::Files::open(&place.root).map_err(|source| place_error(&place.root, source))?;
    let orders =
        orders::Orders::open(&place.database).map_err(|source| WorkspaceError::Database {
            path: place.database.clone(),
            source,
        })?;
    let journal = Journal::open(&place.journal, clock)
        .map_err(|source| place_error(&place.journal, source))?;
    Ok(Tools::new(files, orders, journal, place.pace))
}

/// Resolves when the other end of `lifeline` is gone; what it sends is dropped.
async fn closed(mut lifeline: impl AsyncRead + Unpin) {
    let mut dropped = [0; 256];
    while let Ok(1..) = lifeline.read(&mut dropped).await {}
}

/// How long calls that are being cut may take to reach the journal.
const WIND_DOWN: Duration = Duration::from_secs(2);
