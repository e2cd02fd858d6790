//! The signing keys, one class per purpose (02, keys): kept sealed in the store, published before they sign, replaced at half of their
//! life, and published for as long as anything they signed can live.

mod kept;
mod life;
mod material;
mod orders;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Code, Fault, Timestamp};
use bailiwick_crypto::bundle::{Bundle, BundleError};
use bailiwick_crypto::ca::{Authority, CaError};
use bailiwick_crypto::head;
use bailiwick_crypto::jwk::{Jwk, JwkError};
use bailiwick_crypto::keys::{Ed25519Key, KeyError, SigningKey};
use bailiwick_crypto::seal::SealError;
use bailiwick_crypto::token::{KeySet, KeySetError, MAX_KEYS, ReceiptKeys, SvidKeys, TaskKeys};
use bailiwick_store::{KeyClass, KeyRow, KeyState, StoreError};

use crate::authority::Parts;
use kept::{Kept, News};
use life::Due;
pub(crate) use life::Ring;
pub use life::{CLASSES, KEY_LIFE, LONG_PREPARED, PREPARED, RECEIPT_KEY_LIFE, prepared_for};
use material::Material;
pub use orders::{How, KeyOrderError, Order, Standing};

/// How often others should fetch the bundle.
const REFRESH: Duration = Duration::from_mins(5);

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
        // The first key of a class changes nothing that anybody knew.
        let steps = rings.into_iter().flat_map(|(class, ring)| {
            let is_new = first.contains(&class);
            ring.into_steps()
                .into_iter()
                .map(move |step| (step, is_new))
        });
        let news = News::of(&keyring, steps.collect());
        let sequence = news.publish(&kept, parts, actor).await?;
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
