//! What every engine has to do, as functions on an empty [`crate::Store`]; `each!` lists them.

mod artefacts;
mod authority;
mod clients;
mod feed;
mod findings;
pub(crate) mod fixture;
mod people;
mod registry;
mod tasks;

pub(crate) use artefacts::artefacts;
pub(crate) use authority::{approvals, fences, lease_versions, revocations, signing_keys, tokens};
pub(crate) use clients::{oauth_clients, vouchers};
pub(crate) use feed::{
    changes_name_their_events, feed_has_no_gap, observers_see_commits_in_order,
    rolled_back_leaves_nothing, snapshots,
};
pub(crate) use findings::findings;
pub(crate) use people::{accounts, erasures, meta, outbox, pseudonyms, sealed_values, sessions};
pub(crate) use registry::{
    agents, instances, items, join_tokens, points, policies, remote_instances, servers_and_tools,
};
pub(crate) use tasks::{task_ends, task_rules, task_trees};

/// Hands the names of all functions to a macro: what is added here is asked of every engine.
macro_rules! each {
    ($with:ident) => {
        $with! {
            agents instances remote_instances join_tokens points servers_and_tools items policies
            task_trees task_rules task_ends approvals fences revocations lease_versions signing_keys tokens
            findings artefacts accounts sessions erasures pseudonyms sealed_values outbox meta oauth_clients vouchers
            changes_name_their_events feed_has_no_gap observers_see_commits_in_order rolled_back_leaves_nothing snapshots
        }
    };
}
pub(crate) use each;
