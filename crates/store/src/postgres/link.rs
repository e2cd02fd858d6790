//! One connection, for one thread: statements wait for their answers, each no longer than a bound. What the driver wants to do beside
//! runs only meanwhile, on a runtime of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dialect::translate;
use crate::StoreError;
use crate::sql::{self, Column, Each, Failed, Param, Row};

/// A connection is there within this time.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer is there within this time; the server itself gives up a little earlier.
const ANSWER: Duration = Duration::from_secs(12);
/// Bounds that the server keeps, in milliseconds. Who holds the writers' lock and says nothing loses it before those who wait give up.
const OPTIONS: &str = "-c search_path=bailiwick -c statement_timeout=10000 -c lock_timeout=8000 \
     -c idle_in_transaction_session_timeout=5000 -c synchronous_commit=on -c client_encoding=UTF8 \
     -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3";
/// Prepared statements of one connection; beyond that all are forgotten.
const MAX_STATEMENTS: usize = 512;
/// Longest password file.
const MAX_PASSWORD: u64 = 4_096;

/// How connections are opened.
#[derive(Clone)]
pub(super) struct Opener {
    config: Config,
    password: Option<PathBuf>,
    tls: Option<MakeRustlsConnect>,
}

/// A connection.
pub(super) struct Link {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    lost: RefCell<Option<Lost>>,
    /// Told when the server has news on a channel that is listened to.
    news: Arc<Notify>,
}

/// What became of a transaction that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// The server gave it up for another one's sake: it can be run again at once.
    Again(String),
    /// The connection is gone, and what it had open with it.
    Gone(String),
}

impl Opener {
    pub(super) fn new(
        config: &Config,
        password: Option<PathBuf>,
        tls: Option<MakeRustlsConnect>,
    ) -> Self {
        let mut config = config.clone();
        config
            .application_name("bailiwick")
            .options(OPTIONS)
            .connect_timeout(CONNECT)
            // A replica would answer with an older state.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Self {
            config,
            password,
            tls,
        }
    }

    /// Opens one. The password is read each time, so a replaced one is used from then on.
    pub(super) fn open(&self) -> Result<Link, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut config = self.config.clone();
        if let Some(password) = self.password()? {
            config.password(password.expose());
        }
        let news = Arc::new(Notify::new());
        let late = |_| StoreError::Unavailable("the database cannot be reached in time".to_owned());
        let opening = async { tokio::time::timeout(CONNECT, self.connect(&config, &news)).await };
        let client = runtime.block_on(opening).map_err(late)??;
        Ok(Link {
            runtime: Some(runtime),
            client,
            statements: RefCell::default(),
            lost: RefCell::default(),
            news,
        })
    }

    async fn connect(&self, config: &Config, news: &Arc<Notify>) -> Result<Client, StoreError> {
        let refused = |error: tokio_postgres::Error| StoreError::Unavailable(words(&error));
        let client = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
                tokio::spawn(drive(connection, Arc::clone(news)));
                client
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await.map_err(refused)?;
                tokio::spawn(drive(connection, Arc::clone(news)));
                client
            }
        };
        Ok(client)
    }

    fn password(&self) -> Result<Option<Secret<String>>, StoreError> {
        let Some(path) = &self.password else {
            return Ok(None);
        };
        let unread = |why: String| {
            StoreError::Unavailable(format!(
                "the database's password cannot be read from {}: {why}",
                path.display()
            ))
        };
        let failed = |error: std::io::Error| unread(error.to_string());
        let file = std::fs::File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(unread(format!("others can read it (mode {mode:03o})")));
        }
        let mut text = String::new();
        file.take(MAX_PASSWORD)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Ok(Some(Secret::new(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        )))
    }
}

impl Link {
    /// Waits for `future` while the driver works; none if it takes longer than `bound`.
    fn wait<T>(&self, bound: Duration, future: impl Future<Output = T>) -> Result<T, Failed> {
        let Some(runtime) = &self.runtime else {
            return Err(self.gone("it is closed".to_owned()));
        };
        runtime
            .block_on(async { tokio::time::timeout(bound, future).await })
            .map_err(|_| self.gone("the database did not answer in time".to_owned()))
    }

    /// Waits until the server has news, or for `bound`.
    pub(super) fn wait_for_news(&self, bound: Duration) {
        if let Some(runtime) = &self.runtime {
            let waited = async { tokio::time::timeout(bound, self.news.notified()).await };
            // Without news the time is over, which is as good a reason to look.
            let _ = runtime.block_on(waited);
        }
    }

    /// Several statements without parameters in one round trip.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Failed> {
        self.batch_within(ANSWER, sql)
    }

    /// [`Self::batch`] for what may take longer.
    pub(super) fn batch_within(&self, bound: Duration, sql: &str) -> Result<(), Failed> {
        self.wait(bound, self.client.batch_execute(sql))?
            .map_err(|error| self.said(&error))
    }

    /// The first column of the only row.
    pub(super) fn value<T: Column>(
        &self,
        sql: &str,
        params: &[&dyn Param],
    ) -> Result<Option<T>, Failed> {
        let mut found = None;
        let each = &mut |row: &Row<'_>| {
            found = row.get(0)?;
            Ok(ControlFlow::Break(()))
        };
        sql::Connection::query(self, sql, params, each)?;
        Ok(found)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Takes what is known of a lost transaction, so that the next one can begin.
    pub(super) fn take_lost(&self) -> Option<Lost> {
        self.lost.borrow_mut().take()
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Failed> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let text = translate(sql);
        let statement = self
            .wait(ANSWER, self.client.prepare(&text))?
            .map_err(|error| self.said(&error))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= MAX_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn gone(&self, why: String) -> Failed {
        *self.lost.borrow_mut() = Some(Lost::Gone(why.clone()));
        Failed::Other(StoreError::Unavailable(why))
    }

    /// What an error of the server or of the way there means.
    fn said(&self, error: &tokio_postgres::Error) -> Failed {
        let Some(answer) = error.as_db_error() else {
            if error.is_closed() || self.client.is_closed() || is_io(error) {
                return self.gone(words(error));
            }
            return Failed::Other(StoreError::Defect(words(error)));
        };
        let text = words(error);
        let code = answer.code();
        if is_for_another(answer) {
            *self.lost.borrow_mut() = Some(Lost::Again(text.clone()));
            return Failed::Other(StoreError::Unavailable(text));
        }
        match *code {
            SqlState::UNIQUE_VIOLATION => Failed::Taken,
            SqlState::FOREIGN_KEY_VIOLATION => Failed::Dangling,
            SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER => {
                Failed::Text
            }
            SqlState::IN_FAILED_SQL_TRANSACTION => Failed::Other(StoreError::Defect(
                "a statement ran after one that failed".to_owned(),
            )),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => {
                Failed::Other(sql::damaged("database", &text))
            }
            _ => match code.code().get(..2) {
                // Connection, resources, operators, system: nothing of ours is wrong.
                Some("08" | "53" | "57" | "58" | "F0") => self.gone(text),
                Some("25" | "28" | "42") if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                    self.gone(text)
                }
                _ => Failed::Other(StoreError::Defect(text)),
            },
        }
    }
}

impl sql::Connection for Link {
    fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Failed> {
        let statement = self.prepared(sql)?;
        let params = values(params);
        self.wait(ANSWER, self.client.execute(&statement, &params))?
            .map_err(|error| self.said(&error))
    }

    fn query(&self, sql: &str, params: &[&dyn Param], each: &mut Each<'_>) -> Result<(), Failed> {
        let statement = self.prepared(sql)?;
        let params = values(params);
        let rows = self
            .wait(ANSWER, self.client.query(&statement, &params))?
            .map_err(|error| self.said(&error))?;
        for row in &rows {
            if each(&Row::Postgres(row)).map_err(Failed::Other)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn command(&self, sql: &str) -> Result<(), StoreError> {
        self.batch(sql).map_err(as_error)
    }

    fn lost(&self) -> Option<StoreError> {
        let lost = self.lost.borrow();
        lost.as_ref().map(|(Lost::Again(why) | Lost::Gone(why))| {
            StoreError::Unavailable(format!("the transaction was lost: {why}"))
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A runtime must not be waited for where async tasks run, and a store may be dropped there.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a failed statement of the engine itself comes to.
pub(super) fn as_error(failed: Failed) -> StoreError {
    match failed {
        Failed::Other(error) => error,
        other => StoreError::Defect(format!("a statement of the engine failed: {other:?}")),
    }
}

fn values<'p>(params: &'p [&'p dyn Param]) -> Vec<&'p (dyn ToSql + Sync)> {
    params
        .iter()
        .map(|param| *param as &(dyn ToSql + Sync))
        .collect()
}

/// Works for the connection until it ends.
async fn drive<S, T>(mut connection: Connection<S, T>, news: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            news.notify_one();
        }
    }
}

/// Whether the server gave a transaction up for the sake of another one.
pub(super) fn is_for_another(answer: &DbError) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(answer.code())
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// An error with its cause: "error connecting to server" alone helps nobody. There is neither a statement nor a value in it.
fn words(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
