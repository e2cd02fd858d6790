//! The signing keys, one class per purpose (02, keys): kept sealed in the store, published before they sign, replaced at half of their
//! life, and published for as long as anything they signed can live.

mod life;
mod material;
mod orders;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Fault, Timestamp};
use bailiwick_crypto::bundle::{Bundle, BundleError};
use bailiwick_crypto::ca::{Authority, CaError};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::head;
use bailiwick_crypto::jwk::{Jwk, JwkError};
use bailiwick_crypto::keys::{Ed25519Key, KeyError, SigningKey};
use bailiwick_crypto::seal::SealError;
use bailiwick_crypto::token::{KeySet, KeySetError, MAX_KEYS, ReceiptKeys, SvidKeys, TaskKeys};
use bailiwick_store::{KeyClass, KeyRow, KeyState, Store, StoreError};

use crate::authority::Parts;
pub(crate) use life::Ring;
pub use life::{CLASSES, KEY_LIFE, LONG_PREPARED, PREPARED, RECEIPT_KEY_LIFE, prepared_for};
use life::{Due, Step};
use material::Material;
pub use orders::{How, KeyOrderError, Order, Standing};

/// How often others should fetch the bundle.
const REFRESH: Duration = Duration::from_mins(5);
/// Where the task keys are kept that were published last.
const TASK_JWKS: &str = "task_jwks";
/// Where the bundle's fingerprint and sequence are.
const BUNDLE: &str = "bundle";

/// The keys in use and those still published.
#[derive(Debug)]
pub struct Keyring {
    ca: Authority,
    jwt_svid: SigningKey,
    task: SigningKey,
    receipt: SigningKey,
    bundle: Bundle,
    svid_keys: KeySet<SvidKeys>,
    task_keys: KeySet<TaskKeys>,
    receipt_keys: KeySet<ReceiptKeys>,
    head: Arc<Ed25519Key>,
    head_keys: Vec<String>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The store.
    #[error("the keys cannot be read or kept")]
    Store(#[from] StoreError),
    /// The seal does not open a key.
    #[error("a signing key cannot be unsealed or sealed")]
    Seal(#[from] SealError),
    /// A key or its certificate is not usable.
    #[error("a signing key is not usable")]
    Key(#[from] KeyError),
    /// The same for a CA.
    #[error("the trust domain's CA is not usable")]
    Ca(#[from] CaError),
    /// The public part is not a JWK.
    #[error("a published key is not usable")]
    Jwk(#[from] JwkError),
    /// Too many keys, or two of one id.
    #[error("the published keys are not usable")]
    Set(#[from] KeySetError),
    /// The bundle cannot be built.
    #[error("the trust bundle cannot be built")]
    Bundle(#[from] BundleError),
    /// A row without the form of its class.
    #[error("the row of key {0} has not the form of its class")]
    Row(String),
}

impl Fault for KeyringError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Seal(error) => error.code(),
            _ => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Store(error) => error.help(),
            Self::Seal(error) => error.help(),
            _ => "restore the data directory from a backup taken with its seal file".to_owned(),
        }
    }
}

impl Keyring {
    /// Reads the keys, does what is due and what is ordered, and publishes what is to be accepted from now on: all of it or nothing, with its
    /// events. Safe to call at any time; what a stop interrupts is due again.
    pub(crate) async fn look<E: From<KeyringError>>(
        parts: &Parts,
        actor: Option<&str>,
        mut order: impl FnMut(&mut Ring, Timestamp) -> Result<(), E>,
    ) -> Result<Self, E> {
        let now = parts.clock.wall();
        let mut kept = Kept::read(&parts.store).await?;
        let mut rings = Vec::new();
        let mut first = Vec::new();
        for (class, rows) in std::mem::take(&mut kept.keys) {
            if rows.is_empty() {
                first.push(class);
            }
            let mut ring = Ring::new(class, rows);
            order(&mut ring, now)?;
            bring_up(parts, &mut ring, now)?;
            rings.push((class, ring));
        }
        let mut keyring = Self::of(parts, &rings, now)?;
        let news = News {
            jwks: keyring.task_keys.to_jwks().to_string(),
            bundle: fingerprint(&keyring.bundle),
            // The first key of a class changes nothing that anybody knew.
            steps: rings
                .into_iter()
                .flat_map(|(class, ring)| {
                    let is_new = first.contains(&class);
                    ring.into_steps()
                        .into_iter()
                        .map(move |step| (step, is_new))
                })
                .collect(),
        };
        let sequence = if news.is_none(&kept) {
            sequence_of(kept.bundle.as_deref())
        } else {
            news.write(parts, actor).await?
        };
        keyring.bundle = keyring.bundle.with_sequence(sequence);
        Ok(keyring)
    }

    /// The keys of these rings.
    fn of(parts: &Parts, rings: &[(KeyClass, Ring)], now: Timestamp) -> Result<Self, KeyringError> {
        let ring = |class: KeyClass| {
            let found = rings.iter().find(|(found, _)| *found == class);
            found
                .map(|(_, ring)| ring)
                .ok_or_else(|| KeyringError::Row(class.as_str().to_owned()))
        };
        let signs = |class: KeyClass| {
            let row = ring(class)?.in_state(KeyState::Active);
            let row = row.ok_or_else(|| KeyringError::Row(class.as_str().to_owned()))?;
            material::open(&parts.seal, row)
        };
        let key = |class: KeyClass| match signs(class)? {
            Material::Key(key) => Ok(key),
            _ => Err(KeyringError::Row(class.as_str().to_owned())),
        };
        let jwks = |class: KeyClass| {
            let published = ring(class)?.published(now).take(MAX_KEYS);
            published
                .map(material::jwk)
                .collect::<Result<Vec<Jwk>, _>>()
        };
        let (Material::Ca(ca), Material::Head(head)) =
            (signs(KeyClass::X509)?, signs(KeyClass::Head)?)
        else {
            return Err(KeyringError::Row("x509".to_owned()));
        };
        let authorities = ring(KeyClass::X509)?
            .published(now)
            .map(material::certificate)
            .collect::<Result<Vec<_>, _>>()?;
        // What signs first, then what will.
        let mut head_keys = vec![head::public(&head)];
        for row in ring(KeyClass::Head)?.published(now) {
            if row.state == KeyState::Prepared {
                head_keys.push(material::head_key(row)?);
            }
        }
        let svid_keys = jwks(KeyClass::JwtSvid)?;
        Ok(Self {
            bundle: Bundle::new(
                parts.trust_domain.clone(),
                authorities,
                svid_keys.clone(),
                0,
                REFRESH,
            )?,
            svid_keys: KeySet::new(svid_keys)?,
            ca,
            jwt_svid: key(KeyClass::JwtSvid)?,
            task: key(KeyClass::Task)?,
            task_keys: KeySet::new(jwks(KeyClass::Task)?)?,
            receipt: key(KeyClass::Receipt)?,
            receipt_keys: KeySet::new(jwks(KeyClass::Receipt)?)?,
            head: Arc::new(head),
            head_keys,
        })
    }

    /// Whether something signs with another key than in `other`.
    pub(crate) fn signs_otherwise(&self, other: &Self) -> bool {
        let signs = |keyring: &Self| {
            let [svid, task, receipt] = [&keyring.jwt_svid, &keyring.task, &keyring.receipt]
                .map(|key| key.kid().to_owned());
            (svid, task, receipt)
        };
        signs(self) != signs(other)
            || self.ca.certificate() != other.ca.certificate()
            || self.head.public() != other.head.public()
    }

    /// The X.509 CA of the trust domain.
    pub fn ca(&self) -> &Authority {
        &self.ca
    }

    /// Signs JWT-SVIDs.
    pub fn jwt_svid(&self) -> &SigningKey {
        &self.jwt_svid
    }

    /// Signs task tokens.
    pub fn task(&self) -> &SigningKey {
        &self.task
    }

    /// Signs receipts of revocations.
    pub fn receipt(&self) -> &SigningKey {
        &self.receipt
    }

    /// The SPIFFE trust bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Keys that JWT-SVIDs verify with.
    pub fn svid_keys(&self) -> &KeySet<SvidKeys> {
        &self.svid_keys
    }

    /// Keys that task tokens verify with.
    pub fn task_keys(&self) -> &KeySet<TaskKeys> {
        &self.task_keys
    }

    /// Keys that receipts verify with, those that sign no more too.
    pub fn receipt_keys(&self) -> &KeySet<ReceiptKeys> {
        &self.receipt_keys
    }

    /// Signs heads of the feed.
    pub fn head(&self) -> &Arc<Ed25519Key> {
        &self.head
    }

    /// The public keys that points are to accept heads by from now on: of what signs, then of what will.
    pub fn head_keys(&self) -> &[String] {
        &self.head_keys
    }
}

/// What the store has of keys.
struct Kept {
    keys: Vec<(KeyClass, Vec<KeyRow>)>,
    /// The task keys that were published last.
    jwks: Option<String>,
    /// Fingerprint and sequence of the bundle that was published last.
    bundle: Option<String>,
}

impl Kept {
    async fn read(store: &Store) -> Result<Self, KeyringError> {
        let read = store.read(|rows| {
            let mut keys = Vec::with_capacity(CLASSES.len());
            for class in CLASSES {
                keys.push((class, rows.keys(class)?));
            }
            Ok::<_, StoreError>(Self {
                keys,
                jwks: rows.meta(TASK_JWKS)?,
                bundle: rows.meta(BUNDLE)?,
            })
        });
        Ok(read.await?)
    }
}

/// What is to be written.
struct News {
    steps: Vec<(Step, bool)>,
    jwks: String,
    bundle: String,
}

impl News {
    fn is_none(&self, kept: &Kept) -> bool {
        self.steps.is_empty()
            && kept.jwks.as_deref() == Some(self.jwks.as_str())
            && kept.bundle.as_deref().and_then(fingerprint_of) == Some(self.bundle.as_str())
    }

    /// Keys, events and what is published, in one transaction; the sequence of the bundle.
    async fn write(self, parts: &Parts, actor: Option<&str>) -> Result<u64, KeyringError> {
        let journal = Arc::clone(&parts.journal);
        let events: Vec<Option<Event>> = self
            .steps
            .iter()
            .map(|(step, is_new)| (!is_new).then(|| event(parts, step, actor)))
            .collect();
        let written = parts.store.write(move |tx| {
            for ((step, _), event) in self.steps.iter().zip(&events) {
                match step.after {
                    Some(_) => tx.put_key(&step.row)?,
                    None => tx.remove_key(&step.row.kid)?,
                }
                if let Some(event) = event {
                    journal.push(tx, event)?;
                }
            }
            if tx.meta(TASK_JWKS)?.as_deref() != Some(self.jwks.as_str()) {
                tx.put_meta(TASK_JWKS, &self.jwks)?;
                tx.publish_token_keys(&self.jwks)?;
            }
            let known = tx.meta(BUNDLE)?;
            if known.as_deref().and_then(fingerprint_of) == Some(self.bundle.as_str()) {
                return Ok::<_, StoreError>(sequence_of(known.as_deref()));
            }
            // Those of earlier versions were places in the feed: it goes on from there.
            let sequence = sequence_of(known.as_deref())
                .saturating_add(1)
                .max(tx.head());
            tx.put_meta(BUNDLE, &format!("{} {sequence}", self.bundle))?;
            Ok(sequence)
        });
        Ok(written.await?)
    }
}

/// The event of a change.
fn event(parts: &Parts, step: &Step, actor: Option<&str>) -> Event {
    let class = step.row.class.as_str();
    let (before, after) = (
        step.before.map(KeyState::as_str),
        step.after.map(KeyState::as_str),
    );
    tracing::info!(
        class,
        kid = step.row.kid,
        before,
        after = after.unwrap_or("gone"),
        "a signing key changes"
    );
    let mut event = Event::new(
        EventId::new(&*parts.clock, &*parts.rng),
        EventType::AdminChanged,
    );
    event.actor = actor.map(str::to_owned);
    event.action = Some(Action::named("keys.change"));
    event.change = Some(ChangeRef {
        kind: "key".to_owned(),
        id: format!("{class}/{}", step.row.kid),
        before: before.map(str::to_owned),
        after: Some(after.unwrap_or("gone").to_owned()),
    });
    event
}

/// Does what is due for a class.
fn bring_up(parts: &Parts, ring: &mut Ring, now: Timestamp) -> Result<(), KeyringError> {
    match life::due(ring, now) {
        Due::Nothing => {}
        Due::Prepare => ring.add(make(parts, ring, KeyState::Prepared, now)?, now),
        Due::Make => ring.add(make(parts, ring, KeyState::Active, now)?, now),
        Due::Activate(kid) => ring.activate(&kid, now),
    }
    ring.expire(now);
    Ok(())
}

fn make(
    parts: &Parts,
    ring: &Ring,
    state: KeyState,
    now: Timestamp,
) -> Result<KeyRow, KeyringError> {
    material::make(
        ring.class(),
        state,
        &parts.trust_domain,
        &parts.seal,
        now,
        &*parts.rng,
    )
}

/// What tells a bundle from another.
fn fingerprint(bundle: &Bundle) -> String {
    let keys = bundle.jwt_json().to_string();
    let mut all: Vec<&[u8]> = bundle
        .x509_authorities()
        .iter()
        .map(Vec::as_slice)
        .collect();
    all.push(keys.as_bytes());
    sha256(&all).to_hex()
}

fn fingerprint_of(kept: &str) -> Option<&str> {
    kept.split_once(' ').map(|(fingerprint, _)| fingerprint)
}

fn sequence_of(kept: Option<&str>) -> u64 {
    let kept = kept.and_then(|kept| kept.split_once(' '));
    kept.and_then(|(_, sequence)| sequence.parse().ok())
        .unwrap_or(0)
}
