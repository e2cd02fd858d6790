//! What every engine has to do, as functions on an empty [`Store`]; `each!` makes a test of each of them.

mod authority;
mod clients;
mod feed;
pub(crate) mod fixture;
mod people;
mod registry;
mod tasks;

pub(crate) use authority::{approvals, fences, lease_versions, revocations, signing_keys, tokens};
pub(crate) use clients::{oauth_clients, vouchers};
pub(crate) use feed::{
    changes_name_their_events, feed_has_no_gap, observers_see_commits_in_order,
    rolled_back_leaves_nothing, snapshots,
};
pub(crate) use people::{accounts, erasures, meta, outbox, pseudonyms, sealed_values, sessions};
pub(crate) use registry::{
    agents, instances, items, join_tokens, points, policies, remote_instances, servers_and_tools,
};
pub(crate) use tasks::{task_ends, task_rules, task_trees};

/// One test per conformance function, each with a store of its own from `$fresh()` (the store and what keeps it alive).
macro_rules! each {
    ($fresh:path: $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (store, _keep) = $fresh();
            crate::conformance::$name(&store).await;
        }
    )*};
}
pub(crate) use each;
