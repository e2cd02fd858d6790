//! Sealed values in SQL.

use bailiwick_core::name::CredentialName;

use super::view::{View, damaged, signed, time, unsigned};
use crate::{SecretName, SecretRow, Secrets, SecretsMut, StoreError};

const KIND: &str = "secret";

impl Secrets for View<'_> {
    fn secret(&self, name: &CredentialName) -> Result<Option<SecretRow>, StoreError> {
        self.row(
            "SELECT sealed, version, updated_at FROM secret WHERE name = ?1",
            [name.as_str()],
            |row| {
                Ok(SecretRow {
                    name: name.clone(),
                    sealed: row.get(0)?,
                    version: unsigned(row.get(1)?),
                    updated_at: time(row.get(2)?),
                })
            },
        )
    }

    fn secrets(&self) -> Result<Vec<SecretName>, StoreError> {
        let rows: Vec<(String, i64, i64)> = self.rows(
            "SELECT name, version, updated_at FROM secret ORDER BY name",
            (),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        rows.into_iter()
            .map(|(name, version, updated_at)| {
                Ok(SecretName {
                    name: name.parse().map_err(|error| damaged(KIND, &error))?,
                    version: unsigned(version),
                    updated_at: time(updated_at),
                })
            })
            .collect()
    }
}

impl SecretsMut for View<'_> {
    fn put_secret(&mut self, secret: &SecretRow) -> Result<(), StoreError> {
        let name = secret.name.as_str();
        self.next_version(
            KIND,
            name,
            "SELECT version FROM secret WHERE name = ?1",
            secret.version,
        )?;
        self.execute(
            KIND,
            name,
            "INSERT INTO secret (name, sealed, version, updated_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, version = excluded.version,
                 updated_at = excluded.updated_at",
            (
                name,
                &secret.sealed,
                signed(KIND, secret.version)?,
                secret.updated_at.as_micros(),
            ),
        )?;
        Ok(())
    }

    fn remove_secret(&mut self, name: &CredentialName) -> Result<(), StoreError> {
        self.remove(
            KIND,
            name.as_str(),
            "DELETE FROM secret WHERE name = ?1",
            [name.as_str()],
        )
    }
}
