//! What is known of the code that an agent runs: reports of scanners, provenance of builds, bills of materials, each for an executable or a
//! commit; and what follows from them for one executable (08 of the design, *Artefact evidence*).
//!
//! Pure. It can take authority away and never gives any: policy may ask for it in a forbid alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::text::text_form;
use crate::time::Timestamp;

/// Reports about one subject that are kept; of each scanner, builder and signer the newest.
pub const MAX_REPORTS: usize = 64;
/// Subjects that anything is kept of.
pub const MAX_SUBJECTS: u64 = 100_000;
/// Commits that one provenance may name.
pub const MAX_COMMITS: usize = 64;
/// Executables whose provenance may name one commit.
pub const MAX_BUILT: usize = 256;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtefactSubject {
    /// An executable, `sha256:` and 64 hexadecimal digits: the digest that a process is attested with.
    Code(Digest),
    /// A git commit, `git:` and 40 or 64 hexadecimal digits.
    Commit(String),
}

/// Text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no subject; write sha256: and 64 hex digits (an executable), or git: and 40 or 64 hex digits (a commit)"
)]
pub struct BadSubject(String);

impl fmt::Display for ArtefactSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(digest) => digest.fmt(f),
            Self::Commit(commit) => write!(f, "git:{commit}"),
        }
    }
}

impl FromStr for ArtefactSubject {
    type Err = BadSubject;

    fn from_str(text: &str) -> Result<Self, BadSubject> {
        let bad = || BadSubject(text.chars().take(128).collect());
        match text.split_once(':') {
            Some(("git", commit)) if is_commit(commit) => Ok(Self::Commit(commit.to_owned())),
            Some(("sha256", _)) => text.parse().map(Self::Code).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

text_form! {
    ArtefactSubject;
}

/// Whether this is how git names a commit in full: SHA-1 or SHA-256 in lower-case hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportKind {
    /// What a scanner found in the code (SARIF 2.1.0).
    Sarif,
    /// How it was built, from what (SLSA provenance v1).
    Slsa,
    /// What it is made of (CycloneDX, SPDX).
    Sbom,
}

impl ReportKind {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sarif => "sarif",
            Self::Slsa => "slsa",
            Self::Sbom => "sbom",
        }
    }
}

/// What a scanner found and nobody has accepted, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Open {
    /// `security-severity` of 9 and more.
    pub critical: u64,
    /// 7 and more, or level `error`.
    pub high: u64,
    /// 4 and more, or level `warning`.
    pub medium: u64,
    /// All else.
    pub low: u64,
}

/// Who signed a report: the name that the configuration gives the key, and the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignedBy {
    /// The signer.
    pub name: String,
    /// SHA-256 of its key.
    pub key: Digest,
}

/// One report, as far as it counts. The document itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What it is about.
    pub subject: ArtefactSubject,
    /// What it says.
    pub kind: ReportKind,
    /// The scanner, the builder, or the form of a bill of materials. One replaces an older one of the same tool and signer.
    pub tool: String,
    /// SHA-256 of the document.
    pub document: Digest,
    /// Who signed it; none if nobody did whose key is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignedBy>,
    /// When the scan ended, as the report says, else when it was brought; of a scan alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Timestamp>,
    /// What the scan found.
    #[serde(default, skip_serializing_if = "Open::is_nothing")]
    pub open: Open,
    /// What it found and somebody accepted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub accepted: u64,
    /// Commits that it was built from, as a provenance says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
    /// When it was brought.
    pub added_at: Timestamp,
    /// Who brought it.
    pub added_by: String,
}

impl Open {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Report {
    /// What it replaces: an earlier one of the same kind, tool and signer about the same subject.
    pub fn place(&self) -> (ReportKind, &str, Option<&str>) {
        let signer = self.signer.as_ref().map(|signer| signer.name.as_str());
        (self.kind, &self.tool, signer)
    }
}

/// How well it is known where an executable comes from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody has said.
    #[default]
    None,
    /// Somebody brought a provenance that no configured key signed.
    Submitted,
    /// A configured builder signed its provenance.
    Signed,
}

impl Origin {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Submitted => "submitted",
            Self::Signed => "signed",
        }
    }
}

/// What is known of one executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactEvidence {
    /// The executable.
    pub code: Digest,
    /// Where it comes from.
    pub provenance: Origin,
    /// When its newest scan ended; where some are signed, the newest of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Timestamp>,
    /// What the newest scan of each scanner found, together.
    pub open: Open,
    /// Whether it is known what it is made of.
    pub sbom: bool,
    /// Grows with each change.
    pub version: u64,
}

impl ArtefactEvidence {
    /// What follows from the reports about an executable and those about the [commits](commits_of) that it was built from.
    pub fn of(code: Digest, reports: &[Report], of_commits: &[Report]) -> Self {
        let provenances = || reports.iter().filter(|one| one.kind == ReportKind::Slsa);
        let provenance = match provenances().map(|one| one.signer.is_some()).max() {
            None => Origin::None,
            Some(false) => Origin::Submitted,
            Some(true) => Origin::Signed,
        };
        let all = || reports.iter().chain(of_commits);
        let scans = newest_of_each_tool(all());
        let sum = |of: fn(&Open) -> u64| {
            let found = scans.values().map(|scan| of(&scan.open));
            found.fold(0, u64::saturating_add)
        };
        // What somebody merely brought does not make signed scans look younger.
        let signed = scans.values().filter(|scan| scan.signer.is_some());
        let signed_end = signed.filter_map(|scan| scan.scanned_at).max();
        let any_end = scans.values().filter_map(|scan| scan.scanned_at).max();
        Self {
            code,
            provenance,
            scanned_at: signed_end.or(any_end),
            open: Open {
                critical: sum(|open| open.critical),
                high: sum(|open| open.high),
                medium: sum(|open| open.medium),
                low: sum(|open| open.low),
            },
            sbom: all().any(|one| one.kind == ReportKind::Sbom),
            version: 0,
        }
    }

    /// That nobody has said anything.
    pub fn nothing(code: Digest) -> Self {
        Self::of(code, &[], &[])
    }

    /// Whether it says the same as another, whatever their versions.
    pub fn says_what(&self, other: &Self) -> bool {
        let version = self.version;
        *self
            == Self {
                version,
                ..other.clone()
            }
    }

    /// Whether there is nothing that anybody said.
    pub fn is_empty(&self) -> bool {
        self.provenance == Origin::None && self.scanned_at.is_none() && !self.sbom
    }
}

/// The commits that an executable was built from, as its **signed** provenance says: what somebody merely brought leads to no commit.
pub fn commits_of(reports: &[Report]) -> BTreeSet<&str> {
    let signed = reports.iter().filter(|one| one.signer.is_some());
    signed
        .flat_map(|one| &one.commits)
        .map(String::as_str)
        .collect()
}

/// The scan of each tool that counts: a signed one before one that is not, then the one that ended last, then the one that was brought last.
fn newest_of_each_tool<'a>(
    reports: impl Iterator<Item = &'a Report>,
) -> BTreeMap<&'a str, &'a Report> {
    let mut newest: BTreeMap<&str, &Report> = BTreeMap::new();
    for scan in reports.filter(|one| one.kind == ReportKind::Sarif) {
        let known = newest.entry(&scan.tool).or_insert(scan);
        let weight = |scan: &Report| (scan.signer.is_some(), scan.scanned_at, scan.added_at);
        if weight(scan) > weight(known) {
            *known = scan;
        }
    }
    newest
}

#[cfg(test)]
mod tests;
