//! A tool server (MCP upstream) as an operator registered it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::label::Labels;
use crate::name::{CredentialName, ServerName};

/// How far the operator trusts a server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Ours.
    FirstParty,
    /// Looked at by somebody.
    Reviewed,
    /// Nobody looked: the default.
    #[default]
    Unreviewed,
}

impl Trust {
    /// As it appears in policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstParty => "first_party",
            Self::Reviewed => "reviewed",
            Self::Unreviewed => "unreviewed",
        }
    }
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP at this URL.
    Http {
        /// Absolute http or https URL of the MCP endpoint.
        url: String,
    },
    /// A child process that speaks newline-delimited JSON-RPC; one per MCP session.
    Stdio {
        /// Program and arguments, not passed through a shell.
        command: Vec<String>,
        /// Environment of the child beyond `pass_env`; never secrets.
        env: BTreeMap<String, String>,
        /// Names of the node's own environment variables that the child gets.
        pass_env: Vec<String>,
    },
}

/// One registered tool server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name; a path segment of its gateway URL.
    pub name: ServerName,
    /// Where it is.
    pub transport: Transport,
    /// How far its words are trusted.
    pub trust: Trust,
    /// The credential that is leased and injected into calls (HTTP: `Authorization: Bearer`).
    pub credential: Option<CredentialName>,
    /// Labels of every answer: `untrusted` unless the operator says that outsiders can write nothing into what it answers with.
    #[serde(default = "Labels::untrusted")]
    pub labels: Labels,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}
