//! What operators may do with keys: look at them, have one replaced, take one back.

use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_crypto::token::MAX_KEYS;
use bailiwick_store::{KeyClass, KeyState, StoreError};

use super::life::{CLASSES, Ring, prepared_for};
use super::{Keyring, KeyringError, bring_up, make};
use crate::authority::{Authority, Parts};

/// Keys of a class that may be published at once. A bundle holds two classes.
const MOST: usize = MAX_KEYS / 2 - 2;

/// An operator's word on keys.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to do.
    pub how: How,
    /// Who says so, as the record names them.
    pub actor: String,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum How {
    /// Publish a new key of this class; it signs once everybody could learn it ([`prepared_for`]).
    Prepare(KeyClass),
    /// The prepared key, or a new one, signs at once. What others keep of the keys is too old for a while.
    Now(KeyClass),
    /// Nothing that this key signed is accepted any more. If it signs, another does at once.
    Taint(String),
}

/// A key and where it is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub kid: String,
    /// What it signs.
    pub class: KeyClass,
    /// Where it is.
    pub state: KeyState,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it signs, if it does not yet.
    pub signs_from: Option<Timestamp>,
    /// Until when others accept it; none if that has no end, or is over.
    pub accepted_until: Option<Timestamp>,
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum KeyOrderError {
    /// No such key.
    #[error("there is no key {0}")]
    Unknown(String),
    /// One is prepared.
    #[error("a key of class {class} is prepared already: {kid} signs from {from}")]
    Prepared {
        /// Its class.
        class: &'static str,
        /// It.
        kid: String,
        /// When it signs.
        from: Timestamp,
    },
    /// It was taken back before.
    #[error("key {0} is tainted already")]
    Tainted(String),
    /// Replaced too often.
    #[error("{MOST} keys of class {0} are published still")]
    TooMany(&'static str),
    /// The record.
    #[error("{}", .0.message)]
    Record(Problem),
    /// The keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl From<StoreError> for KeyOrderError {
    fn from(error: StoreError) -> Self {
        Self::Keyring(error.into())
    }
}

impl Fault for KeyOrderError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown(_) => Code::NotFound,
            Self::Prepared { .. } | Self::Tainted(_) | Self::TooMany(_) => Code::Conflict,
            Self::Record(problem) => problem.code,
            Self::Keyring(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unknown(_) => "see `bailiwick key list`".to_owned(),
            Self::Prepared { class, .. } => {
                format!("to have it sign at once: `bailiwick key rotate {class} --now`")
            }
            Self::Tainted(_) => "nothing is left to do".to_owned(),
            Self::TooMany(_) => {
                "wait until the oldest are gone: `bailiwick key list` says when".to_owned()
            }
            Self::Record(problem) => problem.help.clone(),
            Self::Keyring(error) => error.help(),
        }
    }
}

impl Order {
    /// Does it to the class that it concerns.
    pub(super) fn carry_out(
        &self,
        parts: &Parts,
        ring: &mut Ring,
        now: Timestamp,
    ) -> Result<(), KeyOrderError> {
        match &self.how {
            How::Prepare(class) if *class == ring.class() => prepare(parts, ring, now),
            How::Now(class) if *class == ring.class() => replace(parts, ring, now),
            How::Taint(kid) => taint(parts, ring, kid, now),
            How::Prepare(_) | How::Now(_) => Ok(()),
        }
    }
}

fn prepare(parts: &Parts, ring: &mut Ring, now: Timestamp) -> Result<(), KeyOrderError> {
    if let Some(next) = ring.in_state(KeyState::Prepared) {
        return Err(KeyOrderError::Prepared {
            class: ring.class().as_str(),
            kid: next.kid.clone(),
            from: next.created_at.plus(prepared_for(ring.class())),
        });
    }
    has_room(ring, now)?;
    let next = make(parts, ring, KeyState::Prepared, now)?;
    ring.add(next, now);
    Ok(())
}

fn replace(parts: &Parts, ring: &mut Ring, now: Timestamp) -> Result<(), KeyOrderError> {
    has_room(ring, now)?;
    if let Some(next) = ring.in_state(KeyState::Prepared) {
        let kid = next.kid.clone();
        ring.activate(&kid, now);
    } else {
        let next = make(parts, ring, KeyState::Active, now)?;
        ring.add(next, now);
    }
    Ok(())
}

fn taint(parts: &Parts, ring: &mut Ring, kid: &str, now: Timestamp) -> Result<(), KeyOrderError> {
    let Some(row) = ring.find(kid) else {
        return Ok(());
    };
    if row.state == KeyState::Tainted {
        return Err(KeyOrderError::Tainted(kid.to_owned()));
    }
    ring.taint(kid);
    // If it signed, another does from now on.
    Ok(bring_up(parts, ring, now)?)
}

fn has_room(ring: &Ring, now: Timestamp) -> Result<(), KeyOrderError> {
    if ring.published(now).count() >= MOST {
        return Err(KeyOrderError::TooMany(ring.class().as_str()));
    }
    Ok(())
}

impl Authority {
    /// Does what is due: prepares keys, has them sign, removes them. Called every minute.
    pub async fn look_after_keys(&self) -> Result<(), KeyOrderError> {
        self.renew_keyring(None).await
    }

    /// Carries out an operator's order. When this resolves it is in effect here, and on record.
    pub async fn order_keys(&self, order: Order) -> Result<(), KeyOrderError> {
        if let How::Taint(kid) = &order.how {
            let known = self.key_standings().await?;
            if !known.iter().any(|known| known.kid == *kid) {
                return Err(KeyOrderError::Unknown(kid.clone()));
            }
        }
        self.renew_keyring(Some(&order)).await
    }

    async fn renew_keyring(&self, order: Option<&Order>) -> Result<(), KeyOrderError> {
        let _one = self.keys_change.lock().await;
        let actor = order.map(|order| order.actor.as_str());
        let fresh = Keyring::look(&self.parts, actor, |ring, now| match order {
            Some(order) => order.carry_out(&self.parts, ring, now),
            None => Ok::<_, KeyOrderError>(()),
        });
        let fresh = fresh.await?;
        let narrows = order.is_some_and(|order| matches!(order.how, How::Taint(_)));
        // What grants is on record before; what narrows waits for no log.
        if !narrows && fresh.signs_otherwise(&self.keyring()) {
            let settled = self.parts.journal.settled();
            settled.await.map_err(KeyOrderError::Record)?;
        }
        self.use_keyring(fresh);
        if order.is_some() {
            let settled = self.parts.journal.settled();
            settled.await.map_err(KeyOrderError::Record)?;
        }
        Ok(())
    }

    /// All keys by class, newest first.
    pub async fn key_standings(&self) -> Result<Vec<Standing>, StoreError> {
        let rows = self.parts.store.read(|rows| {
            let mut all = Vec::new();
            for class in CLASSES {
                all.extend(rows.keys(class)?);
            }
            Ok::<_, StoreError>(all)
        });
        let rows = rows.await?.into_iter();
        Ok(rows
            .map(|row| Standing {
                signs_from: (row.state == KeyState::Prepared)
                    .then(|| row.created_at.plus(prepared_for(row.class))),
                accepted_until: match (row.state, row.class) {
                    (KeyState::Tainted, _) | (_, KeyClass::Receipt | KeyClass::Head) => None,
                    _ => Some(row.not_after),
                },
                kid: row.kid,
                class: row.class,
                state: row.state,
                made_at: row.created_at,
            })
            .collect())
    }
}
