//! Where a node is: a unix socket, or loopback TCP with a token.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use bailiwick_core::{Code, Problem, Secret};

/// One node's API.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Its admin socket; the caller is who the kernel says.
    Unix(PathBuf),
    /// Its console listener.
    Tcp {
        /// Host and port.
        address: String,
        /// The bearer token.
        token: Option<Secret<String>>,
    },
}

impl Target {
    /// Reads `/path`, `unix:/path` or `http://host:port`.
    pub(crate) fn parse(text: &str, token: Option<Secret<String>>) -> Result<Self, Problem> {
        let bad = |why: &str| {
            let help = "write a socket's path, unix:/PATH, or http://127.0.0.1:8420";
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
        let Some(authority) = text.strip_prefix("http://") else {
            return Err(bad("it is neither a path nor an http URL"));
        };
        let authority = authority.trim_end_matches('/');
        let (host, port) = authority
            .rsplit_once(':')
            .ok_or_else(|| bad("it has no port"))?;
        if port.parse::<u16>().is_err() || host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(bad("it is not host:port"));
        }
        let loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !loopback && token.is_some() {
            // A token in the clear on a network is everybody's token.
            return Err(bad(
                "without TLS a token is sent only to this machine; use an SSH tunnel",
            ));
        }
        Ok(Self::Tcp {
            address: authority.to_owned(),
            token,
        })
    }

    /// The `Host` header.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "localhost",
            Self::Tcp { address, .. } => address,
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
            Self::Tcp { address, .. } => write!(f, "http://{address}"),
        }
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
