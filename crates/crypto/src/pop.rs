//! Proof of possession of a certificate's key (02 §3, x509pop): a chain to a configured authority, and a signature over a challenge of ours
//! and the certificate request that the SVID is for.

use std::time::Duration;

use bailiwick_core::{Code, Digest, Fault, Rng, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::base64url;
use crate::csr::CertificateRequest;
use crate::hash::{self, hmac_sha256, sha256};
use crate::svid::{MAX_CERTIFICATE, MAX_CHAIN, MAX_PEM};
use crate::system::random;

/// A challenge is good for this long.
pub const CHALLENGE_LIFE: Duration = Duration::from_mins(1);
/// Most configured authorities.
pub const MAX_AUTHORITIES: usize = 16;
/// Most names of one certificate.
pub const MAX_NAMES: usize = 64;

/// Signatures that a certificate's key may make; each fits one kind of key.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 4] = [
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
];

/// Makes and recognises one node's challenges: 32 bytes, of which the last 16 are a MAC over moment and noise.
pub struct Challenges {
    key: Zeroizing<[u8; 32]>,
}

impl Challenges {
    /// With a fresh key: a restart ends every challenge.
    pub fn new(rng: &dyn Rng) -> Self {
        Self {
            key: Zeroizing::new(random(rng)),
        }
    }

    /// A challenge of this moment, in time since boot, as base64url.
    pub fn make(&self, now: Duration, rng: &dyn Rng) -> String {
        let head = [now.as_secs().to_be_bytes().as_slice(), &random::<8>(rng)].concat();
        let mac = self.mac(&head);
        base64url::encode(&[head.as_slice(), &mac].concat())
    }

    /// Whether this is one of ours, at most [`CHALLENGE_LIFE`] old.
    pub fn is_fresh(&self, challenge: &str, now: Duration) -> bool {
        let Some(bytes) = base64url::decode(challenge) else {
            return false;
        };
        let Some((head, mac)) = bytes.split_at_checked(16) else {
            return false;
        };
        if !hash::equal(mac, &self.mac(head)) {
            return false;
        }
        let made = head.first_chunk::<8>().copied().map(u64::from_be_bytes);
        let age = made.and_then(|made| now.as_secs().checked_sub(made));
        age.is_some_and(|age| age <= CHALLENGE_LIFE.as_secs())
    }

    fn mac(&self, head: &[u8]) -> Vec<u8> {
        let context: &[u8] = b"bailiwick/x509pop-challenge/v1\0";
        let mac = hmac_sha256(self.key.as_slice(), &[context, head]);
        mac.iter().take(16).copied().collect()
    }
}

/// What the key of a certificate signs: this text in ASCII.
pub fn message(challenge: &str, request: &CertificateRequest) -> String {
    format!(
        "bailiwick/x509pop/v1\n{challenge}\n{}\n",
        request.digest().to_hex()
    )
}

/// What the key of an X.509-SVID signs to have it renewed: this text in ASCII. Another context, so that neither proof is the other.
pub fn renewal_message(challenge: &str, request: &CertificateRequest) -> String {
    format!(
        "bailiwick/svid-renewal/v1\n{challenge}\n{}\n",
        request.digest().to_hex()
    )
}

/// The authorities that chains may end in.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// A certificate whose key and chain were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Possessed {
    /// SHA-256 of the authority's certificate.
    pub authority: Digest,
    /// SHA-256 of the certificate.
    pub certificate: Digest,
    /// Its names, `dns:…` and `uri:…`.
    pub names: Vec<String>,
}

impl Authorities {
    /// Reads certificates of authorities in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PopError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let authorities = read.map_err(|_| PopError::Authority)?;
        let fits = (1..=MAX_AUTHORITIES).contains(&authorities.len());
        let usable = |der: &CertificateDer<'_>| {
            parse(der).is_ok_and(|certificate| certificate.is_ca())
                && anchor_from_trusted_cert(der).is_ok()
        };
        if fits && authorities.iter().all(usable) {
            Ok(Self(authorities))
        } else {
            Err(PopError::Authority)
        }
    }

    /// Verifies a chain in PEM, leaf first, at `now`, and the signature of its leaf's key over `message`.
    pub fn verify(
        &self,
        chain: &str,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Result<Possessed, PopError> {
        if chain.len() > MAX_PEM {
            return Err(PopError::Chain);
        }
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let read = read.map_err(|_| PopError::Chain)?;
        let (leaf, intermediates) = read.split_first().ok_or(PopError::Chain)?;
        if read.len() > MAX_CHAIN || read.iter().any(|one| one.len() > MAX_CERTIFICATE) {
            return Err(PopError::Chain);
        }
        let names = names(leaf)?;
        let end = EndEntityCert::try_from(leaf)?;
        let since_epoch = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
        // Each authority by itself, so that it is known which one it was.
        let authority = self.0.iter().find(|authority| {
            anchor_from_trusted_cert(authority).is_ok_and(|anchor| {
                end.verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &[anchor],
                    intermediates,
                    UnixTime::since_unix_epoch(since_epoch),
                    KeyUsage::client_auth(),
                    None,
                    None,
                )
                .is_ok()
            })
        });
        let authority = authority.ok_or(PopError::Path)?;
        let signed = ALGORITHMS
            .into_iter()
            .any(|algorithm| end.verify_signature(algorithm, message, signature).is_ok());
        if !signed {
            return Err(PopError::Signature);
        }
        Ok(Possessed {
            authority: sha256(&[authority]),
            certificate: sha256(&[leaf]),
            names,
        })
    }
}

/// The names of a leaf that may speak for itself: no authority, and its key signs data.
fn names(leaf: &[u8]) -> Result<Vec<String>, PopError> {
    let leaf = parse(leaf)?;
    let usage = leaf.key_usage().map_err(|_| PopError::Chain)?;
    let usage = usage.map(|usage| usage.value);
    if leaf.is_ca() || usage.is_some_and(x509_parser::extensions::KeyUsage::key_cert_sign) {
        return Err(PopError::Leaf("it is an authority's"));
    }
    if usage.is_some_and(|usage| !usage.digital_signature()) {
        return Err(PopError::Leaf("its key is not for signatures"));
    }
    let found = leaf
        .subject_alternative_name()
        .map_err(|_| PopError::Chain)?;
    let mut names = Vec::new();
    for name in found.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.push(format!("dns:{name}")),
            GeneralName::URI(uri) => names.push(format!("uri:{uri}")),
            GeneralName::Invalid(..) => return Err(PopError::Chain),
            _ => {}
        }
        if names.len() > MAX_NAMES {
            return Err(PopError::Leaf("it has too many names"));
        }
    }
    Ok(names)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PopError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(PopError::Chain),
    }
}

/// Why a chain and a signature prove nothing.
#[derive(Debug, thiserror::Error)]
pub enum PopError {
    /// The configured authorities cannot be used.
    #[error("there have to be 1 to {MAX_AUTHORITIES} certificates of authorities in PEM")]
    Authority,
    /// Not a chain.
    #[error(
        "a chain is 1 to {MAX_CHAIN} certificates in PEM, leaf first, of at most {MAX_CERTIFICATE} bytes each"
    )]
    Chain,
    /// A certificate that is not an end entity's.
    #[error("the certificate cannot speak for itself: {0}")]
    Leaf(&'static str),
    /// No configured authority stands behind it now.
    #[error("the chain does not lead to a configured authority, or is not good now")]
    Path,
    /// webpki cannot read it.
    #[error("the certificate cannot be read")]
    Read(#[from] webpki::Error),
    /// Another key signed, or something else was signed.
    #[error("the signature is not that of the certificate's key over this challenge and request")]
    Signature,
}

impl Fault for PopError {
    fn code(&self) -> Code {
        match self {
            Self::Authority => Code::ConfigInvalid,
            _ => Code::TokenInvalid,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Authority => "set [identity] x509pop_ca to a file of PEM certificates",
            Self::Signature => {
                "sign the lines bailiwick/x509pop/v1, challenge, and SHA-256 of the request's DER in hex, each with a newline"
            }
            Self::Path => "an operator names authorities in [identity] x509pop_ca; check the clocks",
            Self::Chain | Self::Leaf(_) | Self::Read(_) => {
                "send the certificate and its intermediates in PEM, without the root"
            }
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests;
