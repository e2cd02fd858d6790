//! A running tool server, and an agent whose stdin and stdout the test holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Secret;
use bailiwick_crypto::system::SystemClock;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::{self, AgentConfig, AgentError, Authorise, BoxError, Headers, Opening};
use crate::workspace::{self, Journal, Pace, Place, Record, WorkspaceConfig, WorkspaceError};

pub(super) const TOKEN: &str = "the-workspace-token";
pub(super) const CANARY: &str = "canary-5f1d";

/// An export that outlives every test.
pub(super) fn slow() -> Pace {
    Pace {
        parts: 10_000,
        every: Duration::from_millis(10),
    }
}

/// What a test waits for comes within this time, or the test fails.
pub(super) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), event)
        .await
        .expect("it happens soon")
}

pub(super) fn place(directory: &TempDir, pace: Pace) -> Place {
    let path = |name: &str| directory.path().join(name);
    Place {
        root: path("root"),
        database: path("orders.db"),
        journal: path("journal"),
        canary: CANARY.to_owned(),
        pace,
    }
}

pub(super) fn config(directory: &TempDir, pace: Pace) -> WorkspaceConfig {
    let listen = "127.0.0.1:0".parse().unwrap();
    WorkspaceConfig {
        place: place(directory, pace),
        bearer: Secret::new(TOKEN.to_owned()),
        listen,
    }
}

pub(super) fn records(journal: &PathBuf) -> Vec<Record> {
    std::fs::read_to_string(journal)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The tool server.
pub(super) struct Party {
    pub(super) url: String,
    pub(super) journal: Journal,
    pub(super) directory: TempDir,
    stop: CancellationToken,
    running: JoinHandle<Result<(), WorkspaceError>>,
}

impl Party {
    pub(super) async fn start(pace: Pace) -> Self {
        bailiwick_crypto::tls::install_default_provider();
        let directory = tempfile::tempdir().unwrap();
        let workspace = workspace::serve(config(&directory, pace), Arc::new(SystemClock))
            .await
            .unwrap();
        let (url, journal, stop) = (
            workspace.url(),
            workspace.journal(),
            CancellationToken::new(),
        );
        let running = tokio::spawn(workspace.run(stop.clone()));
        Self {
            url,
            journal,
            directory,
            stop,
            running,
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        records(&self.directory.path().join("journal"))
    }

    pub(super) async fn stop(self) -> Vec<Record> {
        self.stop.cancel();
        soon(self.running).await.unwrap().unwrap();
        records(&self.directory.path().join("journal"))
    }
}

/// A fixed `Authorization`.
pub(super) struct Bearer(pub(super) String);

impl Bearer {
    /// What the tool server insists on.
    pub(super) fn right() -> Self {
        Self(format!("Bearer {TOKEN}"))
    }
}

impl Authorise for Bearer {
    fn headers<'a>(
        &'a self,
        _method: &'a Method,
        _url: &'a str,
    ) -> BoxFuture<'a, Result<Headers, BoxError>> {
        Box::pin(async move { Ok(vec![(AUTHORIZATION, HeaderValue::from_str(&self.0)?)]) })
    }

    fn learn_nonce(&self, _nonce: &str) {}
}

/// The agent.
pub(super) struct Script {
    commands: DuplexStream,
    answers: Lines<BufReader<DuplexStream>>,
    running: JoinHandle<Result<(), AgentError>>,
}

impl Script {
    pub(super) fn start(url: &str, opening: Opening, authoriser: Arc<dyn Authorise>) -> Self {
        bailiwick_crypto::tls::install_default_provider();
        let (commands, stdin) = tokio::io::duplex(1 << 16);
        let (stdout, answers) = tokio::io::duplex(1 << 16);
        let config = AgentConfig {
            url: url.to_owned(),
            opening,
        };
        let running = tokio::spawn(agent::run(config, authoriser, stdin, stdout));
        Self {
            commands,
            answers: BufReader::new(answers).lines(),
            running,
        }
    }

    pub(super) async fn tell(&mut self, command: Value) {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await
            .unwrap();
    }

    pub(super) async fn next(&mut self) -> Value {
        let line = soon(self.answers.next_line())
            .await
            .unwrap()
            .expect("the agent answers");
        serde_json::from_str(&line).unwrap()
    }

    pub(super) async fn ask(&mut self, command: Value) -> Value {
        self.tell(command).await;
        self.next().await
    }

    pub(super) async fn close(mut self) -> Result<(), AgentError> {
        self.tell(serde_json::json!({"close": true})).await;
        soon(self.running).await.unwrap()
    }

    /// Closes stdin, as the end of the parent does.
    pub(super) async fn hang_up(self) -> Result<(), AgentError> {
        let Self {
            commands,
            mut answers,
            running,
        } = self;
        drop(commands);
        while let Ok(Some(_)) = soon(answers.next_line()).await {}
        soon(running).await.unwrap()
    }

    /// The next answer that is not progress.
    pub(super) async fn next_answer(&mut self) -> Value {
        loop {
            let answer = self.next().await;
            if answer.get("progress").is_none() {
                return answer;
            }
        }
    }

    pub(super) async fn ended(self) -> Result<(), AgentError> {
        soon(self.running).await.unwrap()
    }
}
