//! People at the console: sign-in codes and sessions (secrets kept as SHA-256, never in the clear).

use bailiwick_core::id::{AccountId, ConsoleSessionId};
use bailiwick_core::session::{LoginCode, Session};
use bailiwick_core::{Digest, Timestamp};

use crate::StoreError;

/// Reads of sessions.
pub trait Sessions {
    /// The session with this id, even if it is over: the caller looks.
    fn session(&self, id: ConsoleSessionId) -> Result<Option<Session>, StoreError>;

    /// The session whose cookie has this digest, even if it is over.
    fn session_with(&self, cookie: Digest) -> Result<Option<Session>, StoreError>;

    /// The sessions of an account, oldest first.
    fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError>;
}

/// Writes of sessions.
pub trait SessionsMut {
    /// Stores a code under its digest. Its account has to be there.
    fn put_login_code(&mut self, code: &LoginCode, sha256: Digest) -> Result<(), StoreError>;

    /// Takes a code away and gives what it was; none if there is none with this digest. It can be taken once.
    fn take_login_code(&mut self, sha256: Digest) -> Result<Option<LoginCode>, StoreError>;

    /// Stores a session, or its new end. Its account has to be there.
    fn put_session(&mut self, session: &Session) -> Result<(), StoreError>;

    /// Removes the codes of an account; how many.
    fn remove_login_codes_of(&mut self, account: AccountId) -> Result<u64, StoreError>;

    /// Ends a session; [`StoreError::NotFound`] if there is none.
    fn remove_session(&mut self, id: ConsoleSessionId) -> Result<(), StoreError>;

    /// Removes codes and sessions that are over at `now`; how many.
    fn prune_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
