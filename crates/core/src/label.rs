//! Labels: marks on data that a task or item has picked up. A set that only grows.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::text_form;

/// One label, such as `untrusted`, `pii`, `internal` or `secret`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a label is 1 to 32 of a-z 0-9 -")]
pub struct BadLabel;

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        let fits = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(BadLabel)
        }
    }
}

text_form! { Label, via as_str; }

/// The one label that tells of integrity: text that outsiders can write.
pub const UNTRUSTED: &str = "untrusted";

/// A set of labels. It has no way to take one out: only a person declassifies, and then from a stored item, never from a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeSet<Label>);

impl Labels {
    /// What every answer carries unless an operator knows better.
    pub fn untrusted() -> Self {
        Self(BTreeSet::from([Label(UNTRUSTED.into())]))
    }

    /// Whether every label of `other` is in the set.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// Whether somebody outside may have written the words: one of the labels tells of integrity, not of secrecy.
    pub fn taints(&self) -> bool {
        self.0.iter().any(|label| label.as_str() == UNTRUSTED)
    }

    /// Those that tell of secrecy: all but `untrusted`.
    pub fn confidential(&self) -> impl Iterator<Item = &Label> {
        self.0.iter().filter(|label| label.as_str() != UNTRUSTED)
    }

    /// Adds every label of `other`; true if the set grew.
    pub fn join(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        self.0.extend(other.0.iter().cloned());
        self.0.len() > before
    }

    /// Whether `label` is in the set.
    pub fn contains(&self, label: &Label) -> bool {
        self.0.contains(label)
    }

    /// The labels in order.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    /// True if nothing was picked up yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        Self(labels.into_iter().collect())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, label) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{label}")?;
        }
        Ok(())
    }
}
