//! Brings the schema up to date while nodes run, one step after the other, by one node at a time.

use std::time::Duration;

use super::dialect::translate;
use super::link::{Link, as_error};
use crate::sql::{Failed, MIGRATIONS};
use crate::{OpenError, StoreError};

/// The oldest release that is known to do what is asked of it here.
const OLDEST: i64 = 150_000;
/// "BAIL": the advisory lock of who migrates.
const MIGRATOR: i64 = 0x4241_494c;
/// How long a node waits for another one that migrates, and a step for transactions that run.
const WAIT: Duration = Duration::from_mins(2);

/// What only this engine keeps. `one_writer` is never written: its lock is what counts.
const OWN: &str = "
    CREATE SCHEMA IF NOT EXISTS bailiwick;
    CREATE TABLE bailiwick.store_schema (version BIGINT NOT NULL);
    INSERT INTO bailiwick.store_schema VALUES (0);
    CREATE TABLE bailiwick.one_writer ();
    CREATE TABLE bailiwick.commit_mark (
        writer TEXT PRIMARY KEY,
        batch  BIGINT NOT NULL,
        at     TIMESTAMPTZ NOT NULL
    );";

/// Recognises the database, and runs the steps that are missing.
pub(super) fn migrate(link: &Link, at: &str) -> Result<(), OpenError> {
    let failed = |failed: Failed| OpenError::Server {
        at: at.to_owned(),
        why: as_error(failed).to_string(),
    };
    recognise(link, at).map_err(failed)??;
    let wait = WAIT.as_millis();
    link.batch(&format!(
        "SET lock_timeout = {wait}; SET statement_timeout = {wait}"
    ))
    .map_err(failed)?;
    let locked = format!("SELECT pg_advisory_lock({MIGRATOR})");
    link.batch_within(WAIT, &locked).map_err(failed)?;
    let done = version(link, at).map_err(failed)??;
    let known = MIGRATIONS.len();
    if done > known {
        return Err(OpenError::Newer {
            found: number(done),
            known: number(known),
        });
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let step = format!(
            "BEGIN; LOCK TABLE one_writer IN EXCLUSIVE MODE; {}; UPDATE store_schema SET version = {}; COMMIT",
            translate(step),
            index + 1
        );
        link.batch_within(WAIT, &step).map_err(failed)?;
    }
    let unlocked = format!("SELECT pg_advisory_unlock({MIGRATOR})");
    link.batch(&unlocked).map_err(failed)?;
    link.batch("RESET lock_timeout; RESET statement_timeout")
        .map_err(failed)
}

fn recognise(link: &Link, at: &str) -> Result<Result<(), OpenError>, Failed> {
    let found: i32 = link
        .value("SELECT current_setting('server_version_num')::int", &[])?
        .unwrap_or(0);
    if i64::from(found) < OLDEST {
        let found = link.value("SELECT current_setting('server_version')", &[])?;
        return Ok(Err(OpenError::OldServer {
            found: found.unwrap_or_default(),
        }));
    }
    let encoding: Option<String> = link.value("SELECT current_setting('server_encoding')", &[])?;
    if encoding.as_deref() != Some("UTF8") {
        return Ok(Err(OpenError::Server {
            at: at.to_owned(),
            why: "its encoding is not UTF8".to_owned(),
        }));
    }
    let synced: Option<String> = link.value("SELECT current_setting('fsync')", &[])?;
    if synced.as_deref() != Some("on") {
        tracing::warn!(
            "the database runs with fsync off: what it has committed is lost when its machine stops"
        );
    }
    Ok(Ok(()))
}

/// How many steps the schema has had; makes an empty one where there is nothing.
fn version(link: &Link, at: &str) -> Result<Result<usize, OpenError>, Failed> {
    let ours: Option<bool> = link.value(
        "SELECT to_regclass('bailiwick.store_schema') IS NOT NULL",
        &[],
    )?;
    if ours == Some(true) {
        let done: Option<i64> = link.value("SELECT version FROM bailiwick.store_schema", &[])?;
        let done = done.and_then(|done| usize::try_from(done).ok());
        return Ok(done.ok_or_else(|| OpenError::Server {
            at: at.to_owned(),
            why: "its schema has no version".to_owned(),
        }));
    }
    let others: Option<i64> = link.value(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'bailiwick'",
        &[],
    )?;
    if others.unwrap_or(0) > 0 {
        return Ok(Err(OpenError::ForeignSchema { at: at.to_owned() }));
    }
    link.batch(&format!("BEGIN; {OWN} COMMIT"))?;
    Ok(Ok(0))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The version of the schema that is there: what a node that runs looks at when it has to connect anew.
pub(super) fn is_known(link: &Link) -> Result<(), StoreError> {
    let found: Option<i64> = link
        .value("SELECT version FROM store_schema", &[])
        .map_err(as_error)?;
    match found {
        Some(found) if found <= number(MIGRATIONS.len()) => Ok(()),
        Some(_) | None => Err(StoreError::Unavailable(
            "another release has changed the database's schema meanwhile: start that release"
                .to_owned(),
        )),
    }
}
