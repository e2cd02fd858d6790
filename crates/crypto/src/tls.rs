//! The one rustls set-up: aws-lc-rs as the process's crypto provider. Every TLS client and server of the binary uses it.

pub mod peer;
pub mod server;

use std::sync::{Arc, Once};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt as _;

pub use rustls::pki_types::ServerName;
pub use tokio_rustls::client::TlsStream;
pub use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Authorities that TLS cannot be verified with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these authorities cannot be used: {0}")]
pub struct BadAuthorities(String);

/// A TLS client that trusts these authorities (PEM) and no others, and shows no certificate of its own.
pub fn client_of(authorities: &[u8]) -> Result<ClientConfig, BadAuthorities> {
    install_default_provider();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(|error| BadAuthorities(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| BadAuthorities(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(BadAuthorities("there is no certificate".to_owned()));
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A TLS client that trusts the authorities of the system, and shows no certificate of its own.
pub fn client_of_system() -> Result<ClientConfig, BadAuthorities> {
    install_default_provider();
    ClientConfig::with_platform_verifier().map_err(|error| BadAuthorities(error.to_string()))
}

/// What opens TLS to `host`, a name or an address, for a connection that is there. None if it is neither.
pub fn connector(config: ClientConfig, host: &str) -> Option<(TlsConnector, ServerName<'static>)> {
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(bare).ok()?;
    Some((TlsConnector::from(Arc::new(config)), name))
}

/// Makes aws-lc-rs the process-wide rustls provider. Call it first in `main` and in tests that open TLS; repeated calls do nothing.
pub fn install_default_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that a provider is there already, and aws-lc-rs is the only one in the build.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests;
