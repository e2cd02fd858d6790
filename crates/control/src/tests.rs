//! Use cases on a real store and a real log; only the enforcement point is a witness that counts.

mod approvals;
mod bench_node;
mod blast;
mod delegation;
mod for_user;
mod labels;
mod outbox;
mod policies;
mod reevaluate;
mod registry;
mod revocation;
mod sessions;
mod tasks;
