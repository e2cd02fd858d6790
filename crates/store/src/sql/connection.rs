//! What the nouns' SQL needs of an engine: one connection in a transaction, statements with parameters, rows with columns.

use std::ops::ControlFlow;

use tokio_postgres::types::{FromSqlOwned, ToSql as PostgresParam};

use super::view::damaged;
use crate::StoreError;

/// A connection in a transaction.
pub(crate) trait Connection {
    /// Runs a statement that writes; how many rows it changed.
    fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Failed>;

    /// Hands the rows that a statement finds to `each`, until it breaks.
    fn query(&self, sql: &str, params: &[&dyn Param], each: &mut Each<'_>) -> Result<(), Failed>;

    /// Runs a statement about the transaction itself, such as `SAVEPOINT job`.
    fn command(&self, sql: &str) -> Result<(), StoreError>;

    /// Why the transaction is lost as a whole, whatever its closures made of it.
    fn lost(&self) -> Option<StoreError>;
}

/// What is done with each row.
pub(crate) type Each<'e> = dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError> + 'e;

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Something unique is there already.
    Taken,
    /// Something that it refers to is not there.
    Dangling,
    /// The database cannot keep this text.
    Text,
    /// Anything else.
    Other(StoreError),
}

/// A parameter: integers of 64 bits, text, bytes, or none of these.
pub(crate) trait Param: rusqlite::ToSql + PostgresParam + Sync {}

impl<T: rusqlite::ToSql + PostgresParam + Sync> Param for T {}

/// The parameters of a statement, in order.
pub(crate) trait Params {
    /// Each of them.
    fn list(&self) -> Vec<&dyn Param>;
}

impl Params for () {
    fn list(&self) -> Vec<&dyn Param> {
        Vec::new()
    }
}

impl<T: Param, const N: usize> Params for [T; N] {
    fn list(&self) -> Vec<&dyn Param> {
        self.iter().map(|param| param as &dyn Param).collect()
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {$(
        impl<$($name: Param),+> Params for ($($name,)+) {
            fn list(&self) -> Vec<&dyn Param> {
                #[expect(non_snake_case, reason = "a type parameter and its value share a name in this macro")]
                let ($($name,)+) = self;
                vec![$($name as &dyn Param),+]
            }
        }
    )+};
}

tuples! {
    (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) (A B C D E F G H I)
    (A B C D E F G H I J)
}

/// A column's value.
pub(crate) trait Column: rusqlite::types::FromSql + FromSqlOwned {}

impl<T: rusqlite::types::FromSql + FromSqlOwned> Column for T {}

/// A row that was found.
pub(crate) enum Row<'r> {
    /// By SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// By PostgreSQL.
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of a column, counted from 0.
    pub(crate) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|error| damaged("row", &error)),
            Self::Postgres(row) => row.try_get(column).map_err(|error| damaged("row", &error)),
        }
    }
}
