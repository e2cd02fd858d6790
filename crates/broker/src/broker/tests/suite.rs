//! What every backend has to keep, whatever it is: one suite, run against each real server. A backend says in [`Elsewhere`] how its server is
//! started and how a client that is not ours sees it; `conforms!` then makes a test of each case. What only one kind has is tested beside
//! its `Elsewhere`.

pub(super) mod bench;
pub(super) mod crash;
pub(super) mod differs;
pub(super) mod ends;
pub(super) mod faults;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::session::Session;
use crate::backend::{Backend, StaticSecret};

/// A real server as the suite needs it. Its directory has the broker's password in `password`.
pub(crate) trait Elsewhere: Sized + Send + Sync + 'static {
    /// What a session asks, and what it is answered for as long as it has its rights.
    const QUESTION: &'static str;
    const ANSWER: &'static str;

    /// One with something to read, and a broker's login as the docs have it.
    fn start() -> Self;

    /// Starts it again with what it had.
    fn run(&mut self);

    /// Ends it at once, as a crash would.
    fn kill(&mut self);

    /// Where another process finds it.
    fn dir(&self) -> PathBuf;

    /// Our backend of the server in this directory; it makes the credential `orders-ro`.
    fn backend(dir: &Path, values: &Arc<StaticSecret>) -> Arc<dyn Backend>;

    /// Names of all accounts that begin with `bw-`.
    fn accounts(&self) -> Vec<String>;

    /// Makes an account by hand, as a broker that died would have left it.
    fn add(&self, name: &str);

    /// Removes one by hand.
    fn remove(&self, name: &str);

    /// What the server says to the holder who asks [`Self::QUESTION`], or its complaint.
    fn ask(&self, name: &str, secret: &str) -> Result<String, String>;

    /// What the holder tries beyond its rights, and what the server says to it: all complaints.
    fn overstep(&self, name: &str, secret: &str) -> Vec<Result<String, String>>;

    /// An open session of the holder.
    fn session(&self, name: &str, secret: &str) -> Session;

    /// Open sessions that are neither the administrator's nor the broker's.
    fn foreign_sessions(&self) -> usize;
}

/// Makes a test of each case that every backend has to pass.
macro_rules! conforms {
    ($server:ty) => {
        $crate::broker::tests::suite::each! { $server;
            ends::a_leased_account_works_as_its_group_and_is_gone_with_its_task
            ends::a_session_is_cut
            ends::doing_everything_twice_leaves_one_credential_or_none
            ends::a_fence_that_falls_while_an_account_is_made_leaves_no_account
            ends::those_who_ask_first_and_at_once_all_get_theirs
            ends::a_leased_secret_is_in_no_file_event_or_debug_text
            differs::what_a_backend_has_and_nobody_knows_is_removed_and_nothing_else
            differs::an_older_copy_of_the_store_makes_and_removes_nothing
            faults::a_backend_that_is_down_delays_no_revocation_and_is_cleaned_when_it_is_back
            faults::a_server_killed_or_an_answer_lost_at_any_step_leaves_nothing_behind
        }

        #[tokio::test]
        async fn a_node_killed_between_any_two_steps_leaves_nothing_behind() {
            $crate::broker::tests::suite::crash::at_any_step::<$server>(module_path!()).await;
        }
    };
}

macro_rules! each {
    ($server:ty; $($part:ident::$case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::broker::tests::suite::$part::$case::<$server>().await;
            }
        )*
    };
}

pub(crate) use {conforms, each};
