//! Connections that read, each on a snapshot of the newest commit of the primary. Since one transaction writes at a time, a snapshot is
//! always a state that was between two commits.

use super::link::{Link, Opener, as_error};
use crate::StoreError;
use crate::readers::Source;

/// Where connections come from.
pub(super) struct Snapshots {
    pub(super) opener: Opener,
    pub(super) node: String,
}

impl Source for Snapshots {
    type Link = Link;

    fn open(&self) -> Result<Link, StoreError> {
        self.opener.open()
    }

    fn begin(&self, link: &Link) -> Result<(), StoreError> {
        link.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .map_err(as_error)
    }

    fn end(&self, link: &Link) -> bool {
        link.batch("COMMIT").is_ok() && link.take_lost().is_none()
    }

    fn node(&self) -> &str {
        &self.node
    }
}
