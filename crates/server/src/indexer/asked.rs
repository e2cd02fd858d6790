//! What somebody asked for, put to leaves one by one.

use std::sync::Arc;

use bailiwick_audit::Log;
use bailiwick_audit::projection::{IndexKey, row};
use bailiwick_audit::read::{Entry, Opener, ReadError};
use bailiwick_core::index::{Conditions, Key, Row};

use super::project;

/// Conditions with what it takes to judge a leaf by them.
pub struct Asked {
    conditions: Conditions,
    origin: Arc<str>,
    key: IndexKey,
    /// Only who asks for a resource needs the arguments opened.
    opener: Option<Opener>,
}

impl Asked {
    pub(super) fn new(conditions: Conditions, log: &Log, origin: Arc<str>, key: IndexKey) -> Self {
        let resource = conditions.value(Key::Resource).map(|name| key.token(name));
        let conditions = match resource {
            Some(token) => conditions.with_token(token),
            None => conditions,
        };
        Self {
            conditions,
            origin,
            key,
            opener: resource.map(|_| log.opener()),
        }
    }

    /// As an index takes them.
    pub(super) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Whether every leaf is wanted, also one that this version does not read.
    pub(super) fn takes_all(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The row of a leaf, if it is wanted.
    pub fn row(&mut self, entry: &Entry) -> Result<Option<Row>, ReadError> {
        let row = match &mut self.opener {
            Some(opener) => project(&self.key, &self.origin, entry, opener)?,
            None => match entry.parse() {
                Ok(leaf) => Some(row(
                    &leaf,
                    Arc::clone(&self.origin),
                    entry.index,
                    Vec::new(),
                )),
                Err(ReadError::Leaf { .. }) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(row.filter(|row| self.conditions.take(row)))
    }
}
