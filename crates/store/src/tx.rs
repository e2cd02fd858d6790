//! What a closure handed to [`crate::Store`] can do: all noun traits in one object.

use crate::{
    Accounts, AccountsMut, Agents, AgentsMut, Approvals, ApprovalsMut, Artefacts, ArtefactsMut,
    Clients, ClientsMut, Erasures, ErasuresMut, Feed, Fences, FencesMut, Findings, FindingsMut,
    Instances, InstancesMut, Items, ItemsMut, JoinTokens, JoinTokensMut, Keys, KeysMut, Leases,
    LeasesMut, Meta, MetaMut, Outbox, OutboxMut, Points, PointsMut, Policies, PoliciesMut,
    Revocations, RevocationsMut, Secrets, SecretsMut, Servers, ServersMut, Sessions, SessionsMut,
    SpentMut, Tasks, TasksMut, Tokens, TokensMut, Tools, ToolsMut, Users, UsersMut, Vouchers,
    VouchersMut,
};

/// Everything that can be read, as of one commit.
pub trait Reads:
    Agents
    + Instances
    + JoinTokens
    + Erasures
    + Tasks
    + Servers
    + Tools
    + Items
    + Approvals
    + Fences
    + Findings
    + Artefacts
    + Revocations
    + Leases
    + Secrets
    + Keys
    + Tokens
    + Points
    + Policies
    + Accounts
    + Sessions
    + Users
    + Clients
    + Vouchers
    + Outbox
    + Feed
    + Meta
{
}

/// A transaction: reads its own writes, and all of it is committed or none. `&dyn Tx` coerces to `&dyn Reads`.
pub trait Tx:
    Reads
    + AgentsMut
    + InstancesMut
    + JoinTokensMut
    + SpentMut
    + ErasuresMut
    + TasksMut
    + ServersMut
    + ToolsMut
    + ItemsMut
    + ApprovalsMut
    + FencesMut
    + FindingsMut
    + ArtefactsMut
    + RevocationsMut
    + LeasesMut
    + SecretsMut
    + KeysMut
    + TokensMut
    + PointsMut
    + PoliciesMut
    + AccountsMut
    + SessionsMut
    + UsersMut
    + ClientsMut
    + VouchersMut
    + OutboxMut
    + MetaMut
{
}
