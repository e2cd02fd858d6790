//! Secrets that leases are made from: sealed on the way in, never readable through the API.

use std::sync::Arc;

use bailiwick_broker::{LeasesOf, SealValueError};
use bailiwick_core::event::EventType;
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Fault, Problem, Secret};
use bailiwick_store::{SecretName, StoreError};

use crate::{Actor, Control, Operation};

impl Control {
    /// Sets or replaces a secret. Leases made from the old value end.
    pub async fn set_secret(
        &self,
        actor: &Actor,
        name: CredentialName,
        value: Secret<Vec<u8>>,
    ) -> Result<SecretName, Problem> {
        actor.may(Operation::WriteSecrets)?;
        let event = self.change_event(
            EventType::AdminChanged,
            actor,
            "secrets.set",
            "secret",
            &name,
        );
        let (journal, broker) = (Arc::clone(&self.parts.journal), self.parts.broker.clone());
        let (of, updated_at) = (name.clone(), self.now());
        let version = self
            .parts
            .store
            .write(move |tx| {
                let version = broker.seal_secret(tx, &of, &value)?;
                journal.push(tx, &event)?;
                Ok::<_, SealValueError>(version)
            })
            .await
            .map_err(|error| error.problem())?;
        self.end_leases(&[LeasesOf::Credential(name.clone())], "secret replaced")
            .await;
        self.settled().await?;
        Ok(SecretName {
            name,
            version,
            updated_at,
        })
    }

    /// Names of the secrets there are.
    pub async fn secrets(&self, actor: &Actor) -> Result<Vec<SecretName>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.secrets())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// Removes a secret; leases made from it end.
    pub async fn remove_secret(&self, actor: &Actor, name: CredentialName) -> Result<(), Problem> {
        actor.may(Operation::WriteSecrets)?;
        let event = self.change_event(
            EventType::AdminChanged,
            actor,
            "secrets.remove",
            "secret",
            &name,
        );
        let (journal, removed) = (Arc::clone(&self.parts.journal), name.clone());
        self.parts
            .store
            .write(move |tx| {
                tx.remove_secret(&removed)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.end_leases(&[LeasesOf::Credential(name)], "secret removed")
            .await;
        self.settled().await
    }
}
