//! Who asks, and what their roles let them do. The table of operations is the whole of it; routes and commands name one each.

use bailiwick_core::account::Role;
use bailiwick_core::id::AccountId;
use bailiwick_core::{Code, Problem};

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
        let roles = vec![Role::Viewer, Role::Approver, Role::Operator, Role::Admin];
        Self {
            name: format!("uid:{uid}"),
            roles,
            account: None,
            uid: Some(uid),
        }
    }

    /// As the record names it: accounts by id, so that no person's name is in the log.
    pub fn on_record(&self) -> String {
        self.account
            .map_or_else(|| self.name.clone(), |account| account.to_string())
    }

    /// Refuses unless one of the operation's roles is held.
    pub fn may(&self, operation: Operation) -> Result<(), Problem> {
        let wanted = operation.roles();
        if self.roles.iter().any(|role| wanted.contains(role)) {
            return Ok(());
        }
        let names: Vec<String> = wanted
            .iter()
            .map(|role| format!("{role:?}").to_lowercase())
            .collect();
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
    /// Revoke.
    Revoke,
    /// Lift fences.
    LiftFences,
    /// Check and publish policy.
    WritePolicy,
    /// Make accounts and their tokens.
    WriteAccounts,
    /// Set and remove secrets.
    WriteSecrets,
    /// Open what the record keeps sealed.
    Reveal,
    /// Erase it.
    Erase,
}

impl Operation {
    const fn roles(self) -> &'static [Role] {
        match self {
            Self::Read => &[Role::Viewer, Role::Approver, Role::Operator, Role::Admin],
            Self::ReadApprovals => &[Role::Viewer, Role::Approver],
            Self::AnswerApprovals => &[Role::Approver],
            Self::WriteAgents
            | Self::WriteServers
            | Self::WriteTasks
            | Self::Revoke
            | Self::Reveal => &[Role::Operator],
            Self::LiftFences
            | Self::WritePolicy
            | Self::WriteAccounts
            | Self::WriteSecrets
            | Self::Erase => &[Role::Admin],
        }
    }
}
