//! Registering OAuth clients that are not ours: the agent that each acts as, and where its users may be sent back to.

use std::sync::Arc;

use bailiwick_core::client::{ClientId, MAX_REDIRECT_URIS, OAuthClient, RedirectUri};
use bailiwick_core::event::EventType;
use bailiwick_core::name::{AgentName, ServerName};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_crypto::token::KeySet;
use bailiwick_store::{StoreError, Tx};

use crate::{Actor, Control, Operation};

/// Clients that can be registered.
pub const MAX_CLIENTS: usize = 1_024;

/// A client to register.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its `client_id`.
    pub id: ClientId,
    /// The agent that it acts as.
    pub agent: AgentName,
    /// Where its users may be sent back to: 1 to [`MAX_REDIRECT_URIS`].
    pub redirect_uris: Vec<RedirectUri>,
    /// The tool server it wants if its request names no `resource`.
    pub default_server: Option<ServerName>,
    /// The public keys that it proves itself with, as a JWKS document: it then has to.
    pub jwks: Option<serde_json::Value>,
}

impl Control {
    /// Registers a client.
    pub async fn add_client(&self, actor: &Actor, new: NewClient) -> Result<OAuthClient, Problem> {
        actor.may(Operation::WriteAgents)?;
        if new.id.url().is_some() {
            return Err(Problem::new(
                Code::InvalidInput,
                "a client that publishes itself is not registered",
                "let its host in: [oauth] client_hosts in the configuration",
            ));
        }
        let mut redirect_uris = new.redirect_uris;
        redirect_uris.sort();
        redirect_uris.dedup();
        if redirect_uris.is_empty() || redirect_uris.len() > MAX_REDIRECT_URIS {
            return Err(Problem::new(
                Code::InvalidInput,
                format!(
                    "a client needs 1 to {MAX_REDIRECT_URIS} redirect URIs, not {}",
                    redirect_uris.len()
                ),
                "for example http://127.0.0.1/callback, whose port is free",
            ));
        }
        let jwks = new.jwks.map(|document| usable(&document)).transpose()?;
        let client = OAuthClient {
            id: new.id,
            agent: new.agent,
            redirect_uris,
            default_server: new.default_server,
            name: None,
            jwks,
            created_at: self.now(),
        };
        let kind = EventType::ClientChanged;
        let mut event = self.change_event(kind, actor, "clients.add", "client", &client.id);
        if let Some(change) = &mut event.change {
            let keys = client.jwks.as_ref().map_or("", |_| ", with keys");
            change.after = Some(format!("agent {}{keys}", client.agent));
        }
        let (journal, row) = (Arc::clone(&self.parts.journal), client.clone());
        self.parts
            .store
            .write(move |tx| {
                if tx.agent(&row.agent)?.is_none() {
                    return Err(crate::agents::unknown(&row.agent));
                }
                put_new(tx, &row)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(client)
    }

    /// Removes a client: it gets no code and no token any more. The tasks that it has go on until they end or are revoked.
    pub async fn remove_client(&self, actor: &Actor, id: ClientId) -> Result<(), Problem> {
        actor.may(Operation::WriteAgents)?;
        let kind = EventType::ClientChanged;
        let event = self.change_event(kind, actor, "clients.remove", "client", &id);
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                tx.remove_oauth_client(&id)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await
    }

    /// All clients, by id.
    pub async fn clients(&self, actor: &Actor) -> Result<Vec<OAuthClient>, Problem> {
        actor.may(Operation::Read)?;
        let clients = self.parts.store.read(|rows| rows.oauth_clients()).await;
        clients.map_err(|error: StoreError| error.problem())
    }

    /// The client that asks for its user's consent, if it is registered. Whoever has a `client_id` may ask.
    pub async fn asking_client(&self, id: ClientId) -> Result<Option<OAuthClient>, Problem> {
        let client = self
            .parts
            .store
            .read(move |rows| rows.oauth_client(&id))
            .await;
        client.map_err(|error: StoreError| error.problem())
    }
}

/// The keys of a document that can be used, and nothing else of it.
fn usable(document: &serde_json::Value) -> Result<serde_json::Value, Problem> {
    let keys = KeySet::of_client(document.to_string().as_bytes());
    Ok(keys.map_err(|error| error.problem())?.to_jwks())
}

/// Keeps a client that publishes itself as it was when a user let it in, since codes and refresh tokens hang on it.
pub(crate) fn keep_published(tx: &mut dyn Tx, client: &OAuthClient) -> Result<(), StoreError> {
    let Some(known) = tx.oauth_client(&client.id)? else {
        return put_new(tx, client);
    };
    let now = OAuthClient {
        created_at: known.created_at,
        ..client.clone()
    };
    if now == known {
        return Ok(());
    }
    tx.remove_oauth_client(&known.id)?;
    tx.put_oauth_client(&now)
}

fn put_new(tx: &mut dyn Tx, client: &OAuthClient) -> Result<(), StoreError> {
    if tx.oauth_clients()?.len() >= MAX_CLIENTS {
        return Err(StoreError::Refused {
            kind: "client",
            key: client.id.to_string(),
            why: "there is room for no more of them",
        });
    }
    tx.put_oauth_client(client)
}
