//! What stands between an accepted connection and its first request: TLS where the listener has it, within bounds of time and number.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_crypto::tls::TlsAcceptor;
use bailiwick_crypto::tls::peer::ClientCertificate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::either::Either;

/// Handshakes of one listener that go on at once; further ones wait their turn, within the same time.
pub const MAX_HANDSHAKES: usize = 256;
/// A connection has shaken hands within this time, or ends.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where a request's connection comes from, and what was shown when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where the peer is.
    pub network: Network,
    /// Whether it is TLS up to this process.
    pub tls: bool,
    /// The client's certificate, if it showed one.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Connection {
    /// One of this machine, in the clear.
    pub const LOCAL: Self = Self {
        network: Network::Loopback,
        tls: false,
        certificate: None,
    };
}

/// Where a peer is, by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// On this machine; or behind a proxy that is.
    Loopback,
    /// Anywhere else.
    Remote,
}

impl Network {
    /// Of this address.
    pub fn of(peer: SocketAddr) -> Self {
        if peer.ip().to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Remote
        }
    }

    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Remote => "remote",
        }
    }
}

/// Makes connections of one listener ready for requests.
pub struct Acceptor {
    tls: Option<TlsAcceptor>,
    handshakes: Semaphore,
}

impl Acceptor {
    /// With TLS, or in the clear.
    pub fn new(tls: Option<TlsAcceptor>) -> Self {
        Self {
            tls,
            handshakes: Semaphore::new(MAX_HANDSHAKES),
        }
    }

    /// The connection as requests are read from it. An error ends this one alone.
    pub async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<(
        impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        Connection,
    )> {
        // Small messages go out at once.
        let _ = stream.set_nodelay(true);
        let mut connection = Connection {
            network: Network::of(peer),
            ..Connection::LOCAL
        };
        let Some(tls) = &self.tls else {
            return Ok((Either::Left(stream), connection));
        };
        let handshake = async {
            let closed = |_| io::Error::other("the listener is closed");
            let _turn = self.handshakes.acquire().await.map_err(closed)?;
            tls.accept(stream).await
        };
        let stream = tokio::time::timeout(HANDSHAKE, handshake).await??;
        connection.tls = true;
        connection.certificate = ClientCertificate::of(&stream).map(Arc::new);
        Ok((Either::Right(stream), connection))
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_peer_is_where_its_address_is() {
        for (address, network) in [
            ("127.0.0.1:1", Network::Loopback),
            ("127.8.9.10:1", Network::Loopback),
            ("[::1]:1", Network::Loopback),
            ("[::ffff:127.0.0.1]:1", Network::Loopback),
            ("10.0.0.1:1", Network::Remote),
            ("192.0.2.1:1", Network::Remote),
            ("[::ffff:192.0.2.1]:1", Network::Remote),
            ("[fe80::1]:1", Network::Remote),
        ] {
            assert_eq!(Network::of(address.parse().unwrap()), network, "{address}");
        }
    }
}
