//! Where the node listens: in the clear on loopback alone, with TLS anywhere.

use std::net::SocketAddr;
use std::path::Path;

use super::Reader;
use super::elsewhere::{Optional, members, needed};
use crate::config::keys::Key;
use crate::config::{Listener, Mtls, TlsFiles};

/// The keys of one listener.
struct Keys {
    listen: Key,
    url: Key,
    tls: Key,
}

pub(super) fn console(reader: &mut Reader<'_>, base: &Path) -> Option<Listener> {
    let keys = Keys {
        listen: Key::ConsoleListen,
        url: Key::ConsoleUrl,
        tls: Key::ConsoleTls,
    };
    listener(reader, base, &keys)
}

pub(super) fn gateway(reader: &mut Reader<'_>, base: &Path) -> Option<Listener> {
    let keys = Keys {
        listen: Key::GatewayListen,
        url: Key::GatewayUrl,
        tls: Key::GatewayTls,
    };
    listener(reader, base, &keys)
}

/// The listener that asks for SVIDs. It has the console's certificate, and what it gives is good at the gateway alone.
pub(super) fn mutual(
    reader: &mut Reader<'_>,
    console: &Listener,
    gateway: &Listener,
) -> Optional<Mtls> {
    let public_url = reader.url(Key::MtlsUrl)?;
    if reader.text(Key::MtlsListen).is_none() {
        if public_url.is_some() {
            let help = "set [oauth] mtls_listen";
            reader.flaw(Key::MtlsUrl, "nothing listens there", help);
            return None;
        }
        return Some(None);
    }
    let listen = address(reader, Key::MtlsListen)?;
    if console.tls.is_none() || gateway.tls.is_none() {
        reader.flaw(
            Key::MtlsListen,
            "certificates are shown over TLS, at the token endpoint and at the gateway",
            "set [console] tls and [gateway] tls",
        );
        return None;
    }
    if public_url
        .as_ref()
        .is_some_and(|url| url.starts_with("http:"))
    {
        let message = "the listener speaks TLS, and this URL does not";
        reader.flaw(Key::MtlsUrl, message, "write https://");
        return None;
    }
    let taken = [console.listen, gateway.listen].contains(&listen);
    if taken && listen.port() != 0 {
        let message = "console or gateway listens on the same address";
        reader.flaw(Key::MtlsListen, message, "give each its own port");
        return None;
    }
    Some(Some(Mtls { listen, public_url }))
}

fn listener(reader: &mut Reader<'_>, base: &Path, keys: &Keys) -> Option<Listener> {
    let public_url = reader.url(keys.url);
    let tls = files(reader, base, keys.tls);
    let listen = address(reader, keys.listen)?;
    let (public_url, tls) = (public_url?, tls?);
    let loopback = listen.ip().is_loopback();
    if tls.is_none() && !loopback {
        let message =
            format!("{listen} can be reached from outside this machine, and there is no TLS");
        let help = format!(
            "give it a certificate ({} = {{ cert = \"…\", key = \"…\" }}), or listen on loopback ({} = \"127.0.0.1:{}\") behind a proxy with TLS",
            keys.tls.name(),
            keys.listen.name(),
            listen.port()
        );
        reader.flaw(keys.listen, message, help);
        return None;
    }
    if tls.is_some()
        && public_url
            .as_ref()
            .is_some_and(|url| url.starts_with("http:"))
    {
        reader.flaw(
            keys.url,
            "the listener speaks TLS, and this URL does not",
            "write https://",
        );
        return None;
    }
    if public_url.is_none() && listen.ip().is_unspecified() {
        let message = format!("{listen} is every address, and no client can call that");
        let help = format!(
            "set {} to the URL that the certificate is for, such as https://bailiwick.example:{}",
            keys.url.name(),
            listen.port()
        );
        reader.flaw(keys.listen, message, help);
        return None;
    }
    Some(Listener {
        listen,
        public_url,
        tls,
    })
}

fn address(reader: &mut Reader<'_>, key: Key) -> Option<SocketAddr> {
    let text = reader.text(key)?;
    let read = text.parse::<SocketAddr>();
    if read.is_err() {
        reader.flaw(
            key,
            format!("`{text}` is not an address with a port"),
            "write it as 127.0.0.1:8420 or [::1]:8420",
        );
    }
    read.ok()
}

fn files(reader: &mut Reader<'_>, base: &Path, key: Key) -> Optional<TlsFiles> {
    let Some(members) = members(reader, key, &["cert", "key"])? else {
        return Some(None);
    };
    let cert = needed(reader, key, &members, "cert")?;
    let private = needed(reader, key, &members, "key")?;
    if cert.is_empty() || private.is_empty() {
        reader.flaw(key, "an empty path names no file", "");
        return None;
    }
    Some(Some(TlsFiles {
        cert: base.join(cert),
        key: base.join(private),
    }))
}
