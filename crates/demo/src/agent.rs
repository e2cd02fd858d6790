//! The scripted agent of the demo: an rmcp client that calls tools as its stdin says and reports what it got on stdout.
//!
//! It does what the lines tell it, also what policy will refuse: what holds an agent back must not be the agent.

mod answer;
mod authorise;
mod command;
mod denial;
mod http;
mod script;
mod sse;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Code, Fault};
use rmcp::ServiceExt as _;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::io::{AsyncRead, AsyncWrite};

pub use authorise::{Authorise, BoxError, Headers};
pub use command::{Act, Command};
pub use denial::Denial;
pub use http::{AuthorisedHttp, HttpError};

/// How the agent opens its MCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opening {
    /// `initialize`, as in the revisions up to 2025-11-25.
    #[default]
    Initialize,
    /// `server/discover` of 2026-07-28, and `initialize` if the server does not know it.
    Auto,
}

/// Which server the agent works with.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// URL of the MCP endpoint.
    pub url: String,
    /// How the connection is opened.
    pub opening: Opening,
}

/// Why the agent did not start or stopped before its commands did.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// The endpoint refused the agent.
    #[error("{url} refused the agent: {denial}")]
    Refused {
        /// The endpoint.
        url: String,
        /// What it said.
        denial: Box<Denial>,
    },
    /// No MCP connection.
    #[error("no MCP connection to {url}")]
    Opening {
        /// The endpoint.
        url: String,
        /// What went wrong.
        #[source]
        source: Box<ClientInitializeError>,
    },
    /// Commands cannot be read.
    #[error("the commands cannot be read")]
    Commands(#[source] std::io::Error),
    /// Answers cannot be written: nobody listens.
    #[error("the answers cannot be written")]
    Answers(#[source] std::io::Error),
}

impl Fault for AgentError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } => Code::NotPermitted,
            Self::Opening { .. } => Code::NodeUnreachable,
            Self::Client(_) | Self::Commands(_) | Self::Answers(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Opening { url, .. } => format!("Check that an MCP server answers at {url}."),
            _ => String::new(),
        }
    }
}

/// The whole life of the process `demo agent`: connect, print the ready line, run the commands of `commands` (one JSON object a
/// line, see [`Command`]) and answer each on `answers` (one JSON object a line). Calls run beside each other, at most
/// [`script::MOST_CALLS`]. When `commands` ends, running calls are cancelled, so that the agent never outlives its parent.
///
/// The process must have a TLS provider installed before this is called, also for plain HTTP: reqwest asks for it.
pub async fn run(
    config: AgentConfig,
    authoriser: Arc<dyn Authorise>,
    commands: impl AsyncRead + Unpin + Send,
    answers: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<(), AgentError> {
    let (writer, written) = answer::Answers::start(answers);
    let ran = async {
        let http = AuthorisedHttp::new(authoriser).map_err(AgentError::Client)?;
        let progress = script::Progress::default();
        let client = Client {
            progress: progress.clone(),
            answers: writer.clone(),
        };
        match open(&config, http, client).await {
            Ok(mut session) => {
                writer.send(answer::ready(session.peer())).await;
                let ran = script::run(session.peer(), &progress, commands, &writer).await;
                if let Err(error) = session.close_with_timeout(FAREWELL).await {
                    tracing::warn!(%error, "the MCP session did not end cleanly");
                }
                ran.map_err(AgentError::Commands)
            }
            Err(error) => {
                let denial = Denial::of_opening(&error);
                writer.send(answer::not_ready(&denial)).await;
                Err(match denial.status {
                    Some(_) => AgentError::Refused {
                        url: config.url.clone(),
                        denial: Box::new(denial),
                    },
                    None => AgentError::Opening {
                        url: config.url.clone(),
                        source: Box::new(error),
                    },
                })
            }
        }
    };
    let ran = ran.await;
    drop(writer);
    let written = written
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
    ran.and(written.map_err(AgentError::Answers))
}

/// The client side of the session: it only listens for progress.
struct Client {
    progress: script::Progress,
    answers: answer::Answers,
}

impl rmcp::ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("bailiwick-demo-agent", env!("CARGO_PKG_VERSION")),
        )
        .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_progress(
        &self,
        params: rmcp::model::ProgressNotificationParam,
        _context: rmcp::service::NotificationContext<rmcp::RoleClient>,
    ) {
        if let Some(id) = self.progress.call(&params.progress_token) {
            self.answers.send(answer::progress(&id, &params)).await;
        }
    }
}

async fn open(
    config: &AgentConfig,
    http: AuthorisedHttp,
    client: Client,
) -> Result<rmcp::service::RunningService<rmcp::RoleClient, Client>, ClientInitializeError> {
    let mut transport = StreamableHttpClientTransportConfig::with_uri(config.url.as_str());
    // A cut stream must show as one, and a lost session as lost: nothing is repaired behind the script's back.
    transport.retry_config = Arc::new(NeverRetry::default());
    transport.reinit_on_expired_session = false;
    transport.max_concurrent_requests = script::MOST_CALLS;
    let transport = StreamableHttpClientTransport::with_client(http, transport);
    match config.opening {
        Opening::Initialize => client.serve(transport).await,
        Opening::Auto => {
            let lifecycle = ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            };
            client.serve_with_lifecycle(transport, lifecycle).await
        }
    }
}

/// Time that the end of the session (`DELETE`) may take.
const FAREWELL: Duration = Duration::from_secs(6);
