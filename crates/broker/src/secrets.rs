//! Sealed values: written through here, read by the static backend, never shown.

use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::seal::{Place, SealError};
use bailiwick_store::SecretRow;

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
}

impl Fault for SealValueError {
    fn code(&self) -> Code {
        match self {
            Self::Length(0) => Code::InvalidInput,
            Self::Length(_) => Code::TooLarge,
            Self::Seal(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Length(_) => "send the value itself as the body".to_owned(),
            Self::Seal(error) => error.help(),
        }
    }
}

impl Broker {
    /// Seals a value as this version of its name: the row to store. The leases made from the value before are the caller's to end
    /// ([`crate::LeasesOf::Credential`]).
    pub fn seal_secret(
        &self,
        name: &CredentialName,
        version: u64,
        value: &Secret<Vec<u8>>,
    ) -> Result<SecretRow, SealValueError> {
        let length = value.expose().len();
        if length == 0 || length > MAX_SECRET {
            return Err(SealValueError::Length(length));
        }
        let sealed = self
            .seal()
            .seal(self.rng(), place(name, version), value.expose())?;
        Ok(SecretRow {
            name: name.clone(),
            sealed,
            version,
            updated_at: self.clock().wall(),
        })
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
