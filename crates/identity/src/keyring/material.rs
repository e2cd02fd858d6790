//! Key material: made, sealed, opened, and its public part as it is published.

use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Rng, Secret, Timestamp};
use bailiwick_crypto::ca::Authority;
use bailiwick_crypto::head;
use bailiwick_crypto::jwk::Jwk;
use bailiwick_crypto::keys::{Ed25519Key, SigningKey};
use bailiwick_crypto::seal::{Place, Seal};
use bailiwick_store::{KeyClass, KeyPublic, KeyRow, KeyState};
use serde_json::{Map, Value, json};

use super::KeyringError;
use super::life;

/// A key that can sign.
pub(super) enum Material {
    /// Certificates.
    Ca(Authority),
    /// JWTs.
    Key(SigningKey),
    /// Heads of the feed.
    Head(Ed25519Key),
}

/// A new key of a class, as the store is to have it.
pub(super) fn make(
    class: KeyClass,
    state: KeyState,
    trust_domain: &TrustDomain,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<KeyRow, KeyringError> {
    let (private, public, kid) = generate(class, trust_domain, now, rng)?;
    Ok(KeyRow {
        sealed_private: seal.seal(rng, place(class, &kid), private.expose())?,
        kid,
        class,
        public,
        state,
        created_at: now,
        not_after: life::end(class, now),
    })
}

/// Opens a key that signs.
pub(super) fn open(seal: &Seal, row: &KeyRow) -> Result<Material, KeyringError> {
    let private = seal.unseal(place(row.class, &row.kid), &row.sealed_private)?;
    Ok(match (&row.public, row.class) {
        (KeyPublic::Certificate(certificate), _) => {
            Material::Ca(Authority::from_stored(private, certificate.clone())?)
        }
        (KeyPublic::Jwk(_), KeyClass::Head) => Material::Head(Ed25519Key::from_pkcs8(private)?),
        (KeyPublic::Jwk(_), _) => Material::Key(SigningKey::from_pkcs8(private)?),
    })
}

pub(super) fn certificate(row: &KeyRow) -> Result<Vec<u8>, KeyringError> {
    match &row.public {
        KeyPublic::Certificate(certificate) => Ok(certificate.clone()),
        KeyPublic::Jwk(_) => Err(KeyringError::Row(row.kid.clone())),
    }
}

pub(super) fn jwk(row: &KeyRow) -> Result<Jwk, KeyringError> {
    Ok(Jwk::parse(&members(row)?)?)
}

/// As heads name the keys that sign them.
pub(super) fn head_key(row: &KeyRow) -> Result<String, KeyringError> {
    let members = members(row)?;
    let x = members.get("x").and_then(Value::as_str);
    x.map(str::to_owned)
        .ok_or_else(|| KeyringError::Row(row.kid.clone()))
}

fn members(row: &KeyRow) -> Result<Map<String, Value>, KeyringError> {
    let damaged = || KeyringError::Row(row.kid.clone());
    let KeyPublic::Jwk(text) = &row.public else {
        return Err(damaged());
    };
    serde_json::from_str(text).map_err(|_| damaged())
}

fn generate(
    class: KeyClass,
    trust_domain: &TrustDomain,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<(Secret<Vec<u8>>, KeyPublic, String), KeyringError> {
    Ok(match class {
        KeyClass::X509 => {
            let ca = Authority::create(trust_domain.clone(), now, life::KEY_LIFE, rng)?;
            let public = KeyPublic::Certificate(ca.certificate().to_vec());
            (ca.key().pkcs8().clone(), public, ca.key().kid().to_owned())
        }
        KeyClass::Head => {
            let key = Ed25519Key::generate()?;
            let x = head::public(&key);
            let kid = format!("head-{}", x.chars().take(16).collect::<String>());
            let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string();
            (key.pkcs8().clone(), KeyPublic::Jwk(public), kid)
        }
        _ => {
            let key = SigningKey::generate()?;
            let public = Value::Object(key.jwk().to_json()).to_string();
            let kid = key.kid().to_owned();
            (key.pkcs8().clone(), KeyPublic::Jwk(public), kid)
        }
    })
}

fn place(class: KeyClass, kid: &str) -> Place<'_> {
    Place {
        domain: class.as_str(),
        name: kid,
        version: 1,
    }
}
