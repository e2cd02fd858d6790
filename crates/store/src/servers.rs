//! Registered tool servers.

use bailiwick_core::name::ServerName;
use bailiwick_core::server::Server;

use crate::StoreError;

/// Reads of servers.
pub trait Servers {
    /// The server of this name.
    fn server(&self, name: &ServerName) -> Result<Option<Server>, StoreError>;

    /// All servers, by name.
    fn servers(&self) -> Result<Vec<Server>, StoreError>;
}

/// Writes of servers; each appends to the feed.
pub trait ServersMut {
    /// Stores the next version of a server.
    fn put_server(&mut self, server: &Server) -> Result<(), StoreError>;

    /// Removes a server and its tools, the tools first; [`StoreError::NotFound`] if there is none.
    fn remove_server(&mut self, name: &ServerName) -> Result<(), StoreError>;
}
