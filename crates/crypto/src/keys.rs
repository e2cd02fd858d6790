//! Signing keys (ES256 for tokens, SVIDs and proofs; Ed25519 for log notes and feed heads) and the keys that verify.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    RsaParameters, RsaPublicKeyComponents,
};
use bailiwick_core::{Code, Fault, Secret};

use crate::jwk::{Algorithm, Curve, Jwk, JwkError, Material, Thumbprint};

/// Bytes of an ES256 signature (r ‖ s) and of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// A P-256 key that signs ES256. Its `kid` is its RFC 7638 thumbprint.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Secret<Vec<u8>>,
    jwk: Jwk,
    thumbprint: Thumbprint,
}

impl SigningKey {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| KeyError::Generate)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Self::build(pair, Secret::new(document.as_ref().to_vec()))
    }

    /// From PKCS#8 DER, as [`Self::pkcs8`] gives it.
    pub fn from_pkcs8(pkcs8: Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose())
            .map_err(|_| KeyError::Pkcs8)?;
        Self::build(pair, pkcs8)
    }

    /// PKCS#8 DER, to be sealed or handed to the key's own workload.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// The public key, with `kid`, `alg` and `use: sig`.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The thumbprint: `jkt` of a token bound to this key.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The key id, equal to the thumbprint.
    pub fn kid(&self) -> &str {
        self.thumbprint.as_str()
    }

    /// The uncompressed point, 65 bytes.
    pub fn public_point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JwkError> {
        VerifyingKey::new(self.jwk.clone())
    }

    /// ECDSA over SHA-256 of `message`, as r ‖ s.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], KeyError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| KeyError::Sign)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Sign)
    }

    fn build(pair: EcdsaKeyPair, pkcs8: Secret<Vec<u8>>) -> Result<Self, KeyError> {
        // SEC 1 §2.3.3: 0x04 ‖ x ‖ y.
        let (x, y) = pair
            .public_key()
            .as_ref()
            .strip_prefix(&[4])
            .and_then(|point| point.split_at_checked(Curve::P256.coordinate_len()))
            .ok_or(KeyError::Pkcs8)?;
        let material = Material::Ec {
            curve: Curve::P256,
            x: x.to_vec(),
            y: y.to_vec(),
        };
        let mut jwk = Jwk {
            material,
            kid: None,
            algorithm: Some(Algorithm::Es256),
            usage: Some("sig".to_owned()),
        };
        let thumbprint = jwk.thumbprint();
        jwk.kid = Some(thumbprint.to_string());
        Ok(Self {
            pair,
            pkcs8,
            jwk,
            thumbprint,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.thumbprint)
    }
}

/// An Ed25519 key for log notes and feed heads (RFC 8032).
pub struct Ed25519Key {
    pair: Ed25519KeyPair,
    pkcs8: Secret<Vec<u8>>,
    public: [u8; 32],
}

impl Ed25519Key {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Self::build(pair, Secret::new(document.as_ref().to_vec()))
    }

    /// From PKCS#8 DER, as [`Self::pkcs8`] gives it.
    pub fn from_pkcs8(pkcs8: Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| KeyError::Pkcs8)?;
        Self::build(pair, pkcs8)
    }

    /// From the 32-byte seed of RFC 8032 §5.1.5.
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Result<Self, KeyError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyError::Pkcs8)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Pkcs8)?;
        Self::build(pair, Secret::new(document.as_ref().to_vec()))
    }

    /// PKCS#8 DER, to be sealed.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], KeyError> {
        let signature = self.pair.try_sign(message).map_err(|_| KeyError::Sign)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Sign)
    }

    fn build(pair: Ed25519KeyPair, pkcs8: Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Pkcs8)?;
        Ok(Self {
            pair,
            pkcs8,
            public,
        })
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519Key(…)")
    }
}

/// A public key that has been checked to be one, and verifies signatures of the algorithms that fit it.
#[derive(Clone)]
pub struct VerifyingKey {
    jwk: Jwk,
    parsed: Parsed,
}

#[derive(Clone)]
enum Parsed {
    Ec(Algorithm, ParsedPublicKey),
    Ed25519(ParsedPublicKey),
    Rsa,
}

impl VerifyingKey {
    /// Checks that the numbers form a key: point on its curve, RSA modulus of 2,048 to 8,192 bits, and `alg` (if there) fits.
    pub fn new(jwk: Jwk) -> Result<Self, JwkError> {
        let parsed = match &jwk.material {
            Material::Ec { curve, x, y } => {
                let point = [&[4_u8], x.as_slice(), y].concat();
                let (algorithm, verification): (_, &'static signature::EcdsaVerificationAlgorithm) =
                    match curve {
                        Curve::P256 => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED),
                        Curve::P384 => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED),
                        Curve::P521 => (Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED),
                    };
                Parsed::Ec(
                    algorithm,
                    ParsedPublicKey::new(verification, point).map_err(|_| JwkError::NotAKey)?,
                )
            }
            Material::Ed25519 { x } => Parsed::Ed25519(
                ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| JwkError::NotAKey)?,
            ),
            Material::Rsa { n, e } => {
                let leading = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
                let bits = n.len().saturating_mul(8).saturating_sub(leading);
                if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
                    || e.len() > RSA_EXPONENT_BYTES_MAX
                {
                    return Err(JwkError::NotAKey);
                }
                RsaPublicKeyComponents { n, e }
                    .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
                    .map_err(|_| JwkError::NotAKey)?;
                Parsed::Rsa
            }
        };
        let key = Self { jwk, parsed };
        match key.jwk.algorithm {
            Some(algorithm) if !key.fits(algorithm) => Err(JwkError::Member("alg")),
            _ => Ok(key),
        }
    }

    /// The key in JSON.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether this key may verify signatures of `algorithm`: its type fits, and so does its own `alg` if it has one.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.fits(algorithm) && self.jwk.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` over `message` is good. ECDSA signatures are r ‖ s of exactly the curve's length.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.allows(algorithm) {
            return false;
        }
        match (&self.parsed, &self.jwk.material) {
            (Parsed::Ec(_, key) | Parsed::Ed25519(key), _) => {
                key.verify_sig(message, signature).is_ok()
            }
            (Parsed::Rsa, Material::Rsa { n, e }) => {
                rsa_parameters(algorithm).is_some_and(|parameters| {
                    RsaPublicKeyComponents { n, e }
                        .verify(parameters, message, signature)
                        .is_ok()
                })
            }
            (Parsed::Rsa, _) => false,
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        match &self.parsed {
            Parsed::Ec(own, _) => *own == algorithm,
            Parsed::Ed25519(_) => algorithm == Algorithm::EdDsa,
            Parsed::Rsa => rsa_parameters(algorithm).is_some(),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.jwk.thumbprint())
    }
}

/// Why a key could not be made, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The library made no key.
    #[error("the cryptographic library made no key")]
    Generate,
    /// The stored bytes are not a key of this type.
    #[error("the stored private key is not PKCS#8 of the expected type")]
    Pkcs8,
    /// The library did not sign.
    #[error("the cryptographic library did not sign")]
    Sign,
}

impl Fault for KeyError {
    fn code(&self) -> Code {
        Code::Internal
    }
}

const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;
const RSA_EXPONENT_BYTES_MAX: usize = 4;

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => None,
    }
}

#[cfg(test)]
mod tests;
