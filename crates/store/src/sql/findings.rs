//! Findings in SQL.

use bailiwick_core::finding::{Finding, FindingState};
use bailiwick_core::id::{FindingId, LeaseId};

use super::view::{View, damaged, encode, page, signed};
use crate::{FindingFilter, Findings, FindingsMut, StoreError};

const KIND: &str = "finding";

impl Findings for View<'_> {
    fn finding(&self, id: FindingId) -> Result<Option<Finding>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM finding WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn finding_of(&self, check: &str, subject: &str) -> Result<Option<Finding>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM finding WHERE subject = ?1 AND rule = ?2",
            (subject, check),
        )
    }

    fn findings(
        &self,
        filter: &FindingFilter,
        after: Option<FindingId>,
        limit: usize,
    ) -> Result<Vec<Finding>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM finding
             WHERE (state = ?1 OR ?1 IS NULL) AND (target = ?2 OR ?2 IS NULL) AND (id < ?3 OR ?3 IS NULL)
             ORDER BY id DESC LIMIT ?4",
            (
                filter.state.map(FindingState::as_str),
                filter.target.as_deref(),
                after.map(|id| id.to_string()),
                page(limit),
            ),
        )
    }

    fn leases_of_print(&self, print: &str, limit: usize) -> Result<Vec<LeaseId>, StoreError> {
        let ids: Vec<String> = self.rows(
            "SELECT lease FROM lease_print WHERE print = ?1 ORDER BY lease DESC LIMIT ?2",
            (print, page(limit)),
            |row| row.get(0),
        )?;
        ids.into_iter()
            .map(|id| id.parse().map_err(|error| damaged("lease", &error)))
            .collect()
    }
}

impl FindingsMut for View<'_> {
    fn put_finding(&mut self, finding: &Finding) -> Result<(), StoreError> {
        let id = finding.id.to_string();
        let stored = "SELECT version FROM finding WHERE id = ?1";
        self.next_version(KIND, &id, stored, finding.version)?;
        self.execute(
            KIND,
            &id,
            "INSERT INTO finding (id, subject, rule, state, target, version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, target = excluded.target, version = excluded.version, body = excluded.body",
            (
                &id,
                finding.subject.as_str(),
                finding.check.as_str(),
                finding.state.as_str(),
                finding.target.as_str(),
                signed(KIND, finding.version)?,
                encode(KIND, finding)?,
            ),
        )?;
        Ok(())
    }

    fn put_lease_print(&mut self, print: &str, lease: LeaseId) -> Result<(), StoreError> {
        let lease = lease.to_string();
        self.execute(
            "lease",
            &lease,
            "INSERT INTO lease_print (print, lease) VALUES (?1, ?2) ON CONFLICT (print, lease) DO NOTHING",
            (print, &lease),
        )?;
        Ok(())
    }
}
