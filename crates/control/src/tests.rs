//! Use cases on a real store and a real log; only the enforcement point is a witness that counts.

mod accounts;
mod approvals;
mod artefacts;
mod bench_node;
mod blast;
mod cascade;
mod delegation;
mod for_user;
mod labels;
mod leftovers;
mod model;
mod outbox;
mod policies;
#[path = "../../../tests/servers/postgres.rs"]
mod postgres;
#[path = "../../../tests/servers/postgres_stores.rs"]
mod postgres_stores;
mod reevaluate;
mod registry;
mod revocation;
mod sessions;
mod standing;
mod tasks;
