//! Users and the random pseudonyms that the record names them by.

use bailiwick_core::name::UserId;

use crate::StoreError;

/// Reads of pseudonyms.
pub trait Users {
    /// The pseudonym of a user, once there is one.
    fn pseudonym(&self, user: &UserId) -> Result<Option<String>, StoreError>;

    /// The user behind a pseudonym.
    fn user_of_pseudonym(&self, pseudonym: &str) -> Result<Option<UserId>, StoreError>;
}

/// Writes of pseudonyms.
pub trait UsersMut {
    /// The pseudonym of a user; `candidate` (fresh and random) becomes it if there is none yet. A candidate that another user has is
    /// [`StoreError::AlreadyExists`].
    fn pseudonym_or(&mut self, user: &UserId, candidate: &str) -> Result<String, StoreError>;
}
