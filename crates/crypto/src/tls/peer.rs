//! Clients that show their X.509-SVID in the handshake (RFC 8705 §2.1, SPIFFE X509-SVID §5).

use std::fmt;
use std::sync::Arc;

use bailiwick_core::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio_rustls::server::TlsStream;

use crate::bundle::Bundle;
use crate::jwk::Thumbprint;
use crate::svid::{SvidError, VerifiedSvid};

/// Whose X.509-SVIDs are taken, as it is now.
pub trait Authorities: fmt::Debug + Send + Sync {
    /// The bundle of the one trust domain.
    fn bundle(&self) -> Bundle;
}

/// The chain that a client showed, with proof of its key, when its connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    chain: Vec<Vec<u8>>,
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// What the client of this connection showed, if it showed something.
    pub fn of<S>(stream: &TlsStream<S>) -> Option<Self> {
        let chain = stream.get_ref().1.peer_certificates()?;
        let thumbprint = Thumbprint::of_certificate(chain.first()?);
        Some(Self {
            chain: chain.iter().map(|der| der.to_vec()).collect(),
            thumbprint,
        })
    }

    /// `x5t#S256`: what a token that is bound to the certificate names (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// Whose SVID it is, if it is good at `now`. A connection outlives both.
    pub fn verify(&self, bundle: &Bundle, now: Timestamp) -> Result<VerifiedSvid, SvidError> {
        let chain: Vec<&[u8]> = self.chain.iter().map(Vec::as_slice).collect();
        VerifiedSvid::verify(&chain, bundle, now)
    }
}

/// Verifies what clients show as we verify SVIDs everywhere else.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    authorities: Arc<dyn Authorities>,
    needed: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) fn new(authorities: Arc<dyn Authorities>, needed: bool) -> Self {
        Self {
            authorities,
            needed,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// None: authorities change while the listener stays.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.needed
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<&[u8]> = std::iter::once(leaf)
            .chain(intermediates)
            .map(AsRef::as_ref)
            .collect();
        let now = Timestamp::from_secs(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        match VerifiedSvid::verify(&chain, &self.authorities.bundle(), now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(SvidError::Path(webpki::Error::CertExpired { .. })) => {
                Err(CertificateError::Expired.into())
            }
            Err(SvidError::Parse | SvidError::Chain) => Err(CertificateError::BadEncoding.into()),
            Err(SvidError::Path(_) | SvidError::TrustDomain { .. }) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            Err(_) => Err(CertificateError::InvalidPurpose.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
