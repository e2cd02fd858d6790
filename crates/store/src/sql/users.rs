//! Pseudonyms in SQL.

use bailiwick_core::name::UserId;

use super::view::{View, damaged};
use crate::{StoreError, Users, UsersMut};

const KIND: &str = "pseudonym";

impl Users for View<'_> {
    fn pseudonym(&self, user: &UserId) -> Result<Option<String>, StoreError> {
        self.row(
            "SELECT pseudonym FROM pseudonym WHERE user = ?1",
            [user.as_str()],
            |row| row.get(0),
        )
    }

    fn user_of_pseudonym(&self, pseudonym: &str) -> Result<Option<UserId>, StoreError> {
        let user: Option<String> = self.row(
            "SELECT user FROM pseudonym WHERE pseudonym = ?1",
            [pseudonym],
            |row| row.get(0),
        )?;
        user.map(|user| user.parse().map_err(|error| damaged(KIND, &error)))
            .transpose()
    }
}

impl UsersMut for View<'_> {
    fn pseudonym_or(&mut self, user: &UserId, candidate: &str) -> Result<String, StoreError> {
        if let Some(known) = self.pseudonym(user)? {
            return Ok(known);
        }
        self.execute(
            KIND,
            candidate,
            "INSERT INTO pseudonym (user, pseudonym) VALUES (?1, ?2)",
            (user.as_str(), candidate),
        )?;
        Ok(candidate.to_owned())
    }
}
