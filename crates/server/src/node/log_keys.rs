//! The keys that sign the log's checkpoints, and their replacement: a new one signs beside the one before for [`OVERLAP`], so that everybody who
//! verifies the log has time to learn it; then the private part of the old one is destroyed.
//!
//! New key, end of the old one and `log.key_rotated` are one transaction of the store; what a stop interrupts after that is finished by
//! [`LogKeys::look`].

use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_control::Actor;
use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::{Clock, Code, Fault, Id, Problem, Rng, Timestamp};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{NoteError, NoteSigner, NoteVerifier};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Journal, KeyClass, KeyPublic, KeyRow, KeyState, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::StartError;
use super::keys::{damaged, lasting, new_row, open_row};

/// How long both keys sign.
pub const OVERLAP: Duration = Duration::from_hours(7 * 24);

/// The log's keys as a log is opened with them.
pub(super) struct Held {
    pub(super) newest: NoteSigner,
    pub(super) older: Vec<Arc<NoteSigner>>,
    pub(super) former: Vec<NoteVerifier>,
}

impl Held {
    /// Keys that verify what the log signed.
    pub(super) fn verifiers(&self) -> Result<Vec<NoteVerifier>, NoteError> {
        let mut keys = vec![self.newest.verifier()?];
        for older in &self.older {
            keys.push(older.verifier()?);
        }
        keys.extend(self.former.iter().cloned());
        Ok(keys)
    }
}

/// The log's keys; the first is made once.
pub(super) async fn held(
    store: &Store,
    seal: &Seal,
    origin: &str,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Held, StartError> {
    let newest = lasting(KeyClass::Log, store, seal, now, rng).await?;
    let mut held = Held {
        newest: NoteSigner::new(origin, newest)?,
        older: Vec::new(),
        former: Vec::new(),
    };
    let rows = store.read(|rows| rows.keys(KeyClass::Log)).await;
    for row in rows.map_err(|error: StoreError| error)? {
        if row.state == KeyState::Active {
            continue;
        }
        if signs(&row) {
            let key = open_row(seal, &row)?;
            held.older.push(Arc::new(NoteSigner::new(origin, key)?));
        } else {
            held.former.push(verifier(origin, &row)?);
        }
    }
    Ok(held)
}

/// A key that was replaced and still signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its text form.
    pub vkey: String,
    /// Until when.
    pub until: Timestamp,
}

/// Replaces the key of a running log.
pub struct LogKeys {
    store: Store,
    seal: Arc<Seal>,
    journal: Arc<dyn Journal>,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Held while a key is replaced.
    one: Mutex<()>,
}

impl LogKeys {
    pub(super) fn new(
        store: Store,
        seal: Arc<Seal>,
        journal: Arc<dyn Journal>,
        log: Arc<Log>,
        (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>),
    ) -> Self {
        Self {
            store,
            seal,
            journal,
            log,
            clock,
            rng,
            one: Mutex::new(()),
        }
    }

    /// The key that was replaced lately, if there is one that still signs.
    pub async fn former(&self) -> Result<Option<Former>, Problem> {
        let rows = self.rows().await.map_err(|error| error.problem())?;
        let Some(row) = rows.iter().find(|row| is_older(row)) else {
            return Ok(None);
        };
        let key = verifier(self.log.origin(), row).map_err(|error| error.problem())?;
        Ok(Some(Former {
            vkey: key.vkey(),
            until: row.not_after,
        }))
    }

    /// Makes a new key. When this resolves that is on record, and both keys sign.
    pub async fn rotate(&self, actor: &Actor) -> Result<Former, Problem> {
        let _one = self.one.lock().await;
        if let Some(former) = self.former().await? {
            return Err(Problem::new(
                Code::Conflict,
                "the log's key was replaced lately, and the one before still signs",
                format!("The next one can be made after {}.", former.until),
            ));
        }
        let until = self.log.earliest().plus(OVERLAP);
        let former = self
            .replace(actor, until)
            .await
            .map_err(|error| error.problem())?;
        self.bring_into_line().await?;
        Ok(former)
    }

    /// Finishes what a stop interrupted, and destroys the key before once its time is over.
    pub(super) async fn look(&self) -> Result<(), Problem> {
        let _one = self.one.lock().await;
        self.bring_into_line().await?;
        self.destroy().await.map_err(|error| error.problem())
    }

    /// New key, end of the old one and event: all of it or nothing.
    async fn replace(&self, actor: &Actor, until: Timestamp) -> Result<Former, StartError> {
        let origin = self.log.origin();
        let rows = self.rows().await?;
        let active = rows.into_iter().find(|row| row.state == KeyState::Active);
        let mut old = active.ok_or_else(|| damaged("there is no key that signs"))?;
        old.state = KeyState::Old;
        old.not_after = until;
        let key = Ed25519Key::generate()?;
        let new = new_row(
            KeyClass::Log,
            &key,
            &self.seal,
            self.clock.wall(),
            &*self.rng,
        )?;
        let before = verifier(origin, &old)?.vkey();
        let kind = EventType::LogKeyRotated;
        let mut event = Event::new(Id::new(&*self.clock, &*self.rng), kind);
        event.actor = Some(actor.on_record());
        event.action = Some(Action::named(kind.as_str()));
        event.change = Some(ChangeRef {
            kind: "log".into(),
            id: origin.to_owned(),
            before: Some(before.clone()),
            after: Some(NoteSigner::new(origin, key)?.verifier()?.vkey()),
        });
        let journal = Arc::clone(&self.journal);
        let written = self.store.write(move |tx| {
            tx.put_key(&old)?;
            tx.put_key(&new)?;
            journal.push(tx, &event)
        });
        written.await.map_err(|error: StoreError| error)?;
        Ok(Former {
            vkey: before,
            until,
        })
    }

    /// Signs with the key that the store has, once its event is on record.
    async fn bring_into_line(&self) -> Result<(), Problem> {
        let rows = self.rows().await.map_err(|error| error.problem())?;
        let Some(active) = rows.iter().find(|row| row.state == KeyState::Active) else {
            return Ok(());
        };
        let newest = verifier(self.log.origin(), active).map_err(|error| error.problem())?;
        let signing = self.log.signing();
        if signing
            .first()
            .is_some_and(|key| key.public() == newest.public())
        {
            return Ok(());
        }
        self.journal.settled().await?;
        let key = open_row(&self.seal, active).map_err(|error| error.problem())?;
        let signer = NoteSigner::new(self.log.origin(), key).map_err(|error| error.problem())?;
        self.log.rotate_key(signer).map_err(|error| error.problem())
    }

    /// Destroys the private part of a key whose time is over; never earlier than so much time has passed, whatever the clock says.
    async fn destroy(&self) -> Result<(), StartError> {
        let now = self.log.earliest();
        let rows = self.rows().await?;
        let over: Vec<KeyRow> = rows
            .into_iter()
            .filter(|row| is_older(row) && row.not_after <= now)
            .map(|row| KeyRow {
                sealed_private: Vec::new(),
                ..row
            })
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        self.log.drop_older_keys();
        let written = self
            .store
            .write(move |tx| over.iter().try_for_each(|row| tx.put_key(row)));
        written.await.map_err(|error: StoreError| error)?;
        // What is overwritten there is zeroed; where others keep the database busy, its next use folds it.
        let store = self.store.clone();
        let folded = spawn_blocking(move || store.fold()).await;
        if !matches!(folded, Ok(Ok(true))) {
            tracing::warn!("the old key stays in the store's write-ahead log until that is folded");
        }
        tracing::info!("the log's former key is destroyed");
        Ok(())
    }

    async fn rows(&self) -> Result<Vec<KeyRow>, StartError> {
        let rows = self.store.read(|rows| rows.keys(KeyClass::Log)).await;
        Ok(rows.map_err(|error: StoreError| error)?)
    }
}

fn signs(row: &KeyRow) -> bool {
    !row.sealed_private.is_empty()
}

fn is_older(row: &KeyRow) -> bool {
    row.state != KeyState::Active && signs(row)
}

fn verifier(origin: &str, row: &KeyRow) -> Result<NoteVerifier, StartError> {
    let not_ours = || damaged("it is no Ed25519 key");
    let KeyPublic::Jwk(jwk) = &row.public else {
        return Err(not_ours().into());
    };
    let jwk: Value = serde_json::from_str(jwk).map_err(|_| not_ours())?;
    let x = jwk.get("x").and_then(Value::as_str).ok_or_else(not_ours)?;
    let public = URL_SAFE_NO_PAD.decode(x).map_err(|_| not_ours())?;
    let public = public.try_into().map_err(|_| not_ours())?;
    Ok(NoteVerifier::new(origin, public)?)
}

#[cfg(test)]
mod tests;
