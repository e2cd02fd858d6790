//! The nodes of a Redis backend. Each is asked everything: users of one are unknown to the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisError, TlsCertificates, Value,
};
use bailiwick_core::name::CredentialName;

use crate::backend::lines::{CONNECT, Lines, Opener, in_time};
use crate::backend::server_at::is_here;
use crate::backend::{BackendError, BadServer, ServerAt, StaticSecret};

const FORM: &str = "rediss://user@host:6379";
/// Most nodes of one backend.
const MAX_NODES: usize = 32;
/// What ACL SAVE says where users are not kept in a file of their own.
const NO_FILE: &str = "not configured to use an ACL file";
/// Errors of the server that trying again does not mend.
const LASTING: [&str; 5] = ["NOPERM", "WRONGPASS", "NOAUTH", "ERR", "WRONGTYPE"];

/// All nodes, in the order in which they are named.
pub(super) struct Nodes {
    lines: Vec<Lines<Door>>,
    access: BTreeMap<String, String>,
}

struct Door {
    info: ConnectionInfo,
    /// What its certificate is from; none if it is spoken to without TLS.
    authorities: Option<Vec<u8>>,
    secret: Option<CredentialName>,
    values: Arc<StaticSecret>,
}

/// The nodes that an address names, apart by spaces.
pub(super) fn addresses(at: &ServerAt) -> Result<Vec<ConnectionInfo>, BadServer> {
    let urls: Vec<&str> = at.url.split_whitespace().collect();
    if urls.is_empty() || urls.len() > MAX_NODES {
        return Err(BadServer::Form(FORM));
    }
    urls.into_iter().map(address).collect()
}

fn address(url: &str) -> Result<ConnectionInfo, BadServer> {
    // After `#` the driver takes orders, not to look at the certificate among them.
    if url.contains(['#', '?']) {
        return Err(BadServer::Form(FORM));
    }
    let (url, user) = match url.strip_prefix("unix://") {
        // The driver takes the user of a socket from a query, the password of one from there too.
        Some(rest) => {
            let (user, path) = rest.split_once('@').ok_or(BadServer::User)?;
            (format!("unix://{path}"), Some(user.to_owned()))
        }
        None => (url.to_owned(), None),
    };
    let info = url
        .into_connection_info()
        .map_err(|_| BadServer::Form(FORM))?;
    if info.redis_settings().password().is_some()
        || user.as_ref().is_some_and(|user| user.contains(':'))
    {
        return Err(BadServer::Password);
    }
    let settings = info.redis_settings().clone();
    let user = user.or_else(|| settings.username().map(str::to_owned));
    let user = user
        .filter(|user| !user.is_empty())
        .ok_or(BadServer::User)?;
    match info.addr() {
        ConnectionAddr::Tcp(host, _) if !is_here(host) => Err(BadServer::Clear(FORM)),
        _ => {
            let settings = settings.set_username(user).set_skip_set_lib_name();
            Ok(info.set_redis_settings(settings))
        }
    }
}

impl Nodes {
    pub(super) fn new(at: &ServerAt, values: &Arc<StaticSecret>) -> Result<Self, BadServer> {
        let addresses = addresses(at)?;
        let access = addresses.first().map(access).unwrap_or_default();
        let mut lines = Vec::new();
        for info in addresses {
            let over_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
            lines.push(Lines::new(Door {
                authorities: over_tls.then(|| at.authorities()).transpose()?,
                info,
                secret: at.secret.clone(),
                values: Arc::clone(values),
            })?);
        }
        Ok(Self { lines, access })
    }

    /// What a holder is told of the first node.
    pub(super) fn access(&self) -> BTreeMap<String, String> {
        self.access.clone()
    }

    /// Each node's answers to all of these. An error in an answer is one.
    pub(super) async fn each(&self, all: &[Cmd]) -> Result<Vec<Vec<Value>>, BackendError> {
        let answers = self.each_whatever(all).await?;
        for answer in answers.iter().flatten() {
            if let Value::ServerError(error) = answer {
                return Err(said(&RedisError::from(error.clone())));
            }
        }
        Ok(answers)
    }

    /// Each node's answers to all of these, errors among them.
    pub(super) async fn each_whatever(&self, all: &[Cmd]) -> Result<Vec<Vec<Value>>, BackendError> {
        let mut answers = Vec::with_capacity(self.lines.len());
        let mut pipeline = ::redis::pipe();
        for one in all {
            pipeline.add_command(one.clone());
        }
        for lines in &self.lines {
            if all.is_empty() {
                answers.push(Vec::new());
                continue;
            }
            let mut line = lines.take().await?;
            let asked = line.on().send_packed_commands(&pipeline, 0, all.len());
            let answer = in_time(asked).await?.map_err(|error| said(&error))?;
            line.keep();
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Has each node write its users to their file, if it keeps them in one.
    pub(super) async fn save(&self) -> Result<(), BackendError> {
        let save = ::redis::cmd("ACL").arg("SAVE").take();
        for answer in self.each_whatever(&[save]).await?.iter().flatten() {
            if let Value::ServerError(error) = answer {
                let told = error.details().unwrap_or_default();
                if !told.contains(NO_FILE) {
                    return Err(BackendError::Transient(format!(
                        "users are not saved: {told}"
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Opener for Door {
    type Line = MultiplexedConnection;

    async fn open(&self) -> Result<MultiplexedConnection, BackendError> {
        let mut settings = self.info.redis_settings().clone();
        if let Some(secret) = &self.secret {
            settings = settings.set_password(self.values.value(secret).await?.expose());
        }
        let info = self.info.clone().set_redis_settings(settings);
        let client = match &self.authorities {
            Some(pem) => {
                let authorities = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                };
                Client::build_with_tls(info, authorities)
            }
            None => Client::open(info),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(PATIENCE));
        let client = client.map_err(|error| said(&error))?;
        let opened = client.get_multiplexed_async_connection_with_config(&config);
        opened.await.map_err(|error| said(&error))
    }

    async fn lives(&self, line: &mut MultiplexedConnection) -> bool {
        line.send_packed_command(&::redis::cmd("PING"))
            .await
            .is_ok()
    }
}

/// The driver's own bound; ours is above it.
const PATIENCE: Duration = Duration::from_secs(10);

fn access(info: &ConnectionInfo) -> BTreeMap<String, String> {
    let (scheme, host, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) => ("redis", host.clone(), port.to_string()),
        ConnectionAddr::TcpTls { host, port, .. } => ("rediss", host.clone(), port.to_string()),
        ConnectionAddr::Unix(path) => ("unix", path.display().to_string(), "0".to_owned()),
        _ => return BTreeMap::new(),
    };
    let access = [
        ("scheme", scheme.to_owned()),
        ("host", host),
        ("port", port),
        ("database", info.redis_settings().db().to_string()),
    ];
    access
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What an error of the server or of the way there means. Commands are not in it, so no hash either.
fn said(error: &RedisError) -> BackendError {
    let lasting = error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| LASTING.contains(&code));
    if lasting {
        BackendError::Permanent(error.to_string())
    } else {
        BackendError::Transient(error.to_string())
    }
}
