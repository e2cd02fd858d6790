//! Sign-in codes and sessions in SQL.

use bailiwick_core::id::{AccountId, ConsoleSessionId};
use bailiwick_core::session::{LoginCode, Session};
use bailiwick_core::{Digest, Timestamp};

use super::view::{View, encode};
use crate::{Sessions, SessionsMut, StoreError};

const KIND: &str = "session";
const CODE: &str = "sign-in code";

impl Sessions for View<'_> {
    fn session(&self, id: ConsoleSessionId) -> Result<Option<Session>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM session WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn session_with(&self, cookie: Digest) -> Result<Option<Session>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM session WHERE cookie = ?1",
            [cookie.to_hex()],
        )
    }

    fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM session WHERE account = ?1 ORDER BY id",
            [account.to_string()],
        )
    }
}

impl SessionsMut for View<'_> {
    fn put_login_code(&mut self, code: &LoginCode, sha256: Digest) -> Result<(), StoreError> {
        let account = code.account.to_string();
        self.execute(
            CODE,
            // Not its digest: that would put a credential's fingerprint into messages.
            &account,
            "INSERT INTO login_code (sha256, account, expires_at, body) VALUES (?1, ?2, ?3, ?4)",
            (
                sha256.to_hex(),
                &account,
                code.expires_at.as_micros(),
                encode(CODE, code)?,
            ),
        )?;
        Ok(())
    }

    fn take_login_code(&mut self, sha256: Digest) -> Result<Option<LoginCode>, StoreError> {
        let sha256 = sha256.to_hex();
        let found = self.one(
            CODE,
            "SELECT body FROM login_code WHERE sha256 = ?1",
            [&sha256],
        )?;
        self.execute(
            CODE,
            "taken",
            "DELETE FROM login_code WHERE sha256 = ?1",
            [&sha256],
        )?;
        Ok(found)
    }

    fn remove_login_codes_of(&mut self, account: AccountId) -> Result<u64, StoreError> {
        let account = account.to_string();
        self.execute(
            CODE,
            &account,
            "DELETE FROM login_code WHERE account = ?1",
            [&account],
        )
    }

    fn put_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let id = session.id.to_string();
        let until = session.idle_until.min(session.ends_at);
        self.execute(
            KIND,
            &id,
            "INSERT INTO session (id, cookie, account, until, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET until = excluded.until, body = excluded.body",
            (
                &id,
                session.cookie.to_hex(),
                session.account.to_string(),
                until.as_micros(),
                encode(KIND, session)?,
            ),
        )?;
        Ok(())
    }

    fn remove_session(&mut self, id: ConsoleSessionId) -> Result<(), StoreError> {
        let key = id.to_string();
        self.remove(KIND, &key, "DELETE FROM session WHERE id = ?1", [&key])
    }

    fn prune_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let codes = self.execute(
            CODE,
            "expired",
            "DELETE FROM login_code WHERE expires_at <= ?1",
            [now.as_micros()],
        )?;
        let sessions = self.execute(
            KIND,
            "expired",
            "DELETE FROM session WHERE until <= ?1",
            [now.as_micros()],
        )?;
        Ok(codes.saturating_add(sessions))
    }
}
