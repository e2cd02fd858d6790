//! Signing keys in SQL.

use bailiwick_core::change::ChangeBody;

use super::view::{View, damaged, refused, time};
use crate::{KeyClass, KeyPublic, KeyRow, KeyState, Keys, KeysMut, StoreError};

const KIND: &str = "key";

/// A row as SQLite gives it.
struct Raw {
    kid: String,
    sealed_private: Vec<u8>,
    jwk: Option<String>,
    certificate: Option<Vec<u8>>,
    state: String,
    created_at: i64,
    not_after: i64,
}

impl Keys for View<'_> {
    fn keys(&self, class: KeyClass) -> Result<Vec<KeyRow>, StoreError> {
        let rows = self.rows(
            "SELECT kid, sealed_private, jwk, certificate, state, created_at, not_after
             FROM signing_key WHERE class = ?1 ORDER BY created_at DESC, kid",
            [class.as_str()],
            |row| {
                Ok(Raw {
                    kid: row.get(0)?,
                    sealed_private: row.get(1)?,
                    jwk: row.get(2)?,
                    certificate: row.get(3)?,
                    state: row.get(4)?,
                    created_at: row.get(5)?,
                    not_after: row.get(6)?,
                })
            },
        )?;
        rows.into_iter().map(|raw| understand(class, raw)).collect()
    }
}

impl KeysMut for View<'_> {
    fn put_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let stored: Option<String> = self.row(
            "SELECT class FROM signing_key WHERE kid = ?1",
            [&key.kid],
            |row| row.get(0),
        )?;
        if stored.is_some_and(|class| class != key.class.as_str()) {
            return Err(refused(KIND, &key.kid, "a key never serves two classes"));
        }
        let (jwk, certificate) = match &key.public {
            KeyPublic::Jwk(jwk) => (Some(jwk), None),
            KeyPublic::Certificate(der) => (None, Some(der)),
        };
        self.execute(
            KIND,
            &key.kid,
            "INSERT INTO signing_key (kid, class, sealed_private, jwk, certificate, state, created_at, not_after)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (kid) DO UPDATE SET sealed_private = excluded.sealed_private, jwk = excluded.jwk,
                 certificate = excluded.certificate, state = excluded.state, not_after = excluded.not_after",
            (
                &key.kid,
                key.class.as_str(),
                &key.sealed_private,
                jwk,
                certificate,
                key.state.as_str(),
                key.created_at.as_micros(),
                key.not_after.as_micros(),
            ),
        )?;
        Ok(())
    }

    fn remove_key(&mut self, kid: &str) -> Result<(), StoreError> {
        self.remove(KIND, kid, "DELETE FROM signing_key WHERE kid = ?1", [kid])
    }

    fn publish_token_keys(&mut self, jwks: &str) -> Result<(), StoreError> {
        self.append("task", ChangeBody::TokenKeys(jwks.to_owned()))
    }
}

fn understand(class: KeyClass, raw: Raw) -> Result<KeyRow, StoreError> {
    let public = match (raw.jwk, raw.certificate) {
        (Some(jwk), None) => KeyPublic::Jwk(jwk),
        (None, Some(der)) => KeyPublic::Certificate(der),
        _ => return Err(damaged(KIND, &"it needs either a JWK or a certificate")),
    };
    let state = KeyState::ALL
        .into_iter()
        .find(|state| state.as_str() == raw.state)
        .ok_or_else(|| damaged(KIND, &format_args!("unknown state `{}`", raw.state)))?;
    Ok(KeyRow {
        kid: raw.kid,
        class,
        sealed_private: raw.sealed_private,
        public,
        state,
        created_at: time(raw.created_at),
        not_after: time(raw.not_after),
    })
}
