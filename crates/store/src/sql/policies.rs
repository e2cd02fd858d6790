//! Policy bundles in SQL: each source once, under its digest.

use bailiwick_core::Digest;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::rollout::Rollout;

use super::view::{View, decode, encode, next_version, page, refused, signed};
use crate::{Meta, MetaMut, Policies, PoliciesMut, PolicyVersion, StoreError};

const KIND: &str = "policy";

impl Policies for View<'_> {
    fn active_policy(&self) -> Result<Option<PolicyVersion>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM policy_version ORDER BY number DESC LIMIT 1",
            (),
        )
    }

    fn policy_source(&self, digest: Digest) -> Result<Option<String>, StoreError> {
        self.row(
            "SELECT source FROM policy_source WHERE digest = ?1",
            [digest.to_hex()],
            |row| row.get(0),
        )
    }

    fn policy_version(&self, number: u64) -> Result<Option<PolicyVersion>, StoreError> {
        // A number that SQLite cannot hold was never given.
        let Ok(number) = i64::try_from(number) else {
            return Ok(None);
        };
        self.one(
            KIND,
            "SELECT body FROM policy_version WHERE number = ?1",
            [number],
        )
    }

    fn rollout(&self) -> Result<Rollout, StoreError> {
        let stored = self.meta(ROLLOUT)?;
        stored.map_or(Ok(Rollout::default()), |stored| decode("rollout", &stored))
    }

    fn policy_history(&self, limit: usize) -> Result<Vec<PolicyVersion>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM policy_version ORDER BY number DESC LIMIT ?1",
            [page(limit)],
        )
    }
}

impl PoliciesMut for View<'_> {
    fn publish_policy(
        &mut self,
        version: &PolicyVersion,
        source: &str,
        expected_active: Option<Option<Digest>>,
    ) -> Result<(), StoreError> {
        let key = version.digest.to_hex();
        let active = self.active_policy()?;
        let stored = active.as_ref().map_or(0, |active| active.number);
        if expected_active.is_some_and(|expected| expected != active.map(|active| active.digest)) {
            return Err(StoreError::VersionConflict {
                kind: KIND,
                key,
                stored,
                offered: version.number,
            });
        }
        next_version(KIND, &key, stored, version.number)?;
        self.keep_source(version.digest, source)?;
        self.execute(
            KIND,
            &key,
            "INSERT INTO policy_version (number, digest, body) VALUES (?1, ?2, ?3)",
            (signed(KIND, version.number)?, &key, encode(KIND, version)?),
        )?;
        self.append(&key, ChangeBody::Policy(version.digest))
    }

    fn mend_policy_source(&mut self, digest: Digest, source: &str) -> Result<(), StoreError> {
        let key = digest.to_hex();
        self.execute(
            KIND,
            &key,
            "UPDATE policy_source SET source = ?2 WHERE digest = ?1",
            (&key, source),
        )
        .map(drop)
    }

    fn put_rollout(
        &mut self,
        rollout: &Rollout,
        source: Option<(Digest, &str)>,
    ) -> Result<(), StoreError> {
        next_version("rollout", ROLLOUT, self.rollout()?.version, rollout.version)?;
        if let Some((digest, source)) = source {
            self.keep_source(digest, source)?;
        }
        self.put_meta(ROLLOUT, &encode("rollout", rollout)?)?;
        self.append(ROLLOUT, ChangeBody::Rollout(rollout.clone()))
    }
}

impl View<'_> {
    /// Each text is stored once, under its digest.
    fn keep_source(&mut self, digest: Digest, source: &str) -> Result<(), StoreError> {
        let key = digest.to_hex();
        match self.policy_source(digest)? {
            None => self
                .execute(
                    KIND,
                    &key,
                    "INSERT INTO policy_source (digest, source) VALUES (?1, ?2)",
                    (&key, source),
                )
                .map(drop),
            Some(known) if known == source => Ok(()),
            Some(_) => Err(refused(
                KIND,
                &key,
                "another source is stored under its digest",
            )),
        }
    }
}

/// Where the state of the roll-out is kept.
const ROLLOUT: &str = "policy_rollout";
