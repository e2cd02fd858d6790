//! Certificate requests (PKCS #10, RFC 2986) of workloads elsewhere: a public key, and proof that the sender holds its private part.
//! Names and extensions that a request asks for are not read: what an SVID says is the authority's matter.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use bailiwick_core::{Code, Digest, Fault};
use rcgen::{CertificateParams, DistinguishedName};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;

use crate::ca::Signer;
use crate::hash::sha256;
use crate::keys::{KeyError, SigningKey};

/// Longest request read, in bytes of its PEM.
pub const MAX_REQUEST: usize = 8 << 10;

/// A request whose sender holds the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    point: [u8; 65],
    digest: Digest,
    key_hash: Digest,
}

impl CertificateRequest {
    /// Reads one request in PEM and checks that its own key signed it.
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        if text.len() > MAX_REQUEST {
            return Err(CsrError::TooLong);
        }
        let mut requests = CertificateSigningRequestDer::pem_slice_iter(text.as_bytes());
        match (requests.next(), requests.next()) {
            (Some(Ok(request)), None) => Self::from_der(&request),
            _ => Err(CsrError::Form),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
            return Err(CsrError::Form);
        };
        let info = &request.certification_request_info;
        let key = &info.subject_pki;
        let curve = key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|curve| curve.as_oid().ok());
        if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
            || curve != Some(OID_EC_P256)
            || request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
        {
            return Err(CsrError::Algorithm);
        }
        let point: [u8; 65] = key
            .subject_public_key
            .data
            .as_ref()
            .try_into()
            .map_err(|_| CsrError::Algorithm)?;
        let read = Self {
            point,
            digest: sha256(&[der]),
            key_hash: sha256(&[key.raw]),
        };
        if read.has_signed(info.raw, &request.signature_value.data) {
            Ok(read)
        } else {
            Err(CsrError::Signature)
        }
    }

    /// The public key as uncompressed point.
    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }

    /// Whether its key signed `message`: ECDSA with SHA-256, in ASN.1.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, signature)
            .is_ok()
    }

    /// SHA-256 of the request's DER.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn key_hash(&self) -> Digest {
        self.key_hash
    }
}

/// A workload elsewhere with its key: writes requests for it, and signs the challenges that it is held against.
#[derive(Debug)]
pub struct Requester(Signer);

impl Requester {
    /// For this key.
    pub fn new(key: &SigningKey) -> Result<Self, KeyError> {
        Ok(Self(Signer::new(key)?))
    }

    /// A request in PEM. What the SVID says is the authority's matter, so it asks for no names.
    pub fn request(&self) -> Result<String, CsrError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let written = params.serialize_request(&self.0);
        written
            .and_then(|request| request.pem())
            .map_err(|_| CsrError::Write)
    }

    /// The key's signature over `message`: ECDSA with SHA-256, in ASN.1.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CsrError> {
        rcgen::SigningKey::sign(&self.0, message).map_err(|_| CsrError::Write)
    }
}

/// Why a request is not taken, or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Over [`MAX_REQUEST`].
    #[error("a certificate request has at most {MAX_REQUEST} bytes")]
    TooLong,
    /// Not one request in PEM.
    #[error("the certificate request is not one PKCS #10 request in PEM")]
    Form,
    /// Another kind of key or signature.
    #[error("the certificate request is not for a P-256 key, signed with ECDSA and SHA-256")]
    Algorithm,
    /// Another key signed it.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// It could not be written, or its key did not sign.
    #[error("the certificate request cannot be made")]
    Write,
}

impl Fault for CsrError {
    fn code(&self) -> Code {
        match self {
            Self::Write => Code::Internal,
            _ => Code::InvalidInput,
        }
    }

    fn help(&self) -> String {
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem -subj /".to_owned()
    }
}

#[cfg(test)]
mod tests;
