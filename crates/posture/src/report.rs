//! What a scan tells: each secret once, with the places it lies in, and what was not read. It holds no secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;

use crate::coverage::Coverage;
use crate::secrets::{Digest, Find, FingerprintKey, Severity};

/// Places of one secret that are listed; the others are counted.
const PLACES: usize = 20;
/// Secrets of one report.
const MOST: usize = 50_000;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// A path in the work tree, `environ`, `fd 5`, `index`.
    pub at: String,
    /// The line, from 1; none where there are no lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The first commit that has it, for objects of a history; absent if no reference leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The object it lies in, for objects of a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What else is to be known: `ignored by git`, `pid 4127 (coder)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Place {
    /// A place without lines.
    pub fn named(at: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            line: None,
            column: None,
            commit: None,
            object: None,
            note: None,
        }
    }

    /// The place of a find in a text with lines.
    pub fn of(at: impl Into<String>, find: &Find) -> Self {
        Self {
            line: Some(find.line),
            column: Some(find.column),
            ..Self::named(at)
        }
    }

    /// With something to be known.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// One secret.
#[derive(Debug, Clone, Serialize)]
pub struct Secret {
    /// The rule, or `named-password` and `named-token`.
    pub check: String,
    /// How bad it is.
    pub severity: Severity,
    /// The print that names it within this report.
    pub fingerprint: String,
    /// What it is compared by. It stays on this machine, or goes to a node that is asked.
    #[serde(skip)]
    pub digest: Digest,
    /// What is known of where it comes from: `unlinked` as long as no node was asked; then `ours_live`, `ours_dead`, `ours_static` or
    /// `foreign`.
    pub link: Cow<'static, str>,
    /// What the node that was asked knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Bytes of it.
    pub length: usize,
    /// The name that stood before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What its validator knows and may be shown.
    pub public: BTreeMap<&'static str, String>,
    /// How it was wrapped, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrapped: Vec<&'static str>,
    /// What to do.
    pub remedy: String,
    /// Where it lies, at most 20 places.
    pub places: Vec<Place>,
    /// All places.
    pub count: u64,
}

/// What a node says of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The finding.
    pub finding: String,
    /// The lease whose secret it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// The lease's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The lease's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Until when.
    pub due_at: String,
    /// What to run.
    pub fix: String,
}

/// The outcome of a scan.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `repo`, `process` or `host`.
    pub kind: &'static str,
    /// What was scanned.
    pub target: String,
    /// Secrets, the worst first.
    pub secrets: Vec<Secret>,
    /// Secrets beyond the most that a report holds.
    pub more_secrets: u64,
    /// Observations about the target that are no secrets, as a container runtime's socket within reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposures: Vec<Exposure>,
    /// What was read and what was not.
    pub coverage: Coverage,
}

/// Something besides secrets that a process can pick up or lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Exposure {
    /// `runtime-socket`, `agent-socket`, `new-privileges`, `capabilities`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in words.
    pub what: String,
    /// The process.
    pub place: String,
}

impl Report {
    /// Whether something is at least so bad.
    pub fn has(&self, severity: Severity) -> bool {
        self.secrets
            .iter()
            .any(|secret| secret.severity >= severity)
            || self
                .exposures
                .iter()
                .any(|exposure| exposure.severity >= severity)
    }

    /// Whether nothing was found and everything was read.
    pub fn is_clean(&self) -> bool {
        self.secrets.is_empty()
            && self.exposures.is_empty()
            && self.more_secrets == 0
            && self.coverage.is_complete()
    }
}

/// Folds finds into secrets: one digest, one secret.
#[derive(Debug, Default)]
pub struct Fold {
    secrets: BTreeMap<Digest, (Find, Vec<Place>, u64)>,
    more: u64,
}

impl Fold {
    /// Adds a find at a place.
    pub fn add(&mut self, find: Find, place: Place) {
        let full = self.secrets.len() >= MOST;
        match self.secrets.entry(find.digest.clone()) {
            Entry::Vacant(_) if full => self.more += 1,
            Entry::Vacant(entry) => {
                entry.insert((find, vec![place], 1));
            }
            Entry::Occupied(mut entry) => {
                let (known, places, count) = entry.get_mut();
                *count += 1;
                // A format says more than a name, and a worse finding more than a milder one.
                if (known.check.starts_with("named-") && !find.check.starts_with("named-"))
                    || find.severity > known.severity
                {
                    *known = Find {
                        key: known.key.take().or(find.key),
                        ..find
                    };
                } else if known.key.is_none() {
                    known.key = find.key;
                }
                if places.len() < PLACES && !places.contains(&place) {
                    places.push(place);
                }
            }
        }
    }

    /// Adds what another part of the scan found.
    pub fn join(&mut self, other: Self) {
        self.more += other.more;
        for (find, places, count) in other.secrets.into_values() {
            let extra = count.saturating_sub(u64::try_from(places.len()).unwrap_or(u64::MAX));
            let digest = find.digest.clone();
            for place in places {
                self.add(find.clone(), place);
            }
            if let Some((_, _, count)) = self.secrets.get_mut(&digest) {
                *count += extra;
            }
        }
    }

    /// All places, to be told better.
    pub fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.secrets
            .values_mut()
            .flat_map(|(_, places, _)| places.iter_mut())
    }

    /// The secrets, the worst first, and how many there were beyond the bound.
    pub fn finish(self, key: &FingerprintKey) -> (Vec<Secret>, u64) {
        let mut secrets: Vec<Secret> = self
            .secrets
            .into_iter()
            .map(|(digest, (find, mut places, count))| {
                places.sort();
                Secret {
                    check: find.check.to_string(),
                    severity: find.severity,
                    fingerprint: key.print(&digest).to_string(),
                    digest,
                    link: Cow::Borrowed("unlinked"),
                    known: None,
                    length: find.length,
                    key: find.key,
                    public: find.public.into_iter().collect(),
                    wrapped: find.wrapped,
                    remedy: find.remedy.to_string(),
                    places,
                    count,
                }
            })
            .collect();
        secrets.sort_by(|a, b| {
            let order = |secret: &Secret| {
                (
                    std::cmp::Reverse(secret.severity),
                    secret.places.first().cloned(),
                )
            };
            order(a).cmp(&order(b)).then_with(|| a.check.cmp(&b.check))
        });
        (secrets, self.more)
    }
}

#[cfg(test)]
mod tests;
