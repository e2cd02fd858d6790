//! Where a server is that credentials are made at, whatever its kind: its URL, the sealed value that is its password, and who may vouch for
//! its certificate. Only a server on this machine is spoken to without TLS.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bailiwick_core::name::CredentialName;
use bailiwick_store::BadPostgresAddress;

/// Authorities of the system.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAt {
    /// `scheme://user@host:port/database`, without a password; how exactly, its kind says.
    pub url: String,
    /// The sealed value that is the user's password; none if it needs none.
    pub secret: Option<CredentialName>,
    /// Authorities that the server's certificate may be from, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A server that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    /// It is no PostgreSQL server's address.
    #[error(transparent)]
    Postgres(#[from] BadPostgresAddress),
    /// It is no URL of the right form.
    #[error("it is not of the form {0}")]
    Form(&'static str),
    /// It has a password in it, where it would be read by whoever reads the configuration.
    #[error("a password does not belong into it: name the secret that it is in")]
    Password,
    /// It names no user.
    #[error("it names no user")]
    User,
    /// It takes a token, which has no user.
    #[error("it takes a token and no user: `secret` names the sealed value that is the token")]
    Token,
    /// It would be spoken to in the clear over a network.
    #[error("it is not on this machine, so it is spoken to over TLS alone: write {0}")]
    Clear(&'static str),
    /// Connections to it cannot be kept.
    #[error("connections to it cannot be kept: {0}")]
    Pool(String),
    /// The authorities of its certificate cannot be had.
    #[error("{} cannot be used: {why}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl ServerAt {
    /// The certificates that its own may be from, in PEM.
    pub(super) fn authorities(&self) -> Result<Vec<u8>, BadServer> {
        let path = self.ca_file.as_deref().unwrap_or(Path::new(SYSTEM_CA));
        let bad = |why: String| BadServer::Authorities {
            path: path.to_owned(),
            why,
        };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        // Read once by our own rules, so that a file without a certificate is told at the start.
        bailiwick_crypto::tls::client_of(&pem).map_err(|error| bad(error.to_string()))?;
        Ok(pem)
    }
}

/// Whether this is the machine itself.
pub(super) fn is_here(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = name.parse().ok();
    name == "localhost" || address.is_some_and(|address| address.is_loopback())
}
