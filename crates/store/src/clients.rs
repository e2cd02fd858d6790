//! OAuth clients that are not ours, by `client_id`.

use bailiwick_core::client::{ClientId, OAuthClient};

use crate::StoreError;

/// Reads of clients.
pub trait Clients {
    /// The client with this id.
    fn oauth_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, StoreError>;

    /// All clients, by id.
    fn oauth_clients(&self) -> Result<Vec<OAuthClient>, StoreError>;
}

/// Writes of clients.
pub trait ClientsMut {
    /// Stores a client; [`StoreError::AlreadyExists`] if its id was given.
    fn put_oauth_client(&mut self, client: &OAuthClient) -> Result<(), StoreError>;

    /// Removes a client; [`StoreError::NotFound`] if there is none.
    fn remove_oauth_client(&mut self, id: &ClientId) -> Result<(), StoreError>;
}
