//! Questions on their way to a client, by id: an answer counts once, from the session that was asked, and within ten minutes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::id::EventId;
use tokio::sync::oneshot;

use super::Kind;

/// Questions of one session open at once; what comes beyond is refused.
pub(crate) const MAX_ASKED: usize = 16;
/// How long a client may take to answer.
pub(crate) const LIFE: Duration = Duration::from_mins(10);

/// The questions of one session that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Asks(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    of_server: HashMap<String, Asked>,
    own: HashMap<String, oneshot::Sender<bool>>,
}

/// A question of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// The event that let it through.
    pub(crate) event: EventId,
    until: Duration,
}

/// An answer that a client may give now.
#[derive(Debug)]
pub(crate) enum Due {
    /// To the server.
    Server(Asked),
    /// To us.
    Own(oneshot::Sender<bool>),
}

/// A question of our own; taken back when dropped.
pub(crate) struct Own<'a> {
    asks: &'a Asks,
    id: String,
    /// Whether the user went to see; ends without an answer if the session does.
    pub(crate) answer: oneshot::Receiver<bool>,
}

impl Asks {
    /// Notes a question of the server. False if the id is in use, or if too many are open.
    pub(crate) fn add(&self, id: &str, kind: Kind, event: EventId, now: Duration) -> bool {
        let mut inner = self.lock();
        inner.of_server.retain(|_, asked| asked.until > now);
        if inner.of_server.len() >= MAX_ASKED || inner.of_server.contains_key(id) {
            return false;
        }
        let until = now.saturating_add(LIFE);
        inner
            .of_server
            .insert(id.to_owned(), Asked { kind, event, until });
        true
    }

    /// Notes a question of our own. None if too many are open.
    pub(crate) fn add_own(&self, id: String) -> Option<Own<'_>> {
        let (sender, answer) = oneshot::channel();
        let mut inner = self.lock();
        if inner.own.len() >= MAX_ASKED {
            return None;
        }
        inner.own.insert(id.clone(), sender);
        Some(Own {
            asks: self,
            id,
            answer,
        })
    }

    /// Takes out the question that this id answers, if there is one and it is not too late.
    pub(crate) fn take(&self, id: &str, now: Duration) -> Option<Due> {
        let mut inner = self.lock();
        if let Some(own) = inner.own.remove(id) {
            return Some(Due::Own(own));
        }
        let asked = inner.of_server.remove(id)?;
        (asked.until > now).then_some(Due::Server(asked))
    }

    /// Whether the server waits for its client: then its silence means nothing.
    pub(crate) fn waits(&self, now: Duration) -> bool {
        let inner = self.lock();
        inner.of_server.values().any(|asked| asked.until > now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.asks.lock().own.remove(&self.id);
    }
}
