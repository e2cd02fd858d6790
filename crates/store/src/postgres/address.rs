//! Where a PostgreSQL server is, and how it is spoken to: over TLS unless everything on the way there is this machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bailiwick_crypto::tls;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Authorities of the system.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server's address, taken apart and found good.
#[derive(Debug, Clone)]
pub struct PostgresAddress {
    /// For the driver, without a password.
    pub config: Config,
    /// Name, address, or directory of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Whether everything on the way there is this machine.
    pub local: bool,
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPostgresAddress {
    /// It is no URL of the right form.
    #[error("it is not of the form postgresql://user@host:port/database")]
    Form,
    /// It has a password in it, where it would be read by whoever reads the configuration.
    #[error("a password does not belong into it: name the secret or the file that it is in")]
    Password,
    /// It names no user.
    #[error("it names no user")]
    User,
    /// It has options.
    #[error("it takes no options but user, host, port and database")]
    Options,
    /// It names no server, or several.
    #[error("it names one server")]
    Servers,
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

impl PostgresAddress {
    /// Takes a URL apart and refuses what cannot be kept.
    pub fn parse(url: &str) -> Result<Self, BadPostgresAddress> {
        let mut config: Config = url.parse().map_err(|_| BadPostgresAddress::Form)?;
        if config.get_password().is_some() {
            return Err(BadPostgresAddress::Password);
        }
        if config.get_user().is_none() {
            return Err(BadPostgresAddress::User);
        }
        if config.get_options().is_some() || !config.get_hostaddrs().is_empty() {
            return Err(BadPostgresAddress::Options);
        }
        let [host] = config.get_hosts() else {
            return Err(BadPostgresAddress::Servers);
        };
        let (host, local) = match host {
            Host::Tcp(name) => (name.clone(), is_loopback(name)),
            Host::Unix(path) => (path.display().to_string(), true),
        };
        let port = config.get_ports().first().copied().unwrap_or(5_432);
        let database = config.get_dbname().unwrap_or("postgres").to_owned();
        config.ssl_mode(if local {
            SslMode::Disable
        } else {
            SslMode::Require
        });
        Ok(Self {
            config,
            host,
            port,
            database,
            local,
        })
    }

    /// What checks the server's certificate; none if it is spoken to without TLS. `authorities` is a file of PEM certificates, those of
    /// the system if none.
    pub fn verifier(
        &self,
        authorities: Option<&Path>,
    ) -> Result<Option<MakeRustlsConnect>, BadPostgresAddress> {
        if self.local {
            return Ok(None);
        }
        let path = authorities.unwrap_or(Path::new(SYSTEM_CA));
        let bad = |why: String| BadPostgresAddress::Authorities {
            path: path.to_owned(),
            why,
        };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let config = tls::client_of(&pem).map_err(|error| bad(error.to_string()))?;
        Ok(Some(MakeRustlsConnect::new(config)))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
