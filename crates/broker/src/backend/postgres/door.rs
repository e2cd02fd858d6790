//! Connections to one server: few, with bounds on every wait, and over TLS unless the server is on this machine. The password is opened
//! for each new connection, so a replaced one is used from then on.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::name::CredentialName;
use bailiwick_store::{BadPostgresAddress, PostgresAddress};
use deadpool::managed::{self, Metrics, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use deadpool::{Runtime, managed::Object};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{CONNECTIONS, PostgresAt};
use crate::backend::{BackendError, StaticSecret};

/// A connection is there within this time.
const CONNECT: Duration = Duration::from_secs(5);
/// A round trip is over within this time; the server itself gives up a little earlier.
const ROUND_TRIP: Duration = Duration::from_secs(12);
/// Bounds that the server keeps, in milliseconds.
const OPTIONS: &str =
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000";

/// The way to one server.
pub(super) struct Door {
    pool: Pool<Opener>,
    opener: Opener,
}

#[derive(Clone)]
struct Opener {
    config: Config,
    secret: Option<CredentialName>,
    values: Arc<StaticSecret>,
    tls: Option<MakeRustlsConnect>,
}

impl Door {
    pub(super) fn new(
        address: &PostgresAddress,
        at: &PostgresAt,
        values: Arc<StaticSecret>,
    ) -> Result<Self, BadPostgresAddress> {
        let mut config = address.config.clone();
        config
            .application_name("bailiwick")
            .options(OPTIONS)
            .connect_timeout(CONNECT);
        let tls = address.verifier(at.ca_file.as_deref())?;
        let opener = Opener {
            config,
            secret: at.secret.clone(),
            values,
            tls,
        };
        let pool = Pool::builder(opener.clone())
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(ROUND_TRIP),
                create: Some(CONNECT),
                recycle: Some(CONNECT),
            })
            .build()
            .map_err(|error| BadPostgresAddress::Pool(error.to_string()))?;
        Ok(Self { pool, opener })
    }

    /// One round trip. Statements that belong together begin and commit by themselves: after an error the connection is given up, and
    /// with it what was not committed.
    pub(super) async fn say(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, BackendError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => BackendError::Transient("no connection in time".to_owned()),
            other => BackendError::Transient(other.to_string()),
        })?;
        match tokio::time::timeout(ROUND_TRIP, client.simple_query(text)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                drop(Object::take(client));
                Err(said(&error))
            }
            Err(_) => {
                drop(Object::take(client));
                Err(BackendError::Transient("no answer in time".to_owned()))
            }
        }
    }

    /// One round trip in another database of the server, over a connection of its own.
    pub(super) async fn say_in(&self, database: &str, text: &str) -> Result<(), BackendError> {
        let mut opener = self.opener.clone();
        opener.config.dbname(database);
        let client = tokio::time::timeout(CONNECT, opener.open()).await;
        let client =
            client.map_err(|_| BackendError::Transient("no connection in time".to_owned()))??;
        match tokio::time::timeout(ROUND_TRIP, client.simple_query(text)).await {
            Ok(answer) => answer.map(drop).map_err(|error| said(&error)),
            Err(_) => Err(BackendError::Transient("no answer in time".to_owned())),
        }
    }
}

impl Opener {
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
}

impl managed::Manager for Opener {
    type Type = Client;
    type Error = BackendError;

    async fn create(&self) -> Result<Client, BackendError> {
        self.open().await
    }

    async fn recycle(&self, client: &mut Client, _: &Metrics) -> RecycleResult<BackendError> {
        if client.is_closed() {
            return Err(RecycleError::message("it was closed"));
        }
        Ok(())
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
