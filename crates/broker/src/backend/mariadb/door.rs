//! Connections to one MariaDB server, over TLS unless it is on this machine and no authorities are named for it.

use std::sync::Arc;

use bailiwick_core::name::CredentialName;
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts};

use crate::backend::lines::{Line, Lines, Opener, in_time};
use crate::backend::server_at::is_here;
use crate::backend::{BackendError, BadServer, ServerAt, StaticSecret};

const FORM: &str = "mariadb://user@host:3306/database";
/// Bounds that the server keeps, in seconds, a little earlier than ours; and texts read as they are written here.
const SETUP: &str =
    "SET SESSION max_statement_time = 10, lock_wait_timeout = 5, sql_mode = '', NAMES utf8mb4";
/// Errors of the server that trying again does not mend: no right, no such role, a user that is there already, no such plugin, syntax.
const LASTING: [u16; 9] = [1044, 1045, 1064, 1142, 1227, 1396, 1524, 1959, 4151];

/// Where a server is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    opts: Opts,
    /// Name, address, or path of its socket.
    pub(super) host: String,
    pub(super) port: u16,
    /// Empty if none is named.
    pub(super) database: String,
    is_here: bool,
}

/// The way to one server.
pub(super) struct Door(Lines<Way>);

struct Way {
    opts: OptsBuilder,
    secret: Option<CredentialName>,
    values: Arc<StaticSecret>,
}

impl Address {
    /// Takes a URL apart and refuses what cannot be kept. A socket's path stands as host, percent-encoded.
    pub(super) fn parse(url: &str) -> Result<Self, BadServer> {
        let rest = url
            .strip_prefix("mariadb://")
            .filter(|rest| !rest.contains(['?', '#']))
            .ok_or(BadServer::Form(FORM))?;
        let opts = Opts::from_url(&format!("mysql://{rest}"));
        let opts = opts.map_err(|_| BadServer::Form(FORM))?;
        if opts.pass().is_some() {
            return Err(BadServer::Password);
        }
        if opts.user().is_none_or(str::is_empty) {
            return Err(BadServer::User);
        }
        let host = opts
            .ip_or_hostname()
            .replace("%2F", "/")
            .replace("%2f", "/");
        Ok(Self {
            is_here: host.starts_with('/') || is_here(&host),
            port: opts.tcp_port(),
            database: opts.db_name().unwrap_or_default().to_owned(),
            host,
            opts,
        })
    }
}

impl Door {
    pub(super) fn new(
        address: Address,
        at: &ServerAt,
        values: Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        let mut opts = OptsBuilder::from_opts(address.opts)
            // Ours is to make users, not to read what they read.
            .db_name(None::<String>)
            .prefer_socket(false)
            .stmt_cache_size(0)
            .setup(vec![SETUP]);
        if address.host.starts_with('/') {
            opts = opts
                .ip_or_hostname("localhost")
                .socket(Some(address.host))
                .prefer_socket(true);
        } else if !address.is_here || at.ca_file.is_some() {
            let authorities = SslOpts::default()
                .with_disable_built_in_roots(true)
                .with_root_certs(vec![at.authorities()?.into()]);
            opts = opts.ssl_opts(authorities);
        }
        Lines::new(Way {
            opts,
            secret: at.secret.clone(),
            values,
        })
        .map(Self)
    }

    /// What a statement finds.
    pub(super) async fn ask<T: FromRow + Send + 'static>(
        &self,
        text: String,
    ) -> Result<Vec<T>, BackendError> {
        let mut line = self.0.take().await?;
        let rows = in_time(line.on().query(text)).await?;
        let rows = rows.map_err(|error| said(&error))?;
        line.keep();
        Ok(rows)
    }

    /// Statements, one after the other until one fails.
    pub(super) async fn tell(&self, statements: &[String]) -> Result<(), BackendError> {
        let mut line: Line<Way> = self.0.take().await?;
        for text in statements {
            let done = in_time(line.on().query_drop(text)).await?;
            done.map_err(|error| said(&error))?;
        }
        line.keep();
        Ok(())
    }
}

impl Opener for Way {
    type Line = Conn;

    async fn open(&self) -> Result<Conn, BackendError> {
        let mut opts = self.opts.clone();
        if let Some(secret) = &self.secret {
            opts = opts.pass(Some(self.values.value(secret).await?.expose().as_str()));
        }
        Conn::new(opts).await.map_err(|error| said(&error))
    }

    async fn lives(&self, line: &mut Conn) -> bool {
        line.ping().await.is_ok()
    }
}

/// What an error of the server or of the way there means.
fn said(error: &Error) -> BackendError {
    match error {
        Error::Server(answer) if LASTING.contains(&answer.code) => {
            BackendError::Permanent(format!("{} ({})", answer.message, answer.code))
        }
        Error::Server(answer) => {
            BackendError::Transient(format!("{} ({})", answer.message, answer.code))
        }
        other => BackendError::Transient(other.to_string()),
    }
}
