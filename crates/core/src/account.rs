//! People and services that use the API, and the roles that say what each may do there.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::AccountId;
use crate::name::AccountName;

/// What an account may do. Roles are sets; none contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but sealed values.
    Viewer,
    /// Answers approvals and sees their arguments.
    Approver,
    /// Registers agents and servers, reviews tools, opens and ends tasks, revokes.
    Operator,
    /// Policy, accounts, secrets.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Approver, Self::Operator, Self::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A person or service that may sign in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name; unique on the node.
    pub name: AccountName,
    /// Its roles.
    pub roles: Vec<Role>,
    /// A disabled account can do nothing.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
