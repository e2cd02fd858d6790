//! Host and origin: what a browser on this machine may be tricked into sending does not get in (DNS rebinding).

use bailiwick_core::{Code, Problem};
use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Uri};

use crate::gateway::Gateway;

/// Names of this very machine.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// Whether a Host header names this very machine with this port.
pub(crate) fn is_loopback(host: &str, port: u16) -> bool {
    LOOPBACK.iter().any(|name| {
        host.eq_ignore_ascii_case(&format!("{name}:{port}"))
            || (port == 80 && host.eq_ignore_ascii_case(name))
    })
}

impl Gateway {
    /// Gives the origin to name in CORS headers, if the request has one and it is allowed.
    pub(super) fn check_door(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Option<HeaderValue>, Problem> {
        let settings = &self.settings;
        let own = settings
            .public_url
            .split_once("://")
            .map_or("", |(_, host)| host);
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts
            .next()
            .and_then(|host| host.to_str().ok())
            .or_else(|| uri.authority().map(hyper::http::uri::Authority::as_str));
        let host = host.unwrap_or_default();
        let port = settings.listen.port();
        let ours = host.eq_ignore_ascii_case(own) || is_loopback(host, port);
        if !ours || hosts.next().is_some() {
            let help = "use the gateway's public URL, or set [gateway] public_url";
            return Err(Problem::new(
                Code::HostRefused,
                "the Host header names neither this gateway nor loopback",
                help,
            ));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) if self.knows_origin(origin) => Ok(Some(origin.clone())),
            _ => {
                let help = "list the origin in [gateway] origins, if this web page may call tools";
                Err(Problem::new(
                    Code::OriginRefused,
                    "the browser origin is not allowed",
                    help,
                ))
            }
        }
    }

    fn knows_origin(&self, origin: &HeaderValue) -> bool {
        let settings = &self.settings;
        let known = |text: &str| {
            settings.public_url == text || settings.origins.iter().any(|listed| listed == text)
        };
        origin.to_str().is_ok_and(known)
    }
}
