//! The tables: frameworks and facts as data, read from the files that are built in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Status;

/// A framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameworkName {
    /// OWASP Top 10 for Agentic Applications.
    OwaspAgentic,
    /// OWASP Non-Human Identities Top 10.
    OwaspNhi,
    /// CSA MAESTRO.
    Maestro,
    /// NIST AI Risk Management Framework.
    NistAiRmf,
}

impl FrameworkName {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::OwaspAgentic,
        Self::OwaspNhi,
        Self::Maestro,
        Self::NistAiRmf,
    ];

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwaspAgentic => "owasp-agentic",
            Self::OwaspNhi => "owasp-nhi",
            Self::Maestro => "maestro",
            Self::NistAiRmf => "nist-ai-rmf",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::OwaspAgentic => include_str!("../../frameworks/owasp-agentic.toml"),
            Self::OwaspNhi => include_str!("../../frameworks/owasp-nhi.toml"),
            Self::Maestro => include_str!("../../frameworks/maestro.toml"),
            Self::NistAiRmf => include_str!("../../frameworks/nist-ai-rmf.toml"),
        }
    }
}

impl fmt::Display for FrameworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FrameworkName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|name| name.as_str() == text);
        known.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("a framework is one of {all}")
        })
    }
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Its title.
    pub title: String,
    /// Which version.
    pub version: String,
    /// Where it is published.
    pub source: String,
    /// Items to which no live fact speaks.
    #[serde(default)]
    pub silent: Vec<String>,
    /// Items to which some do.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One item of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// As the framework numbers it.
    pub number: String,
    /// As it calls it.
    pub title: String,
    /// The facts it rests on; all of them count.
    pub facts: Vec<String>,
    /// The most that is ever claimed.
    pub cap: Status,
    /// What is beyond sight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// `F01` …
    pub id: String,
    /// In a word.
    pub title: String,
    /// What is counted, of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// What people run to see the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Percentage from which on it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered: Option<f64>,
    /// Percentage from which on it is shown in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<f64>,
    /// What it leaves out: with this it is shown in part at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// Why nothing measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// `holds` if there being nothing to count is nothing against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<String>,
}

impl Fact {
    pub(super) fn empty_holds(&self) -> bool {
        self.empty.as_deref() == Some("holds")
    }
}

/// A table that is built in cannot be used; a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum BadTable {
    /// It cannot be read.
    #[error("the built-in table {0} cannot be read")]
    Unreadable(&'static str, #[source] toml::de::Error),
    /// A row rests on a fact that there is not.
    #[error("there is no fact {0}")]
    NoFact(String),
}

pub(super) fn framework(name: FrameworkName) -> Result<Framework, BadTable> {
    toml::from_str(name.text()).map_err(|error| BadTable::Unreadable(name.as_str(), error))
}

pub(super) fn facts() -> Result<Vec<Fact>, BadTable> {
    #[derive(Deserialize)]
    struct File {
        fact: Vec<Fact>,
    }
    let file: Result<File, _> = toml::from_str(include_str!("../../frameworks/facts.toml"));
    let file = file.map_err(|error| BadTable::Unreadable("facts", error))?;
    Ok(file.fact)
}
