//! Values that stand in no leaf: committed to in the leaf, kept (if at all) in one box beside it, under a key of that event alone.
//!
//! Destroying a 64-byte key slot erases the values of an event, the salts of its commitments with them, and changes no proof.

use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_core::event::{Sealed, SealedClass};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault, Rng, Secret};
use bailiwick_crypto::aead::{AeadError, AeadKey, KEY_LEN, NONCE_LEN};
use bailiwick_crypto::hash::{Hkdf, Mac, equal};
use bailiwick_crypto::system::random;
use zeroize::Zeroizing;

use crate::leaf::{Commitment, Leaf};

/// Bytes of a key slot: key number, nonce, wrapped event key, tag.
pub const SLOT: usize = 64;
/// Most bytes of values kept for one event; what is beyond is committed to only.
pub const MAX_KEPT: usize = 512 << 10;

/// Which values are kept; all are committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payload {
    /// All.
    #[default]
    ArgsAndResult,
    /// All but what tools answered.
    Args,
    /// None. Calls cannot be shown or replayed then.
    None,
}

impl Payload {
    /// Whether the value at a path is kept.
    pub fn keeps(self, path: &str) -> bool {
        match self {
            Self::ArgsAndResult => true,
            Self::Args => path != "/result",
            Self::None => false,
        }
    }
}

/// A key-encryption key of this node, with its number.
#[derive(Debug, Clone)]
pub struct Kek {
    /// Counts up with each rotation.
    pub id: u32,
    /// The key.
    pub key: Secret<[u8; 32]>,
}

/// A key-encryption key, set up to wrap: events by the thousand are wrapped by the same one.
#[derive(Debug)]
pub(crate) struct Wrapping {
    pub(crate) kek: Kek,
    cipher: AeadKey,
}

impl Wrapping {
    pub(crate) fn new(kek: Kek) -> Arc<Self> {
        let cipher = AeadKey::new(kek.key.expose());
        Arc::new(Self { kek, cipher })
    }

    /// The slot of an event; the nonce is random and of this call alone.
    fn wrap(
        &self,
        nonce: [u8; NONCE_LEN],
        id: &str,
        event_key: &[u8; KEY_LEN],
    ) -> Result<[u8; SLOT], AeadError> {
        let wrapped = self
            .cipher
            .seal_with_nonce(nonce, id.as_bytes(), event_key)?;
        let mut slot = [0; SLOT];
        let (number, rest) = slot.split_at_mut(4);
        let (front, rest) = rest.split_at_mut(NONCE_LEN);
        number.copy_from_slice(&self.kek.id.to_le_bytes());
        front.copy_from_slice(&nonce);
        rest.copy_from_slice(&wrapped);
        Ok(slot)
    }
}

/// The keys of this node that wrap event keys. What is sealed from now on is wrapped by the newest; the older ones open what is not
/// re-wrapped yet.
#[derive(Debug)]
pub(crate) struct Keks(RwLock<(Arc<Wrapping>, Vec<Kek>)>);

impl Keks {
    pub(crate) fn new(newest: Kek, older: Vec<Kek>) -> Self {
        Self(RwLock::new((Wrapping::new(newest), older)))
    }

    /// The one that wraps.
    pub(crate) fn newest(&self) -> Arc<Wrapping> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// All that open, newest first.
    pub(crate) fn all(&self) -> Vec<Kek> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&held.0.kek)
            .chain(&held.1)
            .cloned()
            .collect()
    }

    /// Wraps with this one from now on.
    pub(crate) fn renew(&self, newest: Kek) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut held.0, Wrapping::new(newest));
        held.1.insert(0, before.kek.clone());
    }

    /// Forgets all but the newest.
    pub(crate) fn forget_older(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clear();
    }
}

/// What sealing an event's values gives.
#[derive(Debug)]
pub(crate) struct SealedValues {
    pub(crate) commitments: Vec<Commitment>,
    /// All zero if the event has no sealed value.
    pub(crate) slot: [u8; SLOT],
    /// Empty if no value is kept.
    pub(crate) sealed: Vec<u8>,
}

/// Commits to the values of one event and seals those to be kept. Draws a fresh key: nothing is ever sealed twice under one.
pub(crate) fn seal(
    wrapping: &Wrapping,
    rng: &dyn Rng,
    event: EventId,
    values: &[Sealed],
    value_max: usize,
) -> Result<SealedValues, AeadError> {
    if values.is_empty() {
        return Ok(SealedValues {
            commitments: Vec::new(),
            slot: [0; SLOT],
            sealed: Vec::new(),
        });
    }
    let id = event.to_string();
    // Drawn at once: a draw costs more than its bytes.
    let drawn = Zeroizing::new(random::<{ KEY_LEN + NONCE_LEN }>(rng));
    let (event_key, nonce) = parts(&drawn);
    let keys = Hkdf::new(&*event_key);
    let mut commitments = Vec::with_capacity(values.len());
    // Allocated once, so that growing leaves no copies behind.
    let room = values
        .iter()
        .map(|value| value.path.len() + value.value.len() + 6)
        .sum::<usize>();
    let mut kept = Zeroizing::new(Vec::with_capacity(room.min(MAX_KEPT)));
    for value in values {
        let fits = value.value.len() <= value_max
            && kept.len() + value.path.len() + value.value.len() + 6 <= MAX_KEPT;
        // A secret is never kept, whatever its producer says.
        let keep = value.keep && fits && value.class != SealedClass::Secret;
        if keep {
            put_value(&mut kept, value.path, &value.value);
        }
        commitments.push(Commitment {
            path: value.path.to_owned(),
            class: value.class,
            bytes: value.value.len() as u64,
            commit: commit(&salt(&keys, value.path), &id, value.path, &value.value),
            kept: keep,
        });
    }
    let sealed = if kept.is_empty() {
        Vec::new()
    } else {
        // The key seals this one box and nothing else, so the zero nonce is used once.
        box_key(&keys).seal_with_nonce([0; NONCE_LEN], id.as_bytes(), &kept)?
    };
    Ok(SealedValues {
        commitments,
        slot: wrapping.wrap(nonce, &id, &event_key)?,
        sealed,
    })
}

/// An event key and a nonce from as many random bytes.
fn parts(drawn: &[u8; KEY_LEN + NONCE_LEN]) -> (Zeroizing<[u8; KEY_LEN]>, [u8; NONCE_LEN]) {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    let mut nonce = [0; NONCE_LEN];
    let (front, back) = drawn.split_at(KEY_LEN);
    key.copy_from_slice(front);
    nonce.copy_from_slice(back);
    (key, nonce)
}

/// Whether a slot holds a key that another than `newest` wraps.
pub(crate) fn is_stale(newest: &Kek, slot: &[u8]) -> bool {
    slot.first_chunk::<4>()
        .is_some_and(|number| u32::from_le_bytes(*number) != newest.id)
        && slot.iter().any(|byte| *byte != 0)
}

/// The slot of an event under the newest of `keks`, if it is under another of them. One that does not open stays as it is: it is lost
/// already.
pub(crate) fn rewrap(
    keks: &[Kek],
    rng: &dyn Rng,
    event: EventId,
    slot: &[u8; SLOT],
) -> Option<[u8; SLOT]> {
    let newest = keks.first().filter(|newest| is_stale(newest, slot))?;
    let id = event.to_string();
    let renewed = unwrap(keks, &id, slot).ok().and_then(|key| {
        let wrapping = Wrapping::new(newest.clone());
        wrapping.wrap(random(rng), &id, key.expose()).ok()
    });
    if renewed.is_none() {
        tracing::warn!(
            event = id,
            "the key of an event's values does not open and is not re-wrapped"
        );
    }
    renewed
}

/// A value that was opened and fits the leaf's commitment.
#[derive(Debug)]
pub struct Revealed {
    /// Where it belongs.
    pub path: String,
    /// What kind of data.
    pub class: SealedClass,
    /// Salt of its commitment. `[salt, path, value]` discloses this value to others and says nothing of the event's other values.
    pub salt: Secret<[u8; 32]>,
    /// The value.
    pub value: Secret<Vec<u8>>,
}

/// Opens the kept values of one event and checks each against its commitment in `leaf`.
pub(crate) fn reveal(
    keks: &[Kek],
    leaf: &Leaf,
    slot: &[u8; SLOT],
    sealed: &[u8],
) -> Result<Vec<Revealed>, RevealError> {
    let id = leaf.event.id.to_string();
    if !leaf.sealed.iter().any(|commitment| commitment.kept) {
        return Err(RevealError::NotKept);
    }
    if slot == &[0; SLOT] {
        return Err(RevealError::Erased);
    }
    let derived = Hkdf::new(unwrap(keks, &id, slot)?.expose());
    let opened = box_key(&derived)
        .open_with_nonce([0; NONCE_LEN], id.as_bytes(), sealed)
        .map_err(|_| RevealError::Altered)?;
    let mut rest = opened.as_slice();
    let mut revealed = Vec::new();
    for commitment in leaf.sealed.iter().filter(|commitment| commitment.kept) {
        let (path, value, tail) = take_value(rest).ok_or(RevealError::Altered)?;
        let salt = salt(&derived, path);
        let actual = commit(&salt, &id, path, value);
        if path != commitment.path || !equal(&actual.0, &commitment.commit.0) {
            return Err(RevealError::Altered);
        }
        revealed.push(Revealed {
            path: path.to_owned(),
            class: commitment.class,
            salt: Secret::new(*salt),
            value: Secret::new(value.to_vec()),
        });
        rest = tail;
    }
    Ok(revealed)
}

/// The key of an event, from its slot.
fn unwrap(keks: &[Kek], id: &str, slot: &[u8; SLOT]) -> Result<Secret<[u8; 32]>, RevealError> {
    let (number, wrapped) = slot.split_first_chunk::<4>().ok_or(RevealError::Altered)?;
    let number = u32::from_le_bytes(*number);
    let kek = keks
        .iter()
        .find(|kek| kek.id == number)
        .ok_or(RevealError::NoKey { kek: number })?;
    let opened = AeadKey::new(kek.key.expose())
        .open(id.as_bytes(), wrapped)
        .map_err(|_| RevealError::Altered)?;
    let key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| RevealError::Altered)?;
    Ok(Secret::new(key))
}

/// What somebody with the node's keys learns from a slot: the salt of one path, if the slot is the event's.
#[cfg(test)]
pub(crate) fn salt_of(
    keks: &[Kek],
    leaf: &Leaf,
    slot: &[u8; SLOT],
    path: &str,
) -> Option<[u8; 32]> {
    let key = unwrap(keks, &leaf.event.id.to_string(), slot).ok()?;
    Some(*salt(&Hkdf::new(key.expose()), path))
}

/// Whether `[salt, path, value]` opens a commitment of the leaf. What a disclosure proves, once the leaf is proven.
pub fn discloses(leaf: &Leaf, salt: &[u8; 32], path: &str, value: &[u8]) -> bool {
    let actual = commit(salt, &leaf.event.id.to_string(), path, value);
    leaf.sealed
        .iter()
        .any(|commitment| commitment.path == path && equal(&actual.0, &commitment.commit.0))
}

/// Why sealed values do not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// Nothing was kept.
    #[error("the event's values were committed to but not kept")]
    NotKept,
    /// The key slot is destroyed.
    #[error("the event's values were erased")]
    Erased,
    /// The key that wraps the event's key is not here.
    #[error("the event's values are sealed under key {kek}, which is not open here")]
    NoKey {
        /// Its number.
        kek: u32,
    },
    /// Slot, box or value does not fit the leaf. The leaf itself stays proven.
    #[error("the event's sealed values were altered")]
    Altered,
}

impl Fault for RevealError {
    fn code(&self) -> Code {
        match self {
            Self::NotKept => Code::PayloadNotKept,
            Self::Erased => Code::PayloadErased,
            Self::NoKey { .. } => Code::SealLocked,
            Self::Altered => Code::LogAltered,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotKept | Self::Erased => {
                "The commitment in the leaf still proves what a copy of the value is worth.".into()
            }
            Self::NoKey { .. } => {
                "Run this on the node that recorded the event, with its seal open.".into()
            }
            Self::Altered => {
                "Keep the files; `audit verify` says whether anything else was altered.".into()
            }
        }
    }
}

/// Salt of one value's commitment.
fn salt(keys: &Hkdf, path: &str) -> Zeroizing<[u8; 32]> {
    keys.derive(&[b"salt", &[0], path.as_bytes()])
}

fn box_key(keys: &Hkdf) -> AeadKey {
    AeadKey::new(&keys.derive(&[b"seal"]))
}

fn commit(salt: &[u8; 32], id: &str, path: &str, value: &[u8]) -> Digest {
    let mut mac = Mac::new(salt);
    for part in [
        b"bailiwick/commit/v1",
        &[0][..],
        id.as_bytes(),
        &[0],
        path.as_bytes(),
        &[0],
        value,
    ] {
        mac.update(part);
    }
    Digest(mac.finish())
}

/// One kept value inside a box: `path_len u16le | path | len u32le | value`.
fn put_value(out: &mut Vec<u8>, path: &str, value: &[u8]) {
    out.extend_from_slice(&u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

fn take_value(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (path, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((std::str::from_utf8(path).ok()?, value, rest))
}

#[cfg(test)]
mod tests;
