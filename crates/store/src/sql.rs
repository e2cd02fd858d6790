//! The nouns in SQL, written once for both engines: what SQLite and PostgreSQL both understand, with parameters as `?1`. PostgreSQL
//! takes a parameter's type from where it occurs first: compare it before asking whether it `IS NULL`.
//!
//! A row is the columns that something is looked up by, and the JSON of the whole thing: the feed carries the same JSON, and a
//! new field of a noun needs no migration. JSON is text to the database: it is taken apart here, never there.

mod accounts;
mod agents;
mod approvals;
mod artefacts;
mod clients;
mod connection;
mod erasures;
mod feed;
mod fences;
mod findings;
mod instances;
mod items;
mod join_tokens;
mod keys;
mod leases;
mod meta;
mod migrations;
mod outbox;
mod points;
mod policies;
mod revocations;
mod secrets;
mod servers;
mod sessions;
mod spent;
mod tasks;
mod tokens;
mod tools;
mod users;
mod view;
mod vouchers;

pub(crate) use connection::{Column, Connection, Each, Failed, Param, Row};
pub(crate) use feed::understand;
pub(crate) use migrations::MIGRATIONS;
pub(crate) use view::{View, damaged};
