//! Who asks, and what their roles let them do. Routes and use cases name one operation each; which roles may is policy
//! ([`bailiwick_policy::api`]), decided by the engine that decides the calls of agents.

use bailiwick_core::account::Role;
use bailiwick_core::id::AccountId;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Problem};
use bailiwick_policy::api;

/// Who asks for a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Account name, `uid:N` over the admin socket, or `system`.
    pub name: String,
    /// Roles held.
    pub roles: Vec<Role>,
    /// The account, if there is one.
    pub account: Option<AccountId>,
    /// Unix user, over the admin socket.
    pub uid: Option<u32>,
}

impl Actor {
    /// The node itself: expiries, exits, triggers.
    pub fn system() -> Self {
        Self {
            name: "system".to_owned(),
            roles: Vec::new(),
            account: None,
            uid: None,
        }
    }

    /// A peer of the admin socket that may use it: it holds every role.
    pub fn unix(uid: u32) -> Self {
        Self {
            name: format!("uid:{uid}"),
            roles: Role::ALL.to_vec(),
            account: None,
            uid: Some(uid),
        }
    }

    /// An agent, by its instance: it holds no role, and does what its task lets it do.
    pub fn agent(id: &SpiffeId) -> Self {
        Self {
            name: id.to_string(),
            roles: Vec::new(),
            account: None,
            uid: None,
        }
    }

    /// As the record names it: accounts by id, so that no person's name is in the log.
    pub fn on_record(&self) -> String {
        self.account
            .map_or_else(|| self.name.clone(), |account| account.to_string())
    }

    /// Refuses unless one of the operation's roles is held.
    pub fn may(&self, operation: Operation) -> Result<(), Problem> {
        if api::permits(&self.roles, operation.as_str()) {
            return Ok(());
        }
        let names: Vec<&str> = operation.roles().into_iter().map(Role::as_str).collect();
        Err(Problem::new(
            Code::NotPermitted,
            format!("{} may not do this", self.name),
            format!(
                "it needs the role {}; an admin grants it: `bailiwick account add`",
                names.join(" or ")
            ),
        ))
    }
}

/// What a person or service can do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read agents, servers, tools, tasks, fences, leases, policy, the record.
    Read,
    /// Register and change agents.
    WriteAgents,
    /// Register and remove servers, review tools.
    WriteServers,
    /// Open, change and end tasks.
    WriteTasks,
    /// Read approvals with their arguments.
    ReadApprovals,
    /// Answer approvals.
    AnswerApprovals,
    /// Take labels off items.
    Declassify,
    /// Revoke.
    Revoke,
    /// Report scans, and say what becomes of findings.
    WriteFindings,
    /// Lift fences.
    LiftFences,
    /// Check and publish policy.
    WritePolicy,
    /// Make accounts and their tokens.
    WriteAccounts,
    /// Add and remove enforcement points.
    WritePoints,
    /// Set and remove secrets.
    WriteSecrets,
    /// Make the index of the record anew.
    Reindex,
    /// Open what the record keeps sealed.
    Reveal,
    /// Erase it.
    Erase,
    /// Replace the key that signs the record.
    RotateLogKey,
    /// Replace and take back the keys that sign SVIDs, tokens, receipts and heads of the feed.
    RotateKeys,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 19] = [
        Self::Read,
        Self::WriteAgents,
        Self::WriteServers,
        Self::WriteTasks,
        Self::ReadApprovals,
        Self::AnswerApprovals,
        Self::Declassify,
        Self::Revoke,
        Self::WriteFindings,
        Self::LiftFences,
        Self::WritePolicy,
        Self::WriteAccounts,
        Self::WritePoints,
        Self::WriteSecrets,
        Self::Reindex,
        Self::Reveal,
        Self::Erase,
        Self::RotateLogKey,
        Self::RotateKeys,
    ];

    /// As policy names it: `Action::"api:<name>"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::WriteAgents => "write_agents",
            Self::WriteServers => "write_servers",
            Self::WriteTasks => "write_tasks",
            Self::ReadApprovals => "read_approvals",
            Self::AnswerApprovals => "answer_approvals",
            Self::Declassify => "declassify",
            Self::Revoke => "revoke",
            Self::WriteFindings => "write_findings",
            Self::LiftFences => "lift_fences",
            Self::WritePolicy => "write_policy",
            Self::WriteAccounts => "write_accounts",
            Self::WritePoints => "write_points",
            Self::WriteSecrets => "write_secrets",
            Self::Reindex => "reindex",
            Self::Reveal => "reveal",
            Self::Erase => "erase",
            Self::RotateLogKey => "rotate_log_key",
            Self::RotateKeys => "rotate_keys",
        }
    }

    /// The roles of which one is needed.
    pub fn roles(self) -> Vec<Role> {
        api::roles_for(self.as_str())
    }
}

#[cfg(test)]
mod tests;
