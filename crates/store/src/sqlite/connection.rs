//! SQLite's connection as the nouns' SQL wants it, and the one place that maps SQLite's errors.

use rusqlite::{Connection, ErrorCode, ToSql, ffi, params_from_iter};

use crate::StoreError;
use crate::sql::{self, Each, Failed, Param, Row, damaged};

impl sql::Connection for Connection {
    fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Failed> {
        let run = self
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values(params))));
        let changed = run.map_err(|error| match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Failed::Taken,
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Failed::Dangling,
                _ => Failed::Other(failure(error)),
            },
            _ => Failed::Other(failure(error)),
        })?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn query(&self, sql: &str, params: &[&dyn Param], each: &mut Each<'_>) -> Result<(), Failed> {
        let failed = |error| Failed::Other(failure(error));
        let mut statement = self.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement
            .query(params_from_iter(values(params)))
            .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if each(&Row::Sqlite(row)).map_err(Failed::Other)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn command(&self, sql: &str) -> Result<(), StoreError> {
        let step = self
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        // Whatever is wrong with these statements, the caller's write did not happen.
        step.map(|_| ()).map_err(|error| match failure(error) {
            unavailable @ StoreError::Unavailable(_) => unavailable,
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    fn lost(&self) -> Option<StoreError> {
        // SQLite gives up the transaction by itself on some disk errors.
        let lost = || {
            StoreError::Unavailable(
                "the disk is full or failing; the commit was rolled back".to_owned(),
            )
        };
        self.is_autocommit().then(lost)
    }
}

fn values<'p>(params: &'p [&'p dyn Param]) -> impl Iterator<Item = &'p dyn ToSql> {
    params.iter().map(|param| *param as &dyn ToSql)
}

/// Who is at fault for an error of SQLite.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(failure)`")]
pub(super) fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged("database", &error),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied,
        ) => StoreError::Unavailable(error.to_string()),
        _ => match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => damaged("row", &error),
            _ => StoreError::Defect(error.to_string()),
        },
    }
}
