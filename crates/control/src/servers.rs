//! Registering tool servers. Their tools become callable only after review ([`crate::tools`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_broker::LeasesOf;
use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

use crate::{Actor, Control, Operation};

/// Arguments and environment of a child process have at most this many bytes together.
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// A server to register.
#[derive(Debug, Clone)]
pub struct NewServer {
    /// Its name.
    pub name: ServerName,
    /// Where it is.
    pub transport: Transport,
    /// How far it is trusted.
    pub trust: Trust,
    /// The credential injected into its calls.
    pub credential: Option<CredentialName>,
    /// Labels of every answer.
    pub labels: Labels,
}

impl Control {
    /// Registers a server. Its tools are read by whoever connects to it.
    pub async fn add_server(&self, actor: &Actor, new: NewServer) -> Result<Server, Problem> {
        actor.may(Operation::WriteServers)?;
        check_transport(&new.transport, new.credential.is_some())?;
        let server = Server {
            name: new.name,
            transport: new.transport,
            trust: new.trust,
            credential: new.credential,
            labels: new.labels,
            created_at: self.now(),
            version: 1,
        };
        let mut event = self.change_event(
            EventType::ServerChanged,
            actor,
            "servers.add",
            "server",
            &server.name,
        );
        if let Some(change) = &mut event.change {
            change.after = Some(told(&server));
        }
        let (journal, row) = (Arc::clone(&self.parts.journal), server.clone());
        self.parts
            .store
            .write(move |tx| {
                if tx.server(&row.name)?.is_some() {
                    return Err(StoreError::AlreadyExists {
                        kind: "server",
                        key: row.name.to_string(),
                    });
                }
                tx.put_server(&row)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(server)
    }

    /// Says which labels every answer of a server carries from now on. What was labelled stays so.
    pub async fn label_server(
        &self,
        actor: &Actor,
        name: ServerName,
        labels: Labels,
    ) -> Result<Server, Problem> {
        actor.may(Operation::WriteServers)?;
        let event = self.change_event(
            EventType::ServerChanged,
            actor,
            "servers.labels",
            "server",
            &name,
        );
        let journal = Arc::clone(&self.parts.journal);
        let server = self
            .parts
            .store
            .write(move |tx| {
                let mut server = tx.server(&name)?.ok_or_else(|| unknown(&name))?;
                let mut event = event.clone();
                if let Some(change) = &mut event.change {
                    change.before = Some(told(&server));
                    server.labels.clone_from(&labels);
                    change.after = Some(told(&server));
                }
                server.version += 1;
                tx.put_server(&server)?;
                journal.push(tx, &event)?;
                Ok::<_, StoreError>(server)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(server)
    }

    /// Removes a server with its tools; calls that run are cut and its leases end.
    pub async fn remove_server(&self, actor: &Actor, name: ServerName) -> Result<(), Problem> {
        actor.may(Operation::WriteServers)?;
        let mut event = self.change_event(
            EventType::ServerChanged,
            actor,
            "servers.remove",
            "server",
            &name,
        );
        if let Some(change) = &mut event.change {
            change.after = Some("removed".to_owned());
        }
        let (journal, removed) = (Arc::clone(&self.parts.journal), name.clone());
        self.parts
            .store
            .write(move |tx| {
                tx.remove_server(&removed)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.parts.cutter.cut(&[Subject::Server(name.clone())]);
        self.end_leases(&[LeasesOf::Server(name)], "server removed")
            .await;
        self.settled().await
    }

    /// All servers, by name.
    pub async fn servers(&self, actor: &Actor) -> Result<Vec<Server>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.servers())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// One server.
    pub async fn server(&self, actor: &Actor, name: ServerName) -> Result<Server, Problem> {
        actor.may(Operation::Read)?;
        let server = self
            .parts
            .store
            .read(move |rows| rows.server(&name)?.ok_or_else(|| unknown(&name)))
            .await;
        server.map_err(|error: StoreError| error.problem())
    }
}

fn unknown(name: &ServerName) -> StoreError {
    StoreError::NotFound {
        kind: "server",
        key: name.to_string(),
    }
}

/// What an event says of a server.
fn told(server: &Server) -> String {
    format!("trust {} labels {}", server.trust.as_str(), server.labels)
}

fn check_transport(transport: &Transport, credential: bool) -> Result<(), Problem> {
    let invalid = |message: &str, help: &str| Err(Problem::new(Code::InvalidInput, message, help));
    match transport {
        Transport::Http { url } => {
            let rest = url
                .strip_prefix("http://")
                .or_else(|| url.strip_prefix("https://"));
            let host = rest
                .and_then(|rest| rest.split('/').next())
                .unwrap_or_default();
            if host.is_empty() || host.contains('@') || url.contains('#') || url.len() > 2_048 {
                return invalid(
                    "the URL of a tool server is http or https, without user info and fragment",
                    "",
                );
            }
            Ok(())
        }
        Transport::Stdio { command, env, .. } => {
            if credential {
                return invalid(
                    "a credential cannot be injected into a child process",
                    "only HTTP servers take a credential in this release",
                );
            }
            let bytes = command.iter().map(String::len).sum::<usize>() + env_bytes(env);
            if command.first().is_none_or(String::is_empty) || bytes > MAX_COMMAND_BYTES {
                return invalid(
                    "a child process needs a program, and at most 64 KiB of arguments and environment",
                    "",
                );
            }
            Ok(())
        }
    }
}

fn env_bytes(env: &BTreeMap<String, String>) -> usize {
    env.iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}
