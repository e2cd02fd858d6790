//! Who is calling, after authentication and before any decision. A caller holds nothing that can go stale: rows are looked up anew for
//! each message.

use std::sync::Arc;

use bailiwick_core::Timestamp;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId, TokenId};
use bailiwick_core::name::{ServerName, ToolRef};
use bailiwick_core::scope::Scope;
use bailiwick_crypto::token::task::Confirmation;

use crate::accept::Network;
use crate::replica::View;

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The task it acts in.
    pub task: TaskId,
    /// The process that acts.
    pub instance: InstanceId,
    /// The token it showed; none for an attested peer on a unix socket.
    pub token: Option<Token>,
    /// Where it calls from.
    pub network: Network,
}

/// What matters of a verified task token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The tokens it was exchanged from.
    pub parents: Vec<TokenId>,
    /// What it is bound to, if it is bound.
    pub bound: Option<Confirmation>,
    /// Feed head that its issuing transaction read: its birth, for fences on servers and tools.
    pub seq: u64,
    /// When it ends. Streams that it opened end with it.
    pub expires: Timestamp,
    /// What it is good for, if that is not the whole scope of its task.
    pub part: Option<Arc<Scope>>,
}

impl Caller {
    /// A caller that the node attested itself, without a token (`mcp.sock`).
    pub fn attested(task: TaskId, instance: InstanceId) -> Self {
        Self {
            task,
            instance,
            token: None,
            network: Network::Loopback,
        }
    }

    /// Every subject whose fence stops this caller at this server and tool, with births (02, table of fences). `now_seq` is the newest
    /// change: the birth of an attested peer, which has no token.
    pub fn subjects(
        &self,
        view: &View,
        server: &ServerName,
        tool: Option<&ToolRef>,
        lease: Option<LeaseId>,
        now_seq: u64,
    ) -> Vec<(Subject, u64)> {
        let mut subjects = view.chain.subjects();
        // Born after the newest change that its issuer had seen: a lift that was that change does not reach it.
        let seen = self.token.as_ref().map_or(now_seq, |token| token.seq);
        let born = seen.saturating_add(1);
        subjects.push((Subject::Server(server.clone()), born));
        if let Some(tool) = tool {
            subjects.push((Subject::Tool(tool.clone()), born));
        }
        if let Some(token) = &self.token {
            let key = token.bound.as_ref().and_then(Confirmation::key);
            subjects.extend(key.map(|key| (Subject::Key(key.as_str().to_owned()), 0)));
            subjects.extend(
                std::iter::once(token.id)
                    .chain(token.parents.iter().copied())
                    .map(|id| (Subject::Token(id), 0)),
            );
        }
        if let Some(lease) = lease {
            subjects.push((Subject::Lease(lease), 0));
        }
        subjects
    }

    /// Whether the token the caller showed reaches a server; its task may reach more.
    pub fn names_server(&self, server: &ServerName) -> bool {
        self.part()
            .is_none_or(|part| part.names_server(server.as_str()))
    }

    /// Whether neither key nor certificate protects what it showed.
    pub fn is_unbound(&self) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| token.bound.is_none())
    }

    /// What the token is good for, if that is less than the task.
    pub fn part(&self) -> Option<&Scope> {
        self.token.as_ref()?.part.as_deref()
    }

    /// What a session is tied to besides its server: another task, process or key is another caller. A process has another certificate
    /// after each rotation and is the same caller.
    pub fn binding(&self) -> (TaskId, InstanceId, Option<&str>) {
        let bound = self.token.as_ref().and_then(|token| token.bound.as_ref());
        let to = bound.map(|bound| match bound {
            Confirmation::Key(key) => key.as_str(),
            Confirmation::Certificate(_) => "certificate",
        });
        (self.task, self.instance, to)
    }
}
