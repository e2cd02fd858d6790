//! OAuth clients in SQL.

use bailiwick_core::client::{ClientId, OAuthClient};

use super::view::{View, encode};
use crate::{Clients, ClientsMut, StoreError};

const KIND: &str = "client";

impl Clients for View<'_> {
    fn oauth_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM oauth_client WHERE id = ?1",
            [id.as_str()],
        )
    }

    fn oauth_clients(&self) -> Result<Vec<OAuthClient>, StoreError> {
        self.many(KIND, "SELECT body FROM oauth_client ORDER BY id", ())
    }
}

impl ClientsMut for View<'_> {
    fn put_oauth_client(&mut self, client: &OAuthClient) -> Result<(), StoreError> {
        self.execute(
            KIND,
            client.id.as_str(),
            "INSERT INTO oauth_client (id, body) VALUES (?1, ?2)",
            (client.id.as_str(), encode(KIND, client)?),
        )?;
        Ok(())
    }

    fn remove_oauth_client(&mut self, id: &ClientId) -> Result<(), StoreError> {
        self.remove(
            KIND,
            id.as_str(),
            "DELETE FROM oauth_client WHERE id = ?1",
            [id.as_str()],
        )
    }
}
