//! The trust domain's X.509 authority and the leaf X.509-SVIDs it issues (SPIFFE X509-SVID, RFC 5280).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use bailiwick_core::spiffe_id::{SpiffeId, TrustDomain};
use bailiwick_core::{Code, Fault, Rng, Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;

use crate::csr::CertificateRequest;
use crate::keys::{KeyError, SigningKey};
use crate::svid::{self, SvidError, hex};
use crate::system::random;

/// How far before now a certificate starts, for verifiers whose clock is behind.
pub const BACKDATED: Duration = Duration::from_secs(10);

/// One authority of the trust domain: a self-signed P-256 CA that signs leaf SVIDs and nothing else.
#[derive(Debug)]
pub struct Authority {
    trust_domain: TrustDomain,
    key: SigningKey,
    signer: Signer,
    certificate: Vec<u8>,
    not_after: Timestamp,
}

impl Authority {
    /// A new authority with a fresh key, good from [`BACKDATED`] ago until `ttl` from now.
    pub fn create(
        trust_domain: TrustDomain,
        now: Timestamp,
        ttl: Duration,
        rng: &dyn Rng,
    ) -> Result<Self, CaError> {
        let key = SigningKey::generate()?;
        let signer = Signer::new(&key)?;
        let serial = serial(rng);
        let mut params = CertificateParams::default();
        set_validity(&mut params, now.minus(BACKDATED), now.plus(ttl))?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Bailiwick");
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {}", hex(&serial)));
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.subject_alt_names = vec![uri(&trust_domain.id())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&signer)?.der().to_vec();
        Ok(Self {
            trust_domain,
            key,
            signer,
            certificate,
            not_after: whole_seconds(now.plus(ttl)),
        })
    }

    /// An authority from its stored key (PKCS#8) and certificate (DER), which must belong together.
    pub fn from_stored(pkcs8: Secret<Vec<u8>>, certificate: Vec<u8>) -> Result<Self, CaError> {
        let key = SigningKey::from_pkcs8(pkcs8)?;
        let about = svid::inspect_authority(&certificate)?;
        if about.public_key != key.public_point() {
            return Err(CaError::OtherKey);
        }
        let signer = Signer::new(&key)?;
        Ok(Self {
            trust_domain: about.trust_domain,
            key,
            signer,
            certificate,
            not_after: about.not_after,
        })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its key, to be sealed and stored.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its certificate, DER: a member of the bundle.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Issues an X.509-SVID with a fresh key. It ends after `ttl`, or with this authority if that is sooner.
    pub fn issue(
        &self,
        id: &SpiffeId,
        now: Timestamp,
        ttl: Duration,
        rng: &dyn Rng,
    ) -> Result<X509Svid, CaError> {
        let key = SigningKey::generate()?;
        let signed = self.certify(id, key.public_point(), now, ttl, rng)?;
        Ok(X509Svid {
            id: id.clone(),
            certificate: signed.certificate,
            key,
            serial: signed.serial,
            not_after: signed.not_after,
        })
    }

    /// Issues an X.509-SVID for the key of a request, whose private part stays with its sender.
    pub fn sign(
        &self,
        id: &SpiffeId,
        request: &CertificateRequest,
        now: Timestamp,
        ttl: Duration,
        rng: &dyn Rng,
    ) -> Result<SignedSvid, CaError> {
        self.certify(id, request.point(), now, ttl, rng)
    }

    fn certify(
        &self,
        id: &SpiffeId,
        point: &[u8],
        now: Timestamp,
        ttl: Duration,
        rng: &dyn Rng,
    ) -> Result<SignedSvid, CaError> {
        if id.trust_domain() != self.trust_domain || id.path().is_empty() {
            return Err(CaError::Id { id: id.clone() });
        }
        let not_after = whole_seconds(now.plus(ttl).min(self.not_after));
        if not_after <= now {
            return Err(CaError::Ended {
                ended: self.not_after,
            });
        }
        let serial = serial(rng);
        let mut params = CertificateParams::default();
        set_validity(&mut params, now.minus(BACKDATED), not_after)?;
        // An empty subject makes rcgen mark the SAN as critical (RFC 5280 §4.1.2.6).
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.subject_alt_names = vec![uri(id)?];
        // `NoCa` would leave BasicConstraints out.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(
            &CertificateDer::from(self.certificate.as_slice()),
            &self.signer,
        )?;
        let certificate = params.signed_by(&Subject(point), &issuer)?;
        Ok(SignedSvid {
            pem: certificate.pem(),
            certificate: certificate.der().to_vec(),
            serial: hex(&serial),
            not_after,
        })
    }
}

/// An X.509-SVID for a key that is somebody else's.
#[derive(Debug)]
pub struct SignedSvid {
    certificate: Vec<u8>,
    pem: String,
    serial: String,
    not_after: Timestamp,
}

impl SignedSvid {
    /// The certificate chain in PEM: the leaf alone, since authorities sign leaves directly.
    pub fn chain_pem(&self) -> &str {
        &self.pem
    }

    /// The serial number in lower-case hex: a subject of fences.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// An X.509-SVID with its private key, as its workload gets it. The key lives in memory only.
#[derive(Debug)]
pub struct X509Svid {
    id: SpiffeId,
    certificate: Vec<u8>,
    key: SigningKey,
    serial: String,
    not_after: Timestamp,
}

impl X509Svid {
    /// Whose it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The certificate chain, DER, one after the other: the leaf alone, since authorities sign leaves directly.
    pub fn chain(&self) -> &[u8] {
        &self.certificate
    }

    /// The private key, PKCS#8 DER.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        self.key.pkcs8()
    }

    /// The key, for a process that speaks for itself.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The serial number in lower-case hex: a subject of fences.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// Why an authority was not made or did not issue.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// An ID of another trust domain, or of none of its workloads.
    #[error("`{id}` is not an ID of a workload in this authority's trust domain")]
    Id {
        /// The ID.
        id: SpiffeId,
    },
    /// The authority has ended.
    #[error("the authority ended at {ended}")]
    Ended {
        /// Its end.
        ended: Timestamp,
    },
    /// Stored key and certificate do not belong together.
    #[error("the stored authority's certificate is for another key")]
    OtherKey,
    /// The stored certificate is not an authority's.
    #[error("the stored authority's certificate cannot be used")]
    Certificate(#[from] SvidError),
    /// The key.
    #[error("the authority's key cannot be used")]
    Key(#[from] KeyError),
    /// The certificate could not be written.
    #[error("the certificate could not be written")]
    Write(#[from] rcgen::Error),
}

impl Fault for CaError {
    fn code(&self) -> Code {
        match self {
            Self::Id { .. } => Code::InvalidInput,
            _ => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Ended { .. } => {
                "Run `bailiwick authority list`; a new authority should have been active by then."
                    .into()
            }
            _ => String::new(),
        }
    }
}

/// rcgen's view of our key: rcgen never holds the private part.
#[derive(Debug)]
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn new(key: &SigningKey) -> Result<Self, KeyError> {
        // X.509 wants ASN.1 signatures, tokens want r ‖ s; aws-lc ties the form to the key object.
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.pkcs8().expose());
        Ok(Self {
            pair: pair.map_err(|_| KeyError::Pkcs8)?,
        })
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

/// A public key as uncompressed point.
struct Subject<'a>(&'a [u8]);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// 127 random bits, never zero (RFC 5280 §4.1.2.2: positive, at most 20 octets).
fn serial(rng: &dyn Rng) -> [u8; 16] {
    (u128::from_be_bytes(random(rng)) >> 1 | 1).to_be_bytes()
}

fn uri(id: &SpiffeId) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(id.as_str().try_into()?))
}

fn whole_seconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_secs(instant.as_secs())
}

/// Sets both ends. rcgen takes the `time` crate's type, which nothing else here uses, so it is never named.
fn set_validity(
    params: &mut CertificateParams,
    from: Timestamp,
    to: Timestamp,
) -> Result<(), CaError> {
    let since_epoch = |instant: Timestamp| {
        let secs = u64::try_from(instant.as_secs())
            .ok()
            .filter(|secs| *secs <= YEAR_9999);
        secs.map(Duration::from_secs).ok_or(rcgen::Error::Time)
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(from)?;
    params.not_after = epoch + since_epoch(to)?;
    Ok(())
}

/// 9999-12-31T23:59:59Z, the last instant that X.509 can write.
const YEAR_9999: u64 = 253_402_300_799;

#[cfg(test)]
mod tests;
