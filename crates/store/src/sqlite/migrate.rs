//! Brings the schema up to date, one step after the other.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::OpenError;
use crate::sql::MIGRATIONS;

/// "BAIL", in the file's header: tells our databases from others.
const APPLICATION_ID: i64 = 0x4241_494c;

/// Refuses a file that is not ours or is newer than we are, before anything is written to it.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let application = number(connection, path, "PRAGMA application_id")?;
    let tables = number(connection, path, "SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }
    let found = number(connection, path, "PRAGMA user_version")?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    Ok(())
}

/// Runs the steps that are missing, each in its own transaction together with its number.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let done = usize::try_from(number(connection, path, "PRAGMA user_version")?).unwrap_or(0);
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        apply(connection, index, step).map_err(|error| OpenError::Database {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, index: usize, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(index + 1).unwrap_or(i64::MAX),
    )?;
    transaction.commit()
}

fn number(connection: &Connection, path: &Path, sql: &str) -> Result<i64, OpenError> {
    connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(|error| OpenError::Database {
            path: path.to_owned(),
            why: error.to_string(),
        })
}
