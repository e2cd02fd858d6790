//! What each TCP listener asks of a connection before it is heard.

use std::sync::Arc;

use bailiwick_crypto::bundle::Bundle;
use bailiwick_crypto::tls::peer::Authorities;
use bailiwick_crypto::tls::server::{Clients, Shown, acceptor};
use bailiwick_enforce::accept::Acceptor;
use bailiwick_identity::authority::Authority;

use super::certificates::Certificates;

/// What TCP connections pass before requests are read from them.
pub(super) struct Acceptors {
    pub(super) console: Acceptor,
    pub(super) gateway: Acceptor,
    /// Of the listener whose clients show their SVID.
    pub(super) mutual: Acceptor,
}

impl Acceptors {
    /// With TLS where there is a certificate; SVIDs are asked for if `mutual`.
    pub(super) fn of(
        certificates: &Certificates,
        authority: &Arc<Authority>,
        mutual: bool,
    ) -> Self {
        let ours = || Arc::new(Ours(Arc::clone(authority)));
        let with = |shown: Option<Arc<Shown>>, protocols: &[&str], clients| {
            Acceptor::new(shown.map(|shown| acceptor(shown, protocols, clients)))
        };
        let both = ["h2", "http/1.1"];
        let of_gateway = if mutual {
            Clients::Asked(ours())
        } else {
            Clients::Unasked
        };
        Self {
            console: with(certificates.console(), &both, Clients::Unasked),
            // The gateway speaks HTTP/1.1 alone.
            gateway: with(certificates.gateway(), &["http/1.1"], of_gateway),
            mutual: with(certificates.console(), &both, Clients::Needed(ours())),
        }
    }
}

/// The trust domain's own bundle: clients of other domains are nobody here.
struct Ours(Arc<Authority>);

impl Authorities for Ours {
    fn bundle(&self) -> Bundle {
        self.0.keyring().bundle().clone()
    }
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ours")
    }
}
