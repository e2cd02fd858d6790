//! All sessions of the gateway: by our own random ids, and, for revisions without sessions, by caller and server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::ServerName;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Problem, Rng};

use super::session::Session;
use crate::caller::Caller;

/// Sessions of one instance; beyond this, new ones are refused.
pub(crate) const MAX_PER_INSTANCE: usize = 64;
/// A session that nobody used for this long is closed.
pub(crate) const IDLE: Duration = Duration::from_mins(30);

/// The sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Arc<Session>>,
    stateless: HashMap<Key, Arc<Session>>,
}

/// Whose stateless session it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    server: ServerName,
    task: TaskId,
    instance: InstanceId,
    key: Option<String>,
}

impl Key {
    fn of(server: &Server, caller: &Caller) -> Self {
        let (task, instance, key) = caller.binding();
        Self {
            server: server.name.clone(),
            task,
            instance,
            key: key.map(str::to_owned),
        }
    }
}

impl Sessions {
    /// The session of this id, if it is this caller's and live. Anybody else's looks the same as none.
    pub(crate) fn find(&self, id: &str, caller: &Caller, server: &Server) -> Option<Arc<Session>> {
        let mut inner = self.lock();
        let session = inner
            .by_id
            .get(id)
            .filter(|session| session.is_for(caller, server))?;
        if session.is_live() {
            return Some(Arc::clone(session));
        }
        if let Some(ended) = inner.by_id.remove(id) {
            ended.close();
        }
        None
    }

    /// The caller's session for requests that name none.
    pub(crate) fn stateless(&self, caller: &Caller, server: &Server) -> Option<Arc<Session>> {
        let mut inner = self.lock();
        let key = Key::of(server, caller);
        let session = inner.stateless.get(&key)?;
        if session.is_live() && session.is_for(caller, server) {
            return Some(Arc::clone(session));
        }
        if let Some(ended) = inner.stateless.remove(&key) {
            ended.close();
        }
        None
    }

    /// Keeps a session for requests that name none; gives the one to use, which is an earlier one if there is.
    pub(crate) fn keep_stateless(&self, session: Arc<Session>) -> Result<Arc<Session>, Problem> {
        let mut inner = self.lock();
        inner.room(session.caller.instance)?;
        let key = Key::of(&session.server, &session.caller);
        Ok(Arc::clone(inner.stateless.entry(key).or_insert(session)))
    }

    /// Takes a stateless session away that was only probed, to make it one with a handshake.
    pub(crate) fn take_probe(&self, caller: &Caller, server: &Server) -> Option<Arc<Session>> {
        let mut inner = self.lock();
        let key = Key::of(server, caller);
        let usable = |session: &Arc<Session>| {
            session.is_probe() && session.is_live() && session.is_for(caller, server)
        };
        inner
            .stateless
            .get(&key)
            .is_some_and(usable)
            .then(|| inner.stateless.remove(&key))?
    }

    /// Gives a session an id: 256 random bits.
    pub(crate) fn keep(&self, session: Arc<Session>, rng: &dyn Rng) -> Result<String, Problem> {
        let id = random_id(rng);
        let mut inner = self.lock();
        inner.room(session.caller.instance)?;
        inner.by_id.insert(id.clone(), session);
        Ok(id)
    }

    /// Ends a session.
    pub(crate) fn remove(&self, id: &str) {
        if let Some(session) = self.lock().by_id.remove(id) {
            session.close();
        }
    }

    /// Ends what nobody uses and forgets what has ended.
    pub(crate) fn sweep(&self, now: Duration) {
        let mut inner = self.lock();
        let keep = |session: &Arc<Session>| {
            let keep = session.is_live() && !session.is_idle(now, IDLE);
            if !keep {
                session.close();
            }
            keep
        };
        inner.by_id.retain(|_, session| keep(session));
        inner.stateless.retain(|_, session| keep(session));
    }

    /// Ends all.
    pub(crate) fn close_all(&self) {
        let mut inner = self.lock();
        inner.by_id.drain().for_each(|(_, session)| session.close());
        inner
            .stateless
            .drain()
            .for_each(|(_, session)| session.close());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let inner = self.lock();
        inner.by_id.len() + inner.stateless.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn room(&mut self, instance: InstanceId) -> Result<(), Problem> {
        self.by_id.retain(|_, session| session.is_live());
        self.stateless.retain(|_, session| session.is_live());
        let own = self.by_id.values().chain(self.stateless.values());
        if own
            .filter(|session| session.caller.instance == instance)
            .count()
            < MAX_PER_INSTANCE
        {
            return Ok(());
        }
        let message = format!("this agent process has {MAX_PER_INSTANCE} MCP sessions open");
        Err(Problem::new(
            Code::Overloaded,
            message,
            "end sessions with DELETE when they are done",
        ))
    }
}

fn random_id(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; 32];
    rng.fill(&mut bytes);
    bailiwick_core::Digest(bytes).to_hex()
}
