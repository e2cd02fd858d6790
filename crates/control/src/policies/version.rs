//! How people name a published version: the active one, a number of the history, or a digest.

use std::fmt;
use std::str::FromStr;

use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_store::StoreError;

use crate::Control;

/// A published version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef {
    /// The one that decides now.
    Active,
    /// By its number.
    Number(u64),
    /// By the digest of its text.
    Digest(Digest),
}

impl FromStr for VersionRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "active" {
            return Ok(Self::Active);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        text.parse().map(Self::Digest).map_err(|_| {
            "a version is `active`, a number of the history, or a digest `sha256:…`".to_owned()
        })
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Number(number) => number.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl Control {
    pub(super) async fn digest_of(&self, version: VersionRef) -> Result<Digest, Problem> {
        let unknown =
            |what: String| Problem::new(Code::NotFound, what, "`bailiwick policy history`");
        let row = match version {
            VersionRef::Digest(digest) => return Ok(digest),
            VersionRef::Active => self.parts.store.read(|rows| rows.active_policy()).await,
            VersionRef::Number(number) => {
                let row = self
                    .parts
                    .store
                    .read(move |rows| rows.policy_version(number));
                row.await
            }
        };
        let row = row.map_err(|error: StoreError| error.problem())?;
        row.map(|row| row.digest).ok_or_else(|| match version {
            VersionRef::Active => unknown("no policy was published yet".to_owned()),
            _ => unknown(format!("no version {version} was published")),
        })
    }
}
