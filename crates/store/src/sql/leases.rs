//! Leases in SQL.

use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::CredentialName;

use super::view::{View, encode, next_version, page, refused, signed};
use crate::{LeaseFilter, Leases, LeasesMut, StoreError};

const KIND: &str = "lease";

impl Leases for View<'_> {
    fn lease(&self, id: LeaseId) -> Result<Option<Lease>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM lease WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn leases(
        &self,
        filter: &LeaseFilter,
        after: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM lease
             WHERE (id < ?1 OR ?1 IS NULL) AND (task = ?2 OR ?2 IS NULL) AND (state = ?3 OR ?3 IS NULL)
               AND (credential = ?4 OR ?4 IS NULL)
             ORDER BY id DESC LIMIT ?5",
            (
                after.map(|id| id.to_string()),
                filter.task.map(|id| id.to_string()),
                filter.state.map(state),
                filter.credential.as_ref().map(CredentialName::as_str),
                page(limit),
            ),
        )
    }

    fn live_leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM lease WHERE state <> 'tombstone' ORDER BY id",
            (),
        )
    }

    fn live_leases_of_task(&self, task: TaskId) -> Result<Vec<Lease>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM lease WHERE task = ?1 AND state <> 'tombstone' ORDER BY id",
            [task.to_string()],
        )
    }

    fn count_live_leases(&self, credential: &CredentialName) -> Result<usize, StoreError> {
        let count: i64 = self
            .row(
                "SELECT count(*) FROM lease WHERE credential = ?1 AND state <> 'tombstone'",
                [credential.as_str()],
                |row| row.get(0),
            )?
            .unwrap_or(0);
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn live_leases_of_instance(&self, instance: InstanceId) -> Result<Vec<Lease>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM lease WHERE instance = ?1 AND state <> 'tombstone' ORDER BY id",
            [instance.to_string()],
        )
    }
}

impl LeasesMut for View<'_> {
    fn put_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let id = lease.id.to_string();
        let stored = self.lease(lease.id)?;
        next_version(
            KIND,
            &id,
            stored.as_ref().map_or(0, |stored| stored.version),
            lease.version,
        )?;
        if stored.is_some_and(|stored| {
            stored.state == LeaseState::Tombstone && lease.state != LeaseState::Tombstone
        }) {
            return Err(refused(KIND, &id, "it is a tombstone"));
        }
        self.execute(
            KIND,
            &id,
            "INSERT INTO lease (id, task, instance, credential, state, version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET instance = excluded.instance, state = excluded.state,
                 version = excluded.version, body = excluded.body",
            (
                &id,
                lease.task.to_string(),
                lease.instance.map(|instance| instance.to_string()),
                lease.credential.as_str(),
                state(lease.state),
                signed(KIND, lease.version)?,
                encode(KIND, lease)?,
            ),
        )?;
        Ok(())
    }
}

const fn state(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Intent => "intent",
        LeaseState::Active => "active",
        LeaseState::Revoking => "revoking",
        LeaseState::Tombstone => "tombstone",
    }
}
