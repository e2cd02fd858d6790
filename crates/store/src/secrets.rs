//! Sealed values. The store never sees one open.

use bailiwick_core::Timestamp;
use bailiwick_core::name::CredentialName;

use crate::StoreError;

/// A sealed value.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: CredentialName,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// Grows with each new value.
    pub version: u64,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SecretRow({} v{}, {} sealed bytes)",
            self.name,
            self.version,
            self.sealed.len()
        )
    }
}

/// What may be listed of a sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name.
    pub name: CredentialName,
    /// Grows with each new value.
    pub version: u64,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// Reads of sealed values.
pub trait Secrets {
    /// The sealed value of this name.
    fn secret(&self, name: &CredentialName) -> Result<Option<SecretRow>, StoreError>;

    /// All names, sorted.
    fn secrets(&self) -> Result<Vec<SecretName>, StoreError>;
}

/// Writes of sealed values.
pub trait SecretsMut {
    /// Stores the next version of a sealed value; the one before is overwritten.
    fn put_secret(&mut self, secret: &SecretRow) -> Result<(), StoreError>;

    /// Removes a sealed value; [`StoreError::NotFound`] if there is none.
    fn remove_secret(&mut self, name: &CredentialName) -> Result<(), StoreError>;
}
