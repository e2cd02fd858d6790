//! People at the console: the code that lets somebody in once, and the session that it begins. Only digests of codes and of the halves
//! of a session are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ConsoleSessionId};
use crate::{Digest, Timestamp};

/// A sign-in code lives this long.
pub const CODE_LIFE: Duration = Duration::from_mins(10);
/// Sessions of one account at once; beyond it nobody signs in as it.
pub const MAX_OF_ACCOUNT: usize = 64;

/// What is known of a sign-in code. The code itself was shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCode {
    /// Whom it lets in.
    pub account: AccountId,
    /// Who made it: `acct_…`, or `uid:N`.
    pub minted_by: String,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
}

/// One person in one browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id; tells nothing about its halves.
    pub id: ConsoleSessionId,
    /// Whose it is.
    pub account: AccountId,
    /// Who made the code that it began with.
    pub minted_by: String,
    /// SHA-256 of the half that the browser keeps as a cookie.
    pub cookie: Digest,
    /// SHA-256 of the half that the page keeps: a cookie alone goes to every port of a host.
    pub page: Digest,
    /// When it began.
    pub started_at: Timestamp,
    /// It ends then if nothing is asked before.
    pub idle_until: Timestamp,
    /// It ends then whatever is asked.
    pub ends_at: Timestamp,
}

impl Session {
    /// Whether it has ended.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.idle_until || now >= self.ends_at
    }
}
