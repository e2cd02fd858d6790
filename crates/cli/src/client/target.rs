//! Where a node is: a unix socket, or TCP with a token, in the clear to this machine alone.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use bailiwick_core::{Code, Problem, Secret};
use bailiwick_crypto::tls::{ServerName, TlsConnector, client_of, client_of_system, connector};

/// One node's API.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Its admin socket; the caller is who the kernel says.
    Unix(PathBuf),
    /// Its console listener.
    Tcp {
        /// Host, and its port unless it is the usual one.
        authority: String,
        /// The bearer token.
        token: Option<Secret<String>>,
        /// How TLS is opened to it; none: in the clear.
        tls: Option<Tls>,
    },
}

/// How TLS is opened to one host.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

impl Target {
    /// Reads `/path`, `unix:/path`, `https://host` or `http://host:port`. Authorities of TLS are those of the system.
    pub(crate) fn parse(text: &str, token: Option<Secret<String>>) -> Result<Self, Problem> {
        Self::trusting(text, token, None)
    }

    /// The same, with these authorities (PEM) and no others.
    pub(crate) fn trusting(
        text: &str,
        token: Option<Secret<String>>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, Problem> {
        let bad = |why: &str| {
            let help = "write a socket's path, unix:/PATH, https://HOST, or http://127.0.0.1:8420";
            Problem::new(
                Code::InvalidInput,
                format!(
                    "`{}` is not the address of a node: {why}",
                    text.chars().take(200).collect::<String>()
                ),
                help,
            )
        };
        if let Some(path) = text
            .strip_prefix("unix://")
            .or_else(|| text.strip_prefix("unix:"))
        {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (authority, secure) =
            match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
                (Some(authority), _) => (authority, true),
                (_, Some(authority)) => (authority, false),
                _ => return Err(bad("it is neither a path nor an https or http URL")),
            };
        let authority = authority.trim_end_matches('/');
        let (host, port) = host_and_port(authority);
        let no_port = port.is_some_and(|port| port.parse::<u16>().is_err());
        if host.is_empty() || host.contains(['/', '@', '?', '#']) || no_port {
            return Err(bad("it is not host:port"));
        }
        if !secure && port.is_none() {
            return Err(bad("it has no port"));
        }
        let loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !secure && !loopback && token.is_some() {
            // A token in the clear on a network is everybody's token.
            return Err(bad(
                "without TLS a token is sent only to this machine; write https://",
            ));
        }
        let tls = if secure {
            let config = match authorities {
                Some(pem) => client_of(pem),
                None => client_of_system(),
            };
            let config = config.map_err(|error| {
                let help = "name a file of PEM certificates with --ca or BAILIWICK_CA";
                Problem::new(Code::ConfigInvalid, error.to_string(), help)
            })?;
            let (connector, name) =
                connector(config, host).ok_or_else(|| bad("that is no host's name"))?;
            Some(Tls { connector, name })
        } else {
            None
        };
        Ok(Self::Tcp {
            authority: authority.to_owned(),
            token,
            tls,
        })
    }

    /// The `Host` header.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "localhost",
            Self::Tcp { authority, .. } => authority,
        }
    }

    /// What to connect to, over TCP.
    pub(crate) fn address(authority: &str) -> String {
        match host_and_port(authority) {
            (_, Some(_)) => authority.to_owned(),
            (host, None) => format!("{host}:443"),
        }
    }

    /// The token to send.
    pub(crate) fn token(&self) -> Option<&Secret<String>> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp { token, .. } => token.as_ref(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp { authority, tls, .. } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                write!(f, "{scheme}://{authority}")
            }
        }
    }
}

/// Host, and what stands for a port if something does.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an address in brackets are no port's.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// A path segment or query value: everything but unreserved characters is escaped (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
