//! What the store has of keys and of what was published last, and how it gets to know of what is new: all of it or nothing.

use std::sync::Arc;

use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::id::EventId;
use bailiwick_crypto::bundle::Bundle;
use bailiwick_crypto::hash::sha256;
use bailiwick_store::{KeyClass, KeyRow, KeyState, Store, StoreError};

use super::life::{CLASSES, Step};
use super::{Keyring, KeyringError};
use crate::authority::Parts;

/// Where the task keys are kept that were published last.
const TASK_JWKS: &str = "task_jwks";
/// Where the bundle's fingerprint and sequence are.
const BUNDLE: &str = "bundle";

/// What the store has of keys.
pub(super) struct Kept {
    pub(super) keys: Vec<(KeyClass, Vec<KeyRow>)>,
    /// The task keys that were published last.
    jwks: Option<String>,
    /// Fingerprint and sequence of the bundle that was published last.
    bundle: Option<String>,
}

impl Kept {
    pub(super) async fn read(store: &Store) -> Result<Self, KeyringError> {
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
pub(super) struct News {
    steps: Vec<(Step, bool)>,
    jwks: String,
    bundle: String,
}

impl News {
    /// Steps, each with whether its key is the first of its class; and what is published after them.
    pub(super) fn of(keyring: &Keyring, steps: Vec<(Step, bool)>) -> Self {
        Self {
            steps,
            jwks: keyring.task_keys.to_jwks().to_string(),
            bundle: fingerprint(&keyring.bundle),
        }
    }

    /// Writes what is new, if anything is; the sequence of the bundle.
    pub(super) async fn publish(
        self,
        kept: &Kept,
        parts: &Parts,
        actor: Option<&str>,
    ) -> Result<u64, KeyringError> {
        if self.is_none(kept) {
            Ok(sequence_of(kept.bundle.as_deref()))
        } else {
            self.write(parts, actor).await
        }
    }

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
