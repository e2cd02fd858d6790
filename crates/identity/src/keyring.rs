//! The signing keys, one class per purpose (02, keys): kept sealed in the store, made anew at half of their life, published
//! for as long as anything they signed can live.

use std::time::Duration;

use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Code, Fault, Rng, Secret, Timestamp};
use bailiwick_crypto::bundle::{Bundle, BundleError};
use bailiwick_crypto::ca::{Authority, CaError};
use bailiwick_crypto::jwk::{Jwk, JwkError};
use bailiwick_crypto::keys::{KeyError, SigningKey};
use bailiwick_crypto::seal::{Place, Seal, SealError};
use bailiwick_crypto::token::{KeySet, KeySetError, MAX_KEYS, ReceiptKeys, SvidKeys, TaskKeys};
use bailiwick_store::{KeyClass, KeyPublic, KeyRow, KeyState, Store, StoreError};

/// Life of every signing key but those of receipts.
pub const KEY_LIFE: Duration = Duration::from_hours(7 * 24);
/// Life of a key that signs receipts. Its public part is published for as long as there is room for it ([`RECEIPT_KEYS`]).
pub const RECEIPT_KEY_LIFE: Duration = Duration::from_hours(90 * 24);
/// Receipt keys that are published, newest first: made anew at half of their life, they reach back for seven years.
const RECEIPT_KEYS: usize = MAX_KEYS;
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
    /// Reads the keys and makes those that are missing or past half of their life. Safe to call at any time: rotation.
    pub async fn load(
        store: &Store,
        seal: &Seal,
        trust_domain: &TrustDomain,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, KeyringError> {
        let (ca, x509) = active(store, seal, KeyClass::X509, trust_domain, now, rng).await?;
        let (jwt_svid, svid_rows) =
            active(store, seal, KeyClass::JwtSvid, trust_domain, now, rng).await?;
        let (task, task_rows) = active(store, seal, KeyClass::Task, trust_domain, now, rng).await?;
        let (receipt, receipt_rows) =
            active(store, seal, KeyClass::Receipt, trust_domain, now, rng).await?;
        let Material::Ca(ca) = ca else {
            return Err(KeyringError::Row("x509".to_owned()));
        };
        let (Material::Key(jwt_svid), Material::Key(task), Material::Key(receipt)) =
            (jwt_svid, task, receipt)
        else {
            return Err(KeyringError::Row("jwt".to_owned()));
        };
        let authorities = x509
            .iter()
            .map(certificate)
            .collect::<Result<Vec<_>, _>>()?;
        let svid_jwks = svid_rows.iter().map(jwk).collect::<Result<Vec<_>, _>>()?;
        let task_keys = KeySet::new(task_rows.iter().map(jwk).collect::<Result<Vec<_>, _>>()?)?;
        let receipt_jwks = receipt_rows
            .iter()
            .map(jwk)
            .collect::<Result<Vec<_>, _>>()?;
        let jwks = task_keys.to_jwks().to_string();
        let (published, sequence) = store
            .write(move |tx| {
                if tx.meta("task_jwks")?.as_deref() != Some(jwks.as_str()) {
                    tx.put_meta("task_jwks", &jwks)?;
                    tx.publish_token_keys(&jwks)?;
                }
                Ok::<_, StoreError>((jwks.clone(), tx.head()))
            })
            .await?;
        tracing::debug!(bytes = published.len(), "task keys published");
        Ok(Self {
            bundle: Bundle::new(
                trust_domain.clone(),
                authorities,
                svid_jwks.clone(),
                sequence,
                REFRESH,
            )?,
            svid_keys: KeySet::new(svid_jwks)?,
            ca,
            jwt_svid,
            task,
            task_keys,
            receipt,
            receipt_keys: KeySet::new(receipt_jwks)?,
        })
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
}

enum Material {
    Ca(Authority),
    Key(SigningKey),
}

/// The active key of a class and all rows to publish, after making a new one if it is time.
async fn active(
    store: &Store,
    seal: &Seal,
    class: KeyClass,
    trust_domain: &TrustDomain,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<(Material, Vec<KeyRow>), KeyringError> {
    let mut rows: Vec<KeyRow> = store
        .read(move |rows| rows.keys(class))
        .await?
        .into_iter()
        .filter(|row| row.state != KeyState::Tainted)
        .filter(|row| row.not_after > now || class == KeyClass::Receipt)
        .take(RECEIPT_KEYS - 1)
        .collect();
    let life = life(class);
    let fresh = rows.iter().find(|row| {
        row.state == KeyState::Active
            && now < row.created_at.plus(life / 2)
            && row.created_at <= now
    });
    if let Some(row) = fresh {
        let private = seal.unseal(place(class, &row.kid), &row.sealed_private)?;
        return Ok((material(row, private)?, rows));
    }
    let (private, public, kid) = generate(class, trust_domain, now, rng)?;
    let sealed_private = seal.seal(rng, place(class, &kid), private.expose())?;
    let not_after = now.plus(life);
    let row = KeyRow {
        kid,
        class,
        sealed_private,
        public,
        state: KeyState::Active,
        created_at: now,
        not_after,
    };
    for old in &mut rows {
        old.state = KeyState::Old;
    }
    rows.push(row.clone());
    let written = rows.clone();
    store
        .write(move |tx| written.iter().try_for_each(|row| tx.put_key(row)))
        .await?;
    tracing::info!(class = class.as_str(), kid = row.kid, "made a signing key");
    Ok((material(&row, private)?, rows))
}

/// Receipts are kept, so that what made them is too.
const fn life(class: KeyClass) -> Duration {
    match class {
        KeyClass::Receipt => RECEIPT_KEY_LIFE,
        _ => KEY_LIFE,
    }
}

fn generate(
    class: KeyClass,
    trust_domain: &TrustDomain,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<(Secret<Vec<u8>>, KeyPublic, String), KeyringError> {
    if class == KeyClass::X509 {
        let ca = Authority::create(trust_domain.clone(), now, KEY_LIFE, rng)?;
        let kid = ca.key().kid().to_owned();
        return Ok((
            ca.key().pkcs8().clone(),
            KeyPublic::Certificate(ca.certificate().to_vec()),
            kid,
        ));
    }
    let key = SigningKey::generate()?;
    let public = serde_json::Value::Object(key.jwk().to_json()).to_string();
    Ok((
        key.pkcs8().clone(),
        KeyPublic::Jwk(public),
        key.kid().to_owned(),
    ))
}

fn material(row: &KeyRow, private: Secret<Vec<u8>>) -> Result<Material, KeyringError> {
    match &row.public {
        KeyPublic::Certificate(certificate) => Ok(Material::Ca(Authority::from_stored(
            private,
            certificate.clone(),
        )?)),
        KeyPublic::Jwk(_) => Ok(Material::Key(SigningKey::from_pkcs8(private)?)),
    }
}

fn place(class: KeyClass, kid: &str) -> Place<'_> {
    Place {
        domain: class.as_str(),
        name: kid,
        version: 1,
    }
}

fn certificate(row: &KeyRow) -> Result<Vec<u8>, KeyringError> {
    match &row.public {
        KeyPublic::Certificate(certificate) => Ok(certificate.clone()),
        KeyPublic::Jwk(_) => Err(KeyringError::Row(row.kid.clone())),
    }
}

fn jwk(row: &KeyRow) -> Result<Jwk, KeyringError> {
    let KeyPublic::Jwk(text) = &row.public else {
        return Err(KeyringError::Row(row.kid.clone()));
    };
    let members = serde_json::from_str(text).map_err(|_| KeyringError::Row(row.kid.clone()))?;
    Ok(Jwk::parse(&members)?)
}
