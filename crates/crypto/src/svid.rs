//! X.509-SVIDs as others present them (SPIFFE X509-SVID §5): webpki validates the path, x509-parser shows the shape.

use std::time::Duration;

use bailiwick_core::spiffe_id::{BadSpiffeId, SpiffeId, TrustDomain};
use bailiwick_core::{Code, Digest, Fault, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::bundle::Bundle;
use crate::hash::sha256;

/// Most certificates in a chain.
pub const MAX_CHAIN: usize = 4;
/// Longest certificate read, in bytes.
pub const MAX_CERTIFICATE: usize = 16 << 10;
/// Longest chain read, in bytes of its PEM.
pub const MAX_PEM: usize = 32 << 10;

/// An X.509-SVID whose chain and shape were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSvid {
    id: SpiffeId,
    serial: String,
    not_after: Timestamp,
    key_hash: Digest,
    certificate_hash: Digest,
}

impl VerifiedSvid {
    /// Verifies a chain, leaf first, against the authorities of `bundle` at `now`.
    pub fn verify(chain: &[&[u8]], bundle: &Bundle, now: Timestamp) -> Result<Self, SvidError> {
        let (leaf, intermediates) = chain.split_first().ok_or(SvidError::Chain)?;
        if chain.len() > MAX_CHAIN
            || chain
                .iter()
                .any(|certificate| certificate.len() > MAX_CERTIFICATE)
        {
            return Err(SvidError::Chain);
        }
        let verified = look(leaf)?;
        if verified.id.trust_domain() != *bundle.trust_domain() {
            return Err(SvidError::TrustDomain {
                found: verified.id,
                expected: bundle.trust_domain().clone(),
            });
        }
        let authorities: Vec<_> = bundle
            .x509_authorities()
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let anchors = authorities
            .iter()
            .map(anchor_from_trusted_cert)
            .collect::<Result<Vec<_>, _>>()?;
        let intermediates: Vec<_> = intermediates
            .iter()
            .map(|der| CertificateDer::from(*der))
            .collect();
        let leaf = CertificateDer::from(*leaf);
        let since_epoch = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
        EndEntityCert::try_from(&leaf)?.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediates,
            UnixTime::since_unix_epoch(since_epoch),
            // `look` has demanded both usages of the leaf; webpki needs to be told one.
            KeyUsage::client_auth(),
            None,
            None,
        )?;
        Ok(verified)
    }

    /// The same of a chain in PEM of at most [`MAX_PEM`] bytes.
    pub fn verify_pem(chain: &str, bundle: &Bundle, now: Timestamp) -> Result<Self, SvidError> {
        if chain.len() > MAX_PEM {
            return Err(SvidError::Chain);
        }
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let read = read.map_err(|_| SvidError::Parse)?;
        let chain: Vec<&[u8]> = read.iter().map(AsRef::as_ref).collect();
        Self::verify(&chain, bundle, now)
    }

    /// Who it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The serial number in lower-case hex: a subject of fences.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn key_hash(&self) -> Digest {
        self.key_hash
    }

    /// SHA-256 of the certificate: `x5t#S256` of a token bound to it (RFC 8705 §3.1).
    pub fn certificate_hash(&self) -> Digest {
        self.certificate_hash
    }
}

/// What an authority's certificate says of itself.
#[derive(Debug)]
pub(crate) struct AuthorityFacts {
    pub(crate) trust_domain: TrustDomain,
    pub(crate) public_key: Vec<u8>,
    pub(crate) not_after: Timestamp,
}

/// Reads an authority's certificate: a CA that may sign certificates, with a trust domain as its one URI SAN.
pub(crate) fn inspect_authority(der: &[u8]) -> Result<AuthorityFacts, SvidError> {
    let certificate = parse(der)?;
    let id = spiffe_id(&certificate)?;
    if !id.path().is_empty() {
        return Err(SvidError::Shape("an authority's ID has no path"));
    }
    let usage = certificate.key_usage().map_err(|_| SvidError::Parse)?;
    if !certificate.is_ca()
        || !usage.is_some_and(|usage| usage.critical && usage.value.key_cert_sign())
    {
        return Err(SvidError::Shape(
            "an authority is a CA that may sign certificates",
        ));
    }
    Ok(AuthorityFacts {
        trust_domain: id.trust_domain(),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        not_after: Timestamp::from_secs(certificate.validity().not_after.timestamp()),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Why a chain is not a good X.509-SVID.
#[derive(Debug, thiserror::Error)]
pub enum SvidError {
    /// Empty, or over [`MAX_CHAIN`] or [`MAX_CERTIFICATE`].
    #[error("a chain is 1 to {MAX_CHAIN} certificates of at most {MAX_CERTIFICATE} bytes")]
    Chain,
    /// Not one X.509 v3 certificate in DER.
    #[error("the certificate cannot be read")]
    Parse,
    /// A certificate, and not an SVID.
    #[error("the certificate is not an X.509-SVID: {0}")]
    Shape(&'static str),
    /// Its URI is not a SPIFFE ID.
    #[error("the certificate's URI is not a SPIFFE ID")]
    Id(#[from] BadSpiffeId),
    /// Of another trust domain than the bundle.
    #[error("`{found}` is not of the trust domain {expected}")]
    TrustDomain {
        /// Whose it is.
        found: SpiffeId,
        /// The bundle's.
        expected: TrustDomain,
    },
    /// No authority of the bundle signed it, or it is not good now.
    #[error("the certificate's path does not validate")]
    Path(#[from] webpki::Error),
}

impl Fault for SvidError {
    fn code(&self) -> Code {
        Code::TokenInvalid
    }

    fn help(&self) -> String {
        match self {
            Self::Path(_) => "Fetch a new SVID and the current bundle; check the clocks.".into(),
            _ => "`bailiwick svid verify` shows what a certificate says.".into(),
        }
    }
}

/// The shape that X509-SVID §4 and our own issuance demand of a leaf.
fn look(der: &[u8]) -> Result<VerifiedSvid, SvidError> {
    let certificate = parse(der)?;
    let id = spiffe_id(&certificate)?;
    if id.path().is_empty() {
        return Err(SvidError::Shape("a leaf's ID has a path"));
    }
    match certificate
        .basic_constraints()
        .map_err(|_| SvidError::Parse)?
    {
        Some(constraints) if !constraints.value.ca => {}
        Some(_) => return Err(SvidError::Shape("a leaf is not a CA")),
        None => return Err(SvidError::Shape("a leaf says that it is not a CA")),
    }
    let usage = certificate.key_usage().map_err(|_| SvidError::Parse)?;
    let usage = usage.ok_or(SvidError::Shape("a leaf has a key usage"))?;
    if !usage.critical
        || !usage.value.digital_signature()
        || usage.value.key_cert_sign()
        || usage.value.crl_sign()
    {
        return Err(SvidError::Shape(
            "a leaf's key usage is critical, signs data and signs neither certificates nor CRLs",
        ));
    }
    let extended = certificate
        .extended_key_usage()
        .map_err(|_| SvidError::Parse)?;
    if !extended.is_some_and(|extended| extended.value.client_auth && extended.value.server_auth) {
        return Err(SvidError::Shape("a leaf is for TLS clients and servers"));
    }
    Ok(VerifiedSvid {
        id,
        serial: hex(certificate.raw_serial()),
        not_after: Timestamp::from_secs(certificate.validity().not_after.timestamp()),
        key_hash: sha256(&[certificate.public_key().raw]),
        certificate_hash: sha256(&[der]),
    })
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, SvidError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(SvidError::Parse),
    }
}

/// The one URI SAN. Two would let two readers see two identities.
fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| SvidError::Parse)?;
    let names = names.ok_or(SvidError::Shape("it has a subject alternative name"))?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(Ok(*uri)),
            GeneralName::Invalid(..) => Some(Err(SvidError::Parse)),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri?.parse()?),
        _ => Err(SvidError::Shape("it has exactly one URI")),
    }
}

#[cfg(test)]
mod tests;
