//! Sealed values: written through here, read by the static backend, never shown.

use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::seal::{Place, SealError};
use bailiwick_store::{SecretRow, StoreError, Tx};

use crate::{Broker, MAX_SECRET};

/// Why a value was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealValueError {
    /// Too long, or empty.
    #[error("a secret has 1 to {MAX_SECRET} bytes, not {0}")]
    Length(usize),
    /// The seal.
    #[error("the value could not be sealed")]
    Seal(#[from] SealError),
    /// The store.
    #[error("the sealed value could not be kept")]
    Store(#[from] StoreError),
}

impl Fault for SealValueError {
    fn code(&self) -> Code {
        match self {
            Self::Length(0) => Code::InvalidInput,
            Self::Length(_) => Code::TooLarge,
            Self::Seal(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Length(_) => "send the value itself as the body".to_owned(),
            Self::Seal(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

impl Broker {
    /// Seals a value and stores it in the transaction, over the one before; gives its version. The leases made from the value before
    /// are the caller's to end ([`crate::LeasesOf::Credential`]).
    pub fn seal_secret(
        &self,
        tx: &mut dyn Tx,
        name: &CredentialName,
        value: &Secret<Vec<u8>>,
    ) -> Result<u64, SealValueError> {
        let length = value.expose().len();
        if length == 0 || length > MAX_SECRET {
            return Err(SealValueError::Length(length));
        }
        let before = tx.secret(name)?.map_or(0, |row| row.version);
        let version = before.saturating_add(1);
        let sealed = self
            .seal()
            .seal(self.rng(), place(name, version), value.expose())?;
        let updated_at = self.clock().wall();
        tx.put_secret(&SecretRow {
            name: name.clone(),
            sealed,
            version,
            updated_at,
        })?;
        Ok(version)
    }
}

/// Where a sealed value lives: it cannot be moved to another name or an older version.
pub(crate) fn place(name: &CredentialName, version: u64) -> Place<'_> {
    Place {
        domain: "secret",
        name: name.as_str(),
        version,
    }
}
