//! What a TLS server of ours shows, and whom it asks to show something: TLS 1.3, and 1.2 with forward secrecy and authenticated
//! encryption alone (RFC 9325 §3.1, §4.1).

use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_core::{Secret, Timestamp};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::install_default_provider;
use super::peer::{Authorities, PeerVerifier};

/// A certificate chain and the key of its leaf, good for the names it was asked for.
#[derive(Debug, Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
}

impl Identity {
    /// Reads a chain (PEM, leaf first) and its key (PEM), for a server that is called by each of `hosts`, names or addresses.
    pub fn from_pem(
        chain: &[u8],
        key: &Secret<String>,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<Self, BadIdentity> {
        install_default_provider();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| BadIdentity::Certificate)?;
        let leaf = chain.first().ok_or(BadIdentity::NoCertificate)?;
        let not_after = is_good(leaf, hosts, now)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
        let key = key.map_err(|_| BadIdentity::Key)?;
        let provider = CryptoProvider::get_default().ok_or(BadIdentity::Key)?;
        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    BadIdentity::OtherKey
                }
                _ => BadIdentity::Key,
            })?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after,
        })
    }

    /// When the certificate ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// Why a certificate and a key are nothing to listen with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// No `CERTIFICATE` in it.
    #[error("there is no certificate in PEM in it")]
    NoCertificate,
    /// Not X.509 v3.
    #[error("the certificate cannot be read")]
    Certificate,
    /// No key, or of a kind that TLS does not sign with.
    #[error("there is no private key in PEM that TLS can sign with")]
    Key,
    /// Two files that do not belong together.
    #[error("the private key is not the certificate's")]
    OtherKey,
    /// Its time is over.
    #[error("the certificate ended at {0}")]
    Over(Timestamp),
    /// Its time has not come.
    #[error("the certificate begins at {0}")]
    Early(Timestamp),
    /// Clients that call the server by its name would refuse it.
    #[error("the certificate is not for `{0}`")]
    OtherHost(String),
}

impl BadIdentity {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::Certificate => {
                "`cert` names the certificate with its intermediates in PEM, the server's own first"
            }
            Self::Key => {
                "`key` names an ECDSA P-256 or P-384, Ed25519 or RSA key in PEM, not encrypted"
            }
            Self::OtherKey => "name the key that the certificate was asked for with",
            Self::Over(_) => "get a new certificate",
            Self::Early(_) => "check the clock of this machine",
            Self::OtherHost(_) => {
                "get a certificate with that name among its subject alternative names, or set public_url to a name it has"
            }
        }
    }
}

/// When the leaf ends, if it is good now and for these hosts.
fn is_good(
    leaf: &CertificateDer<'_>,
    hosts: &[String],
    now: Timestamp,
) -> Result<Timestamp, BadIdentity> {
    let Ok(([], certificate)) = X509Certificate::from_der(leaf) else {
        return Err(BadIdentity::Certificate);
    };
    let begins = Timestamp::from_secs(certificate.validity().not_before.timestamp());
    let ends = Timestamp::from_secs(certificate.validity().not_after.timestamp());
    if now < begins {
        return Err(BadIdentity::Early(begins));
    }
    if now > ends {
        return Err(BadIdentity::Over(ends));
    }
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| BadIdentity::Certificate)?;
    for host in hosts {
        let bare = host.trim_matches(['[', ']']);
        let fits = ServerName::try_from(bare)
            .is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok());
        if !fits {
            return Err(BadIdentity::OtherHost(host.clone()));
        }
    }
    Ok(ends)
}

/// The identity that a listener shows to the next client.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows this one first.
    pub fn new(identity: &Identity) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::clone(&identity.certified))))
    }

    /// From now on shows this one. Connections that are there stay.
    pub fn replace(&self, identity: &Identity) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::clone(&identity.certified);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

/// Whether clients are asked for an X.509-SVID.
#[derive(Debug, Clone)]
pub enum Clients {
    /// They are not.
    Unasked,
    /// They may show one of these authorities; one that is not good ends the handshake.
    Asked(Arc<dyn Authorities>),
    /// They have to.
    Needed(Arc<dyn Authorities>),
}

/// What answers handshakes with the identity shown, for application protocols in order of preference (RFC 7301).
pub fn acceptor(shown: Arc<Shown>, protocols: &[&str], clients: Clients) -> TlsAcceptor {
    install_default_provider();
    let builder = ServerConfig::builder_with_protocol_versions(&[&TLS13, &TLS12]);
    let (authorities, needed) = match clients {
        Clients::Unasked => (None, false),
        Clients::Asked(authorities) => (Some(authorities), false),
        Clients::Needed(authorities) => (Some(authorities), true),
    };
    let mut config = match authorities {
        None => builder.with_no_client_auth().with_cert_resolver(shown),
        Some(authorities) => {
            let verifier = Arc::new(PeerVerifier::new(authorities, needed));
            let mut config = builder
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(shown);
            // A session that is taken up again would bring a certificate that nobody looked at since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsAcceptor::from(Arc::new(config))
}

#[cfg(test)]
mod tests;
