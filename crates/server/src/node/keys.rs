//! The audit log's own keys: the Ed25519 keys of its checkpoints and of bundles of evidence, and the key that wraps its sealed values, all
//! sealed in the store.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::log::RotateError;
use bailiwick_audit::projection::IndexKey;
use bailiwick_audit::seal::Kek;
use bailiwick_core::{Rng, Secret, Timestamp};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::seal::{Place, Seal};
use bailiwick_crypto::system::random;
use bailiwick_store::{KeyClass, KeyPublic, KeyRow, KeyState, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::StartError;
use crate::app::App;

/// A key that lasts until it is replaced.
const FOREVER: Timestamp = Timestamp::from_secs(253_402_207_200);
/// Where the wrapping key is kept among the single values.
const KEK: &str = "audit_kek";
/// Where the key of the index is.
const INDEX_KEY: &str = "audit_index_key";

/// The key that signs statements over bundles of evidence; made once.
pub(super) async fn evidence_key(
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Ed25519Key, StartError> {
    lasting(KeyClass::Evidence, store, seal, now, rng).await
}

/// The key that signs publications of policy; made once.
pub(super) async fn policy_key(
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Ed25519Key, StartError> {
    lasting(KeyClass::Policy, store, seal, now, rng).await
}

/// The key that signs heads of the feed; made once.
pub(super) async fn head_key(
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Ed25519Key, StartError> {
    lasting(KeyClass::Head, store, seal, now, rng).await
}

/// The one key of a class, which is made when it is first asked for.
pub(super) async fn lasting(
    class: KeyClass,
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Ed25519Key, StartError> {
    let rows = store.read(move |rows| rows.keys(class)).await?;
    if let Some(row) = rows.iter().find(|row| row.state == KeyState::Active) {
        return open_row(seal, row);
    }
    let key = Ed25519Key::generate()?;
    let row = new_row(class, &key, seal, now, rng)?;
    let written = store.write(move |tx| tx.put_key(&row));
    written.await.map_err(|error: StoreError| error)?;
    Ok(key)
}

/// A key as the store has it.
pub(super) fn open_row(seal: &Seal, row: &KeyRow) -> Result<Ed25519Key, StartError> {
    let private = seal.unseal(place(row.class.as_str(), &row.kid), &row.sealed_private)?;
    Ok(Ed25519Key::from_pkcs8(private)?)
}

/// A key as the store is to have it: the one that signs for its class.
pub(super) fn new_row(
    class: KeyClass,
    key: &Ed25519Key,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<KeyRow, StartError> {
    let name = class.as_str();
    let x = URL_SAFE_NO_PAD.encode(key.public());
    let kid = format!("{name}-{}", x.chars().take(16).collect::<String>());
    Ok(KeyRow {
        sealed_private: seal.seal(rng, place(name, &kid), key.pkcs8().expose())?,
        public: KeyPublic::Jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string()),
        kid,
        class,
        state: KeyState::Active,
        created_at: now,
        not_after: FOREVER,
    })
}

/// The keys that wrap the keys of sealed values, newest first. More than one only while everything is being wrapped anew.
pub(super) struct Keks {
    pub(super) newest: Kek,
    pub(super) older: Vec<Kek>,
    /// When the newest was made.
    pub(super) made: Timestamp,
}

/// A wrapping key as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    id: u32,
    made: Timestamp,
    sealed: String,
}

/// The wrapping keys; the first is made once.
pub(super) async fn keks(
    store: &Store,
    seal: &Seal,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Keks, StartError> {
    let mut kept = kept_keks(store, now).await?;
    if kept.is_empty() {
        kept.push(new_kek(seal, 1, now, rng)?);
        keep(store, &kept).await?;
    }
    let made = kept.first().map_or(now, |newest| newest.made);
    let mut opened = Vec::new();
    for one in &kept {
        opened.push(open_kek(seal, one)?);
    }
    let mut keys = opened.into_iter();
    let newest = keys.next().ok_or_else(not_32)?;
    Ok(Keks {
        newest,
        older: keys.collect(),
        made,
    })
}

/// Replaces the wrapping key if it is older than [`KEK_LIFE`], or goes on where that was interrupted, and destroys the one before once
/// nothing needs it.
pub(super) async fn renew_kek(
    store: &Store,
    seal: &Seal,
    log: &Log,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<(), RenewError> {
    let held = keks(store, seal, now, rng).await?;
    let newest = if !held.older.is_empty() {
        None
    } else if now.since(held.made) >= KEK_LIFE {
        let mut kept = kept_keks(store, now).await?;
        let next = new_kek(seal, held.newest.id.saturating_add(1), now, rng)?;
        let kek = open_kek(seal, &next)?;
        // Before anything is wrapped with it.
        kept.insert(0, next);
        keep(store, &kept).await?;
        Some(kek)
    } else {
        return Ok(());
    };
    log.rotate_kek(newest, "system").await?;
    let mut kept = kept_keks(store, now).await?;
    kept.truncate(1);
    keep(store, &kept).await?;
    tracing::info!(
        "the key that wraps sealed values was replaced, and the one before is destroyed"
    );
    Ok(())
}

/// Looks once in a while whether the wrapping key, and one that signed, have lived long enough, until the node stops.
pub(super) async fn renew_keks(seal: Arc<Seal>, app: Arc<App>) -> &'static str {
    loop {
        let renewing = renew_kek(&app.store, &seal, &app.log, app.clock.wall(), &*app.rng);
        tokio::select! {
            () = app.stop.cancelled() => break,
            renewed = renewing => if let Err(error) = renewed {
                tracing::warn!(%error, "the key that wraps sealed values is not replaced yet");
            },
        }
        tokio::select! {
            () = app.stop.cancelled() => break,
            looked = app.log_keys.look() => if let Err(problem) = looked {
                tracing::warn!(%problem, "the log's keys are not what they should be yet");
            },
        }
        tokio::select! {
            () = app.stop.cancelled() => break,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
    }
    "renewal of the audit keys"
}

/// How often that is looked at.
const RENEW_EVERY: Duration = Duration::from_hours(1);

/// Why a wrapping key was not replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewError {
    /// Keys cannot be read or written.
    #[error(transparent)]
    Keys(#[from] StartError),
    /// Not everything is wrapped anew.
    #[error(transparent)]
    Log(#[from] RotateError),
}

/// A wrapping key lives this long; so long an older copy of the log's files can be opened with the present keys.
const KEK_LIFE: Duration = Duration::from_hours(30 * 24);

async fn kept_keks(store: &Store, now: Timestamp) -> Result<Vec<Kept>, StartError> {
    let text = store
        .read(|rows| rows.meta(KEK))
        .await
        .map_err(|error: StoreError| error)?;
    match text {
        None => Ok(Vec::new()),
        Some(text) if text.starts_with('[') => {
            Ok(serde_json::from_str(&text).map_err(|_| not_32())?)
        }
        // The first form: one key, whose age is not known.
        Some(sealed) => Ok(vec![Kept {
            id: 1,
            made: now,
            sealed,
        }]),
    }
}

async fn keep(store: &Store, kept: &[Kept]) -> Result<(), StartError> {
    let text = serde_json::to_string(kept).map_err(|_| not_32())?;
    let written = store.write(move |tx| tx.put_meta(KEK, &text));
    written.await.map_err(|error: StoreError| error)?;
    Ok(())
}

fn new_kek(seal: &Seal, id: u32, now: Timestamp, rng: &dyn Rng) -> Result<Kept, StartError> {
    let key: Secret<[u8; 32]> = Secret::new(random::<32>(rng));
    let sealed = seal.seal(rng, kek_place(id), key.expose())?;
    Ok(Kept {
        id,
        made: now,
        sealed: STANDARD.encode(sealed),
    })
}

fn open_kek(seal: &Seal, kept: &Kept) -> Result<Kek, StartError> {
    let sealed = STANDARD.decode(&kept.sealed).map_err(|_| not_32())?;
    let opened = seal.unseal(kek_place(kept.id), &sealed)?;
    let bytes: [u8; 32] = opened
        .expose()
        .as_slice()
        .try_into()
        .map_err(|_| not_32())?;
    Ok(Kek {
        id: kept.id,
        key: Secret::new(bytes),
    })
}

/// A key that cannot be one of ours.
pub(super) fn damaged(why: &str) -> StoreError {
    StoreError::Damaged {
        kind: "audit key",
        why: why.to_owned(),
    }
}

fn not_32() -> StoreError {
    damaged("it is not 32 sealed bytes")
}

fn kek_place(id: u32) -> Place<'static> {
    Place {
        version: id.into(),
        ..place("audit", "kek")
    }
}

/// The key under which the index of the record names resources; made once.
pub(super) async fn index_key(
    store: &Store,
    seal: &Seal,
    rng: &dyn Rng,
) -> Result<IndexKey, StartError> {
    let place = place("audit", "index");
    let kept = store.read(|rows| rows.meta(INDEX_KEY)).await;
    if let Some(text) = kept.map_err(|error: StoreError| error)? {
        let sealed = STANDARD.decode(text).map_err(|_| not_32())?;
        let opened = seal.unseal(place, &sealed)?;
        let bytes = opened.expose().as_slice().try_into();
        let bytes: [u8; 32] = bytes.map_err(|_| not_32())?;
        return Ok(IndexKey::new(Secret::new(bytes)));
    }
    let key = Secret::new(random::<32>(rng));
    let sealed = STANDARD.encode(seal.seal(rng, place, key.expose())?);
    let written = store.write(move |tx| tx.put_meta(INDEX_KEY, &sealed));
    written.await.map_err(|error: StoreError| error)?;
    Ok(IndexKey::new(key))
}

fn place<'a>(domain: &'a str, name: &'a str) -> Place<'a> {
    Place {
        domain,
        name,
        version: 1,
    }
}

#[cfg(test)]
mod tests;
