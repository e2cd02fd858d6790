//! One caller's session with one tool server: its upstream, what that has shown, and the requests now open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::Problem;
use bailiwick_core::server::Server;
use tokio_util::sync::CancellationToken;

use super::inbound::Inbound;
use super::upstream::Upstream;
use crate::ask::Rounds;
use crate::caller::Caller;
use crate::catalogue::{Pinned, Shown};
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::replica::View;

/// Requests of one session open at once; beyond this, new ones are refused.
pub(crate) const MAX_OPEN: usize = 16;

/// A session.
pub(crate) struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) caller: Caller,
    pub(crate) upstream: Upstream,
    pub(crate) inbound: Arc<Inbound>,
    /// Requests that the server answers in rounds.
    pub(crate) rounds: Rounds,
    /// Held while a list is read, so that one reading serves all calls that wait for it.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    /// In the live index for as long as the session lives.
    pub(crate) entered: Entered,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<String, CancellationToken>,
    revision: Option<String>,
    last_used: Duration,
    /// Whether anything but a probe came.
    used: bool,
    closed: bool,
}

/// A request that is open; closed when dropped.
pub(crate) struct Open<'a> {
    session: &'a Session,
    id: String,
    /// Cancelled when the caller takes the request back.
    pub(crate) cancelled: CancellationToken,
}

impl Session {
    /// Opens the upstream for this caller. The session is in the live index before its fences are checked for the last time.
    pub(crate) fn open(
        gateway: &Gateway,
        server: Arc<Server>,
        caller: &Caller,
        view: &View,
    ) -> Result<Arc<Self>, Problem> {
        let replica = gateway.decider.replica();
        let subjects = caller.subjects(view, &server.name, None, None, replica.applied());
        let entered = replica.live().enter(subjects);
        gateway.decider.admit(caller, &server.name)?;
        let inbound = Inbound::new(gateway, server.name.clone(), caller.clone());
        let inbound = Arc::new(inbound);
        let upstream = Upstream::open(
            gateway,
            &server,
            Arc::clone(&inbound),
            entered.token().clone(),
        )?;
        let state = State {
            last_used: gateway.ports.clock.monotonic(),
            ..State::default()
        };
        Ok(Arc::new(Self {
            server,
            caller: caller.clone(),
            upstream,
            inbound,
            rounds: Rounds::default(),
            refreshing: tokio::sync::Mutex::default(),
            entered,
            state: Mutex::new(state),
        }))
    }

    /// Whether this caller at this server may use the session.
    pub(crate) fn is_for(&self, caller: &Caller, server: &Server) -> bool {
        self.caller.binding() == caller.binding()
            && self.server.name == server.name
            && self.server.version == server.version
    }

    /// Notes a request as open. None if its id is in use, or if too many are open.
    pub(crate) fn begin(&self, id: &str) -> Option<Open<'_>> {
        let mut state = self.lock();
        if state.open.len() >= MAX_OPEN || state.open.contains_key(id) {
            return None;
        }
        let cancelled = CancellationToken::new();
        state.open.insert(id.to_owned(), cancelled.clone());
        Some(Open {
            session: self,
            id: id.to_owned(),
            cancelled,
        })
    }

    /// Takes back an open request of this session; false if there is none of this id.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        let token = self.lock().open.get(id).cloned();
        token.map(|token| token.cancel()).is_some()
    }

    /// The revision agreed in the handshake.
    pub(crate) fn revision(&self) -> Option<String> {
        self.lock().revision.clone()
    }

    pub(crate) fn agree(&self, revision: String) {
        self.lock().revision = Some(revision);
    }

    pub(crate) fn shown(&self, pinned: Pinned) -> MutexGuard<'_, Shown> {
        self.inbound.shown(pinned)
    }

    pub(crate) fn touch(&self, now: Duration) {
        self.lock().last_used = now;
    }

    /// Something other than a probe came.
    pub(crate) fn use_it(&self) {
        self.lock().used = true;
    }

    /// Whether it has only been probed: a client that then shakes hands goes on with it.
    pub(crate) fn is_probe(&self) -> bool {
        !self.lock().used
    }

    /// Whether nothing is open and nobody used it for `idle`.
    pub(crate) fn is_idle(&self, now: Duration, idle: Duration) -> bool {
        let state = self.lock();
        state.open.is_empty() && now.saturating_sub(state.last_used) >= idle
    }

    /// Whether it can still be used.
    pub(crate) fn is_live(&self) -> bool {
        !self.lock().closed && !self.entered.token().is_cancelled() && !self.upstream.is_gone()
    }

    /// Ends it: its upstream goes away, and with it what is running.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.entered.token().cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its child goes with it.
        self.entered.token().cancel();
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.session.lock().open.remove(&self.id);
    }
}
