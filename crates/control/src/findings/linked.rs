//! What a finding is to this node: ours or not, alive or dead, and what one command does about it. Said anew at each look.

use bailiwick_core::Timestamp;
use bailiwick_core::finding::{Finding, FindingState};
use bailiwick_core::lease::{Delivery, Lease, LeaseState};
use bailiwick_store::{Reads, StoreError};
use serde::Serialize;

/// Newest leases of one print that are looked at for a live one.
const MAX_LEASES: usize = 100;

/// Whose a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// A leased credential that still lives.
    OursLive,
    /// A leased credential that is verified dead.
    OursDead,
    /// A sealed value of this node, which its provider knows nothing of: it lives until somebody replaces it there.
    OursStatic,
    /// None that this node leased or keeps.
    Foreign,
}

impl Link {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OursLive => "ours_live",
            Self::OursDead => "ours_dead",
            Self::OursStatic => "ours_static",
            Self::Foreign => "foreign",
        }
    }
}

/// A finding as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// It.
    #[serde(flatten)]
    pub finding: Finding,
    /// Whose secret it is.
    pub link: Link,
    /// Whether it waits longer than it should.
    pub overdue: bool,
    /// Seconds since it was seen first, until now or until it was fixed.
    pub age_s: u64,
    /// What to run.
    pub fix: String,
}

/// The lease whose secret has this print: a live one if there is any, else the newest.
pub(super) fn lease_of(rows: &dyn Reads, print: &str) -> Result<Option<Lease>, StoreError> {
    let mut newest = None;
    for id in rows.leases_of_print(print, MAX_LEASES)? {
        let Some(lease) = rows.lease(id)? else {
            continue;
        };
        if lease.state != LeaseState::Tombstone {
            return Ok(Some(lease));
        }
        newest.get_or_insert(lease);
    }
    Ok(newest)
}

/// Whether no agent ever gets it in its hands.
pub(super) fn is_injected(lease: &Lease) -> bool {
    lease.delivery == Delivery::Inject
}

/// Looks at its lease. One that is verified dead closes a finding that waits.
pub(super) fn linked(
    rows: &dyn Reads,
    mut finding: Finding,
    now: Timestamp,
) -> Result<Shown, StoreError> {
    let lease = match finding.lease {
        Some(_) => lease_of(rows, &finding.subject)?,
        None => None,
    };
    if let Some(lease) = &lease {
        finding.lease = Some(lease.id);
        finding.task = Some(lease.task);
        finding.agent = Some(lease.agent.clone());
    }
    let link = match &lease {
        None if finding.lease.is_none() => Link::Foreign,
        // Its row is gone, and rows go only after their end.
        None => Link::OursDead,
        Some(lease) if lease.remote.is_none() => Link::OursStatic,
        Some(lease) if lease.state == LeaseState::Tombstone => Link::OursDead,
        Some(_) => Link::OursLive,
    };
    let dead = lease.as_ref().and_then(|lease| lease.verified_at);
    let waits = matches!(
        finding.state,
        FindingState::Open | FindingState::Remediating
    );
    if let (Link::OursDead, true) = (link, waits) {
        let at = dead.unwrap_or(now).max(finding.first_seen);
        finding.fix(at, now, "system", "its lease is verified dead");
    }
    let until = finding.fixed_at.unwrap_or(now);
    Ok(Shown {
        overdue: finding.is_overdue(now),
        age_s: until.since(finding.first_seen).as_secs(),
        fix: fix(&finding, link),
        link,
        finding,
    })
}

fn fix(finding: &Finding, link: Link) -> String {
    let id = finding.id;
    match link {
        Link::OursLive => format!("bailiwick finding fix {id}"),
        Link::OursDead => "nothing: it is dead".to_owned(),
        Link::OursStatic => {
            let name = finding.credential.as_ref();
            let name = name.map_or_else(|| "NAME".to_owned(), ToString::to_string);
            format!(
                "replace it where it was issued, then: bailiwick secret set {name}, and: bailiwick finding rotated {id} --note TEXT"
            )
        }
        Link::Foreign => format!(
            "replace it where it was issued, then: bailiwick finding rotated {id} --note TEXT"
        ),
    }
}
