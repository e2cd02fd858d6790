//! Evidence for frameworks: which rows of a framework rest on which facts, what was measured of those, and what therefore is covered
//! (08 of the design, *Evidence*).
//!
//! Rows and facts are data (`frameworks/*.toml`). No status is above its row's cap, and a fact that is missing, or of which nothing
//! was measured, makes its rows *not covered*: what cannot be shown is not claimed.

mod html;
mod markdown;
mod table;

use std::collections::BTreeMap;

use bailiwick_core::Timestamp;
use serde::{Deserialize, Serialize};

pub use html::html;
pub use markdown::markdown;
pub use table::{BadTable, Fact, Framework, FrameworkName, Row};

/// At most this many places that speak against a fact are named.
pub const MAX_AGAINST: usize = 50;
/// At most this many that speak for it.
pub const MAX_FOR: usize = 20;

/// How far something is shown. In order: what is worse is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not shown.
    NotCovered,
    /// Shown in part.
    Partial,
    /// Shown.
    Covered,
}

impl Status {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCovered => "not covered",
            Self::Partial => "partial",
            Self::Covered => "covered",
        }
    }
}

/// What a claim leads to: an event of the record, or a row of the node's state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `event`, `agent`, `task`, `lease`, `tool`, `revocation`, `instance`, `token`.
    pub kind: String,
    /// Its id or name.
    pub id: String,
    /// Of an event: where it stands in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Of an event: the hash that the log's tree holds of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf_hash: Option<String>,
}

/// What was counted for a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// How many were as they should be.
    pub good: u64,
    /// Of how many.
    pub of: u64,
    /// What speaks against it, at most [`MAX_AGAINST`].
    pub against: Vec<Place>,
    /// Some of what speaks for it, at most [`MAX_FOR`].
    pub examples: Vec<Place>,
}

impl Measured {
    /// Counts one.
    pub fn count(&mut self, good: bool, place: impl FnOnce() -> Place) {
        self.of += 1;
        self.good += u64::from(good);
        let (list, most) = if good {
            (&mut self.examples, MAX_FOR)
        } else {
            (&mut self.against, MAX_AGAINST)
        };
        if list.len() < most {
            list.push(place());
        }
    }
}

/// One fact with what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What it is and when it counts.
    #[serde(flatten)]
    pub fact: Fact,
    /// How far it is shown.
    pub status: Status,
    /// Why it is not more, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What was counted; none if nothing measures it.
    pub measured: Option<Measured>,
}

/// One row with what follows from its facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What it is.
    #[serde(flatten)]
    pub row: Row,
    /// How far it is shown.
    pub status: Status,
    /// What keeps it from more.
    pub because: Vec<String>,
}

/// The stretch of time and of the record that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// From then on.
    pub since: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The log.
    pub origin: String,
    /// Events in it.
    pub size: u64,
    /// Whether all of the stretch was read.
    pub complete: bool,
}

/// A framework's rows against the facts of a running node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Short name.
    pub framework: FrameworkName,
    /// Its title.
    pub title: String,
    /// Which version of it.
    pub version: String,
    /// Where it is published.
    pub source: String,
    /// What was looked at.
    pub basis: Basis,
    /// How many rows have which status; those without a fact are not among them.
    pub counts: BTreeMap<Status, usize>,
    /// In the framework's order.
    pub claims: Vec<Claim>,
    /// The facts that the claims rest on, by id.
    pub facts: Vec<Found>,
    /// Items of the framework that no live fact speaks to.
    pub silent: Vec<String>,
}

/// What follows from what was measured. A fact that is not among `measured` was not.
pub fn report(
    name: FrameworkName,
    measured: &BTreeMap<String, Measured>,
    basis: Basis,
) -> Result<Report, BadTable> {
    let framework = table::framework(name)?;
    let facts: BTreeMap<String, Found> = table::facts()?
        .into_iter()
        .map(|fact| {
            let found = found(fact, measured, basis.complete);
            (found.fact.id.clone(), found)
        })
        .collect();
    let mut claims = Vec::with_capacity(framework.rows.len());
    for row in framework.rows {
        claims.push(claim(row, &facts)?);
    }
    let mut counts = BTreeMap::new();
    for claim in &claims {
        *counts.entry(claim.status).or_default() += 1;
    }
    let used = |id: &str| {
        claims
            .iter()
            .any(|claim| claim.row.facts.iter().any(|fact| fact == id))
    };
    Ok(Report {
        framework: name,
        title: framework.title,
        version: framework.version,
        source: framework.source,
        basis,
        counts,
        facts: facts
            .into_values()
            .filter(|found| used(&found.fact.id))
            .collect(),
        claims,
        silent: framework.silent,
    })
}

fn claim(row: Row, facts: &BTreeMap<String, Found>) -> Result<Claim, BadTable> {
    let mut status = row.cap;
    let mut because = Vec::new();
    if row.facts.is_empty() {
        status = Status::NotCovered;
        because.push("no live fact speaks to it".to_owned());
    }
    for id in &row.facts {
        let found = facts.get(id).ok_or_else(|| BadTable::NoFact(id.clone()))?;
        status = status.min(found.status);
        if let Some(why) = &found.because {
            because.push(format!("{id} {}: {why}", found.fact.title.to_lowercase()));
        }
    }
    if status == row.cap && row.cap < Status::Covered && !row.facts.is_empty() {
        because.push(format!("never more than {}", row.cap.as_str()));
    }
    Ok(Claim {
        row,
        status,
        because,
    })
}

fn found(fact: Fact, measured: &BTreeMap<String, Measured>, complete: bool) -> Found {
    let measured = measured.get(&fact.id).cloned();
    let (status, because) = judge(&fact, measured.as_ref(), complete);
    Found {
        fact,
        status,
        because,
        measured,
    }
}

/// How far a fact is shown, and why not more.
fn judge(fact: &Fact, measured: Option<&Measured>, complete: bool) -> (Status, Option<String>) {
    if let Some(missing) = &fact.missing {
        return (Status::NotCovered, Some(missing.clone()));
    }
    let Some(measured) = measured else {
        return (Status::NotCovered, Some("it was not measured".to_owned()));
    };
    if !complete {
        let why = "the record of the period was not read to its end";
        return (Status::NotCovered, Some(why.to_owned()));
    }
    if measured.of == 0 {
        let why = "nothing of the kind happened in the period";
        let status = if fact.empty_holds() {
            Status::Partial
        } else {
            Status::NotCovered
        };
        return (status, Some(why.to_owned()));
    }
    let reaches = |percent: f64| share_reaches(measured, percent);
    let value = format!("{} of {}", measured.good, measured.of);
    if fact.covered.is_some_and(reaches) {
        return match &fact.lacks {
            Some(lacks) => (Status::Partial, Some(lacks.clone())),
            None => (Status::Covered, None),
        };
    }
    if fact.partial.is_some_and(reaches) {
        return (Status::Partial, Some(value));
    }
    (Status::NotCovered, Some(value))
}

/// Exactly, in thousandths of a percent: no rounding lets a bar be reached.
fn share_reaches(measured: &Measured, percent: f64) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a table's percentage, 0 to 100 with at most three decimals"
    )]
    let bar = (percent * 1_000.0).round() as u128;
    u128::from(measured.good) * 100_000 >= u128::from(measured.of) * bar
}

#[cfg(test)]
mod tests;
