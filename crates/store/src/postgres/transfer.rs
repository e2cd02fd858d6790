//! From a SQLite file to an empty database: every table in one transaction, read back and compared before it counts.

use std::ops::ControlFlow;
use std::path::Path;

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::hash::Hasher;

use super::PostgresStore;
use super::engine::connect;
use super::link::{Link, as_error};
use super::writer::BEGIN;
use crate::sql::{Connection, Failed, Param, Row};
use crate::{OpenError, StoreError, sqlite};

/// Rows read at once.
const PAGE: i64 = 500;

/// A table that was copied and found equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of all its values, in the order of its keys: the same in both.
    pub sha256: Digest,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the two does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something in the database already.
    #[error("the database is not empty: its table {table} has rows")]
    NotEmpty {
        /// The first table that has.
        table: String,
    },
    /// What was written is not what is read back.
    #[error(
        "table {table} of the database is not what the file has: {there} rows with digest {digest} for {here}"
    )]
    Differs {
        /// The table.
        table: String,
        /// Rows in the file.
        here: u64,
        /// Rows in the database.
        there: u64,
        /// Digest of those.
        digest: Digest,
    },
    /// A read or write failed.
    #[error("table {table} cannot be copied")]
    Table {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The commit failed.
    #[error("the copy could not be committed")]
    Commit(#[source] StoreError),
}

impl Fault for TransferError {
    fn code(&self) -> Code {
        match self {
            Self::Open(error) => error.code(),
            Self::NotEmpty { .. } => Code::Conflict,
            Self::Differs { .. } => Code::Internal,
            Self::Table { source, .. } | Self::Commit(source) => source.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Open(error) => error.help(),
            Self::NotEmpty { .. } => {
                "name an empty database; if this is the copy of an earlier try whose answer was lost, drop its schema `bailiwick` and copy again"
                    .to_owned()
            }
            Self::Differs { .. } => "nothing was kept; please report this".to_owned(),
            Self::Table { source, .. } | Self::Commit(source) => source.help(),
        }
    }
}

/// Copies the state in `dir/store.db` into an empty database and compares every table. The file stays as it is; nobody else may have it
/// or the database open meanwhile. Waits for the server: call it where blocking is allowed.
pub fn transfer(dir: &Path, to: &PostgresStore) -> Result<Vec<Copied>, TransferError> {
    let (_directory, file) = sqlite::open_file(dir)?;
    let alone = PostgresStore {
        others: false,
        ..to.clone()
    };
    let (_, link) = connect(&alone)?;
    let within = |table: &str| {
        let table = table.to_owned();
        move |source| TransferError::Table { table, source }
    };
    link.command(BEGIN).map_err(TransferError::Commit)?;
    let tables = tables(&file).map_err(within("sqlite_schema"))?;
    for table in &tables {
        if !table
            .page(&link, None)
            .map_err(within(&table.name))?
            .is_empty()
        {
            return Err(TransferError::NotEmpty {
                table: table.name.clone(),
            });
        }
    }
    let mut copied = Vec::with_capacity(tables.len());
    for table in &tables {
        let here = table.copy(&file, &link).map_err(within(&table.name))?;
        let there = table.summed(&link).map_err(within(&table.name))?;
        if here != there {
            return Err(TransferError::Differs {
                table: table.name.clone(),
                here: here.rows,
                there: there.rows,
                digest: there.sha256,
            });
        }
        copied.push(here);
    }
    // What a file has no name for, since there is one node, is that node's.
    for table in ["instance", "outbox"] {
        let sql = format!("UPDATE {table} SET node = ?1 WHERE node = ''");
        let named = link.execute(&sql, &[&to.node]);
        named.map_err(|failed| within(table)(as_error(failed)))?;
    }
    link.command("COMMIT").map_err(TransferError::Commit)?;
    Ok(copied)
}

/// A table, as the file's schema has it.
struct Table {
    name: String,
    columns: Vec<(String, Type)>,
    /// Places of the columns that it is read in the order of: unique together, and no row refers to a later one.
    order: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Type {
    Integer,
    Text,
    Blob,
}

/// A column of a row.
enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

/// All tables, those that others refer to first.
fn tables(file: &dyn Connection) -> Result<Vec<Table>, StoreError> {
    let names: Vec<String> = rows(
        file,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid",
        &[],
        |row| row.get(0),
    )?;
    names
        .into_iter()
        .map(|name| {
            let columns = rows(
                file,
                "SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid",
                &[&name],
                |row| {
                    Ok((
                        row.get::<String>(0)?,
                        kind(&row.get::<String>(1)?)?,
                        row.get::<i64>(2)?,
                    ))
                },
            )?;
            let place = |wanted: &str| columns.iter().position(|(name, ..)| name == wanted);
            let mut order: Vec<usize> = if name == "task" {
                ["depth", "id"].into_iter().filter_map(place).collect()
            } else {
                Vec::new()
            };
            if order.is_empty() {
                let mut keys: Vec<(i64, usize)> = columns
                    .iter()
                    .enumerate()
                    .filter(|(_, (.., key))| *key > 0)
                    .map(|(place, (.., key))| (*key, place))
                    .collect();
                keys.sort_unstable();
                order = keys.into_iter().map(|(_, place)| place).collect();
            }
            Ok(Table {
                name,
                columns: columns
                    .into_iter()
                    .map(|(name, kind, _)| (name, kind))
                    .collect(),
                order,
            })
        })
        .collect()
}

impl Table {
    fn copy(&self, from: &dyn Connection, to: &Link) -> Result<Copied, StoreError> {
        let marks: Vec<String> = (1..=self.columns.len())
            .map(|at| format!("?{at}"))
            .collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.name,
            self.names().join(", "),
            marks.join(", ")
        );
        self.each(from, |row| {
            let params: Vec<&dyn Param> = row.iter().map(Value::param).collect();
            to.execute(&sql, &params).map(drop).map_err(as_error)
        })
    }

    fn summed(&self, of: &dyn Connection) -> Result<Copied, StoreError> {
        self.each(of, |_| Ok(()))
    }

    /// Does something with each row, and sums all of them up.
    fn each(
        &self,
        of: &dyn Connection,
        mut with: impl FnMut(&[Value]) -> Result<(), StoreError>,
    ) -> Result<Copied, StoreError> {
        let (mut count, mut hasher) = (0, Hasher::new());
        let mut last: Option<Vec<Value>> = None;
        loop {
            let page = self.page(of, last.as_deref())?;
            for row in &page {
                with(row)?;
                for value in row {
                    value.hash(&mut hasher);
                }
                count += 1;
            }
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
        Ok(Copied {
            table: self.name.clone(),
            rows: count,
            sha256: hasher.finish(),
        })
    }

    /// The rows that follow a row.
    fn page(
        &self,
        of: &dyn Connection,
        after: Option<&[Value]>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let names = self.names();
        let keys: Vec<&str> = self
            .order
            .iter()
            .filter_map(|place| names.get(*place).copied())
            .collect();
        let keys = keys.join(", ");
        let mut params: Vec<&dyn Param> = Vec::new();
        let mut condition = String::new();
        if let Some(after) = after {
            let values = self.order.iter().filter_map(|place| after.get(*place));
            params.extend(values.map(Value::param));
            let marks: Vec<String> = (1..=params.len()).map(|at| format!("?{at}")).collect();
            condition = format!("WHERE ({keys}) > ({}) ", marks.join(", "));
        }
        let sql = format!(
            "SELECT {} FROM {} {condition}ORDER BY {keys} LIMIT {PAGE}",
            names.join(", "),
            self.name
        );
        rows(of, &sql, &params, |row| {
            let columns = self.columns.iter().enumerate();
            columns
                .map(|(place, (_, kind))| Value::of(row, place, *kind))
                .collect()
        })
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl Value {
    fn of(row: &Row<'_>, place: usize, kind: Type) -> Result<Self, StoreError> {
        Ok(match kind {
            Type::Integer => Self::Integer(row.get(place)?),
            Type::Text => Self::Text(row.get(place)?),
            Type::Blob => Self::Blob(row.get(place)?),
        })
    }

    fn param(&self) -> &dyn Param {
        match self {
            Self::Integer(value) => value,
            Self::Text(value) => value,
            Self::Blob(value) => value,
        }
    }

    /// Kind and length before the bytes: no two rows of different values give the same.
    fn hash(&self, hasher: &mut Hasher) {
        let integer;
        let (tag, bytes): (u8, Option<&[u8]>) = match self {
            Self::Integer(value) => {
                integer = value.map(i64::to_be_bytes);
                (1, integer.as_ref().map(<[u8; 8]>::as_slice))
            }
            Self::Text(value) => (2, value.as_deref().map(str::as_bytes)),
            Self::Blob(value) => (3, value.as_deref()),
        };
        hasher.update(&[if bytes.is_some() { tag } else { 0 }]);
        if let Some(bytes) = bytes {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(bytes);
        }
    }
}

fn kind(name: &str) -> Result<Type, StoreError> {
    match name {
        "INTEGER" => Ok(Type::Integer),
        "TEXT" => Ok(Type::Text),
        "BLOB" => Ok(Type::Blob),
        other => Err(StoreError::Defect(format!(
            "no table of ours has a column of type {other}"
        ))),
    }
}

fn rows<T>(
    of: &dyn Connection,
    sql: &str,
    params: &[&dyn Param],
    mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    let each = &mut |row: &Row<'_>| {
        found.push(map(row)?);
        Ok(ControlFlow::Continue(()))
    };
    of.query(sql, params, each)
        .map_err(|failed: Failed| as_error(failed))?;
    Ok(found)
}
