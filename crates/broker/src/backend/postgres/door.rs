//! Connections to one PostgreSQL server, over TLS unless it is on this machine.

use std::sync::Arc;

use bailiwick_core::name::CredentialName;
use bailiwick_store::PostgresAddress;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::backend::lines::{CONNECT, Lines, Opener, in_time};
use crate::backend::{BackendError, BadServer, ServerAt, StaticSecret};

/// Bounds that the server keeps, in milliseconds, a little earlier than ours.
const OPTIONS: &str =
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000";

/// The way to one server.
pub(super) struct Door {
    lines: Lines<Way>,
    way: Way,
}

#[derive(Clone)]
struct Way {
    config: Config,
    secret: Option<CredentialName>,
    values: Arc<StaticSecret>,
    tls: Option<MakeRustlsConnect>,
}

impl Door {
    pub(super) fn new(
        address: &PostgresAddress,
        at: &ServerAt,
        values: Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        let mut config = address.config.clone();
        config
            .application_name("bailiwick")
            .options(OPTIONS)
            .connect_timeout(CONNECT);
        let tls = address.verifier(at.ca_file.as_deref())?;
        let way = Way {
            config,
            secret: at.secret.clone(),
            values,
            tls,
        };
        let lines = Lines::new(way.clone())?;
        Ok(Self { lines, way })
    }

    /// One round trip. Statements that belong together begin and commit by themselves: after an error the connection is given up, and
    /// with it what was not committed.
    pub(super) async fn say(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, BackendError> {
        let mut line = self.lines.take().await?;
        let answer = in_time(line.on().simple_query(text)).await?;
        let answer = answer.map_err(|error| said(&error))?;
        line.keep();
        Ok(answer)
    }

    /// One round trip in another database of the server, over a connection of its own.
    pub(super) async fn say_in(&self, database: &str, text: &str) -> Result<(), BackendError> {
        let mut way = self.way.clone();
        way.config.dbname(database);
        let client = in_time(way.open()).await??;
        let answer = in_time(client.simple_query(text)).await?;
        answer.map(drop).map_err(|error| said(&error))
    }
}

impl Opener for Way {
    type Line = Client;

    async fn open(&self) -> Result<Client, BackendError> {
        let mut config = self.config.clone();
        if let Some(secret) = &self.secret {
            config.password(self.values.value(secret).await?.expose());
        }
        let client = match &self.tls {
            None => {
                let (client, connection) =
                    config.connect(NoTls).await.map_err(|error| said(&error))?;
                tokio::spawn(connection);
                client
            }
            Some(tls) => {
                let (client, connection) = config
                    .connect(tls.clone())
                    .await
                    .map_err(|error| said(&error))?;
                tokio::spawn(connection);
                client
            }
        };
        Ok(client)
    }

    async fn lives(&self, client: &mut Client) -> bool {
        !client.is_closed()
    }
}

/// What an error of the server or of the way there means. Its text has no statement in it, so no verifier either.
fn said(error: &tokio_postgres::Error) -> BackendError {
    let Some(answer) = error.as_db_error() else {
        // The cause is in the source: "error connecting to server" alone helps nobody.
        let cause = std::error::Error::source(error).map(ToString::to_string);
        return BackendError::Transient(cause.unwrap_or_else(|| error.to_string()));
    };
    let text = format!("{} ({})", answer.message(), answer.code().code());
    let lasting = [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::UNDEFINED_OBJECT,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        SqlState::SYNTAX_ERROR,
    ];
    if lasting.contains(answer.code()) {
        BackendError::Permanent(text)
    } else {
        BackendError::Transient(text)
    }
}
