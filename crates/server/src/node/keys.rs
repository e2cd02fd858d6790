//! The audit log's own keys: the Ed25519 key of its checkpoints and the key that wraps its sealed values, both sealed in the store.

use bailiwick_audit::seal::Kek;
use bailiwick_core::{Rng, Secret, Timestamp};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::seal::{Place, Seal};
use bailiwick_crypto::system::random;
use bailiwick_store::{KeyClass, KeyPublic, KeyRow, KeyState, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::StartError;

/// The log's key never changes: a log is known by it.
const FOREVER: Timestamp = Timestamp::from_secs(253_402_207_200);
/// Where the wrapping key is kept among the single values.
const KEK: &str = "audit_kek";

/// The key that signs checkpoints; made once.
pub(super) async fn log_key(
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Ed25519Key, StartError> {
    let rows = store.read(|rows| rows.keys(KeyClass::Log)).await?;
    if let Some(row) = rows.iter().find(|row| row.state == KeyState::Active) {
        let private = seal.unseal(place("log", &row.kid), &row.sealed_private)?;
        return Ok(Ed25519Key::from_pkcs8(private)?);
    }
    let key = Ed25519Key::generate()?;
    let x = URL_SAFE_NO_PAD.encode(key.public());
    let kid = format!("log-{}", x.chars().take(16).collect::<String>());
    let row = KeyRow {
        sealed_private: seal.seal(rng, place("log", &kid), key.pkcs8().expose())?,
        public: KeyPublic::Jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string()),
        kid,
        class: KeyClass::Log,
        state: KeyState::Active,
        created_at: now,
        not_after: FOREVER,
    };
    let written = store.write(move |tx| tx.put_key(&row));
    written.await.map_err(|error: StoreError| error)?;
    Ok(key)
}

/// The key that wraps the keys of sealed values; made once.
pub(super) async fn kek(store: &Store, seal: &Seal, rng: &dyn Rng) -> Result<Kek, StartError> {
    let place = place("audit", "kek");
    let kept = store
        .read(|rows| rows.meta(KEK))
        .await
        .map_err(|error: StoreError| error)?;
    let key: Secret<[u8; 32]> = if let Some(text) = kept {
        let damaged = || StoreError::Damaged {
            kind: "audit key",
            why: "it is not 32 sealed bytes".to_owned(),
        };
        let sealed = STANDARD.decode(text).map_err(|_| damaged())?;
        let opened = seal.unseal(place, &sealed)?;
        let bytes: [u8; 32] = opened
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| damaged())?;
        Secret::new(bytes)
    } else {
        let key = Secret::new(random::<32>(rng));
        let sealed = STANDARD.encode(seal.seal(rng, place, key.expose())?);
        let written = store.write(move |tx| tx.put_meta(KEK, &sealed));
        written.await.map_err(|error: StoreError| error)?;
        key
    };
    Ok(Kek { id: 1, key })
}

fn place<'a>(domain: &'a str, name: &'a str) -> Place<'a> {
    Place {
        domain,
        name,
        version: 1,
    }
}
