//! Tools with their pinned definitions.

use bailiwick_core::definition::Tool;
use bailiwick_core::name::{ServerName, ToolRef};

use crate::StoreError;

/// Reads of tools.
pub trait Tools {
    /// The tool of this name.
    fn tool(&self, tool: &ToolRef) -> Result<Option<Tool>, StoreError>;

    /// The tools of one server or of all, by name.
    fn tools(&self, server: Option<&ServerName>) -> Result<Vec<Tool>, StoreError>;
}

/// Writes of tools; each appends to the feed.
pub trait ToolsMut {
    /// Stores the next version of a tool. Its server has to be there ([`StoreError::Refused`]).
    fn put_tool(&mut self, tool: &Tool) -> Result<(), StoreError>;
}
