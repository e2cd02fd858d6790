//! Reads reports about code that others made: SARIF of scanners, SLSA provenance of builders, bills of materials; signed in a DSSE envelope or not.
//!
//! A report is data from outside: typed, bounded, and whatever it says can only make policy stricter. What a report does not say plainly, that its
//! scan failed or that it is about something else, refuses it.

mod sarif;
mod statement;

use bailiwick_core::Digest;
use bailiwick_core::artefact::{ArtefactSubject, Open, ReportKind, SignedBy};
use bailiwick_core::time::Timestamp;
use bailiwick_crypto::dsse::{Envelope, IN_TOTO, NotAnEnvelope, PublicKey};
use bailiwick_crypto::hash::sha256;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Bytes of a document.
pub const MAX_DOCUMENT: usize = 16 << 20;
/// Bytes of the name of a scanner or builder.
pub const MAX_TOOL: usize = 256;

/// Somebody whose signature counts.
#[derive(Debug, Clone)]
pub struct Signer {
    /// What the configuration calls it.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// The builder that its provenance has to name; none: any.
    pub builder: Option<String>,
}

impl Signer {
    /// Whether what was signed so still counts for a report of this builder or scanner.
    pub fn vouches(&self, by: &SignedBy, kind: ReportKind, tool: &str) -> bool {
        let builder = self.builder.as_deref().filter(|_| kind == ReportKind::Slsa);
        *by == self.signed() && builder.is_none_or(|builder| builder == tool)
    }

    fn signed(&self) -> SignedBy {
        SignedBy {
            name: self.name.clone(),
            key: self.key.digest(),
        }
    }
}

/// What one document says, about the subject that it was brought for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Who signed it.
    pub signer: Option<SignedBy>,
    /// Why nobody did, where somebody seems to have meant to.
    pub unsigned: Option<String>,
    /// What it says, one for each scanner.
    pub says: Vec<Says>,
}

/// What one scanner, builder or bill of materials says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// What sort of report it is.
    pub kind: ReportKind,
    /// Scanner, builder, or form of the bill of materials.
    pub tool: String,
    /// When a scan ended, if it says so.
    pub ended: Option<Timestamp>,
    /// What a scan found.
    pub open: Open,
    /// What it found and somebody accepted.
    pub accepted: u64,
    /// Commits that it was built from.
    pub commits: Vec<String>,
}

impl Says {
    /// Whether it tells of a scan.
    pub fn is_scan(&self) -> bool {
        self.kind == ReportKind::Sarif
    }

    fn new(kind: ReportKind, tool: &str) -> Result<Self, Unfit> {
        let fits = !tool.is_empty() && tool.len() <= MAX_TOOL;
        if !fits || tool.chars().any(char::is_control) {
            return Err(Unfit::Tool);
        }
        Ok(Self {
            kind,
            tool: tool.to_owned(),
            ended: None,
            open: Open::default(),
            accepted: 0,
            commits: Vec::new(),
        })
    }
}

/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is longer than what is read.
    #[error("a document has at most {} MiB", MAX_DOCUMENT >> 20)]
    Long,
    /// It is no JSON of a form that is known.
    #[error(
        "it is no SARIF 2.1.0, no in-toto statement or DSSE envelope of one, no CycloneDX of 1.4 or newer and no SPDX 2.3: {0}"
    )]
    Form(String),
    /// The envelope cannot be opened.
    #[error(transparent)]
    Envelope(#[from] NotAnEnvelope),
    /// A statement with another predicate.
    #[error(
        "its predicate `{0}` is none of https://slsa.dev/provenance/v1, https://cyclonedx.org/bom, https://spdx.dev/Document and SARIF"
    )]
    Predicate(String),
    /// It is about something else.
    #[error("it is about {0}, and not about the subject that it was brought for")]
    Other(String),
    /// A scan that did not reach its end.
    #[error("its scan by {0} did not succeed, so it says nothing of the code")]
    Failed(String),
    /// A moment that is none.
    #[error("{0}")]
    Time(String),
    /// More of something than is read.
    #[error("it has more than {0}")]
    Many(&'static str),
    /// A name that cannot be shown.
    #[error(
        "the name of its tool or builder is empty, longer than {MAX_TOOL} bytes or has control characters"
    )]
    Tool,
}

/// Reads a document that was brought for `subject`.
pub fn read(
    document: &[u8],
    subject: &ArtefactSubject,
    signers: &[Signer],
) -> Result<Document, Unfit> {
    if document.len() > MAX_DOCUMENT {
        return Err(Unfit::Long);
    }
    let form: Form = parsed(document)?;
    let mut read = Document {
        digest: sha256(&[document]),
        signer: None,
        unsigned: None,
        says: Vec::new(),
    };
    if form.payload_type.is_some() {
        let envelope: Envelope = parsed(document)?;
        let opened = envelope.open(IN_TOTO)?;
        read.says = statement::read(opened.payload(), subject)?;
        let signer = signers
            .iter()
            .find(|signer| opened.is_signed_by(&signer.key));
        read.unsigned = match signer {
            Some(signer) => foreign_builder(signer, &read.says),
            None => Some("none of its signatures is by a key of [[posture.signers]]".to_owned()),
        };
        read.signer = signer
            .filter(|_| read.unsigned.is_none())
            .map(Signer::signed);
    } else if form.statement.is_some() {
        read.says = statement::read(document, subject)?;
    } else {
        read.says = bare(&form, document, subject)?;
    }
    Ok(read)
}

/// Why a builder's signature does not count for what this provenance says.
fn foreign_builder(signer: &Signer, says: &[Says]) -> Option<String> {
    let by = signer.signed();
    let foreign = |one: &&Says| !signer.vouches(&by, one.kind, &one.tool);
    let (built, wanted) = (says.iter().find(foreign)?, signer.builder.as_ref()?);
    Some(format!(
        "{} signed it, but its builder is {} and not {wanted}",
        signer.name, built.tool
    ))
}

/// A document of a tool, as it is or inside a statement.
fn bare(form: &Form, document: &[u8], subject: &ArtefactSubject) -> Result<Vec<Says>, Unfit> {
    match form {
        Form {
            version: Some(version),
            runs: Some(_),
            ..
        } if version == "2.1.0" => sarif::read(document, subject),
        Form {
            bom_format: Some(format),
            spec_version: Some(version),
            ..
        } if format == "CycloneDX" && is_recent(version) => {
            Ok(vec![Says::new(ReportKind::Sbom, "CycloneDX")?])
        }
        Form {
            spdx_version: Some(version),
            ..
        } if version == "SPDX-2.3" => Ok(vec![Says::new(ReportKind::Sbom, "SPDX")?]),
        _ => Err(Unfit::Form("its members are of none of these".to_owned())),
    }
}

/// CycloneDX 1.4 or a later 1.x.
fn is_recent(version: &str) -> bool {
    let minor = version.strip_prefix("1.").and_then(|it| it.parse().ok());
    minor.is_some_and(|minor: u32| minor >= 4)
}

fn parsed<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, Unfit> {
    serde_json::from_slice(document).map_err(|error| Unfit::Form(error.to_string()))
}

/// The members by which forms are told apart.
#[derive(Deserialize)]
struct Form {
    #[serde(rename = "payloadType")]
    payload_type: Option<IgnoredAny>,
    #[serde(rename = "_type")]
    statement: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "text")]
    version: Option<String>,
    runs: Option<IgnoredAny>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<String>,
    #[serde(rename = "specVersion")]
    spec_version: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx_version: Option<String>,
}

/// A text, or nothing of something else: `version` is a number in CycloneDX.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests;
