//! What the rows of a file add up to: each row is hashed under a key, and the hashes are added. The sum, hashed once more with the file's name,
//! is stored in the transaction of its rows. A row that somebody without the key alters, adds or takes away is found when the file is added
//! up again.
//!
//! Words are left out, since a contentless table cannot be read back.

use bailiwick_core::Secret;
use bailiwick_crypto::hash::{equal, hmac_sha256};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// A table whose rows are added up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Stores a row unless one with its key is there.
    pub(super) insert: &'static str,
}

/// The sum of a file's rows.
pub(super) struct Tally {
    key: Secret<[u8; 32]>,
    sum: u128,
    /// A row while it is hashed.
    buffer: Vec<u8>,
}

/// The table that holds the sum. It has one row, or none while the file is empty.
pub(super) const SCHEMA: &str =
    "CREATE TABLE tally (one INTEGER PRIMARY KEY CHECK (one = 1), tag BLOB NOT NULL) STRICT;";

impl Tally {
    /// The sum of no rows.
    pub(super) fn new(key: &Secret<[u8; 32]>) -> Self {
        Self {
            key: key.clone(),
            sum: 0,
            buffer: Vec::new(),
        }
    }

    /// Adds up the rows of a file. None if they are not those that were stored under `name`.
    pub(super) fn of(
        connection: &Connection,
        key: &Secret<[u8; 32]>,
        name: &str,
        tables: &[Table],
    ) -> rusqlite::Result<Option<Self>> {
        // One view of the file, whoever writes meanwhile.
        let view = connection.unchecked_transaction()?;
        let mut tally = Self::new(key);
        for table in tables {
            let sql = format!("SELECT * FROM {}", table.name);
            tally.each(&view, table, &sql, &[], Self::added)?;
        }
        let stored: Option<Vec<u8>> = view
            .query_row("SELECT tag FROM tally", [], |row| row.get(0))
            .optional()?;
        let fits = match stored {
            Some(stored) => equal(&stored, &tally.tag(name)),
            None => tally.sum == 0,
        };
        Ok(fits.then_some(tally))
    }

    /// Where it stands, to be handed back with [`Self::back_to`] when a transaction fails.
    pub(super) fn sum(&self) -> u128 {
        self.sum
    }

    pub(super) fn back_to(&mut self, sum: u128) {
        self.sum = sum;
    }

    /// Stores a row; false if one with its key is there already.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        table: &Table,
        row: &[ValueRef<'_>],
    ) -> rusqlite::Result<bool> {
        let new = connection
            .prepare_cached(table.insert)?
            .execute(params_from_iter(
                row.iter().copied().map(ToSqlOutput::Borrowed),
            ))?;
        if new > 0 {
            let hash = self.hash(table, row);
            self.sum = self.sum.wrapping_add(hash);
        }
        Ok(new > 0)
    }

    /// Takes rows away; gives how many.
    pub(super) fn delete(
        &mut self,
        connection: &Connection,
        table: &Table,
        condition: &str,
        values: &[ValueRef<'_>],
    ) -> rusqlite::Result<usize> {
        let name = table.name;
        let sql = format!("SELECT * FROM {name} WHERE {condition}");
        self.each(connection, table, &sql, values, Self::taken)?;
        let values = values.iter().copied().map(ToSqlOutput::Borrowed);
        connection
            .prepare_cached(&format!("DELETE FROM {name} WHERE {condition}"))?
            .execute(params_from_iter(values))
    }

    /// Writes the sum down. The last thing in a transaction.
    pub(super) fn store(&self, connection: &Connection, name: &str) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT OR REPLACE INTO tally VALUES (1, ?1)")?
            .execute([self.tag(name)])?;
        Ok(())
    }

    fn each(
        &mut self,
        connection: &Connection,
        table: &Table,
        sql: &str,
        values: &[ValueRef<'_>],
        take: fn(&mut Self, u128),
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let width = statement.column_count();
        let values = values.iter().copied().map(ToSqlOutput::Borrowed);
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            self.begin(table);
            for column in 0..width {
                self.column(row.get_ref(column)?);
            }
            let hash = self.end();
            take(self, hash);
        }
        Ok(())
    }

    fn hash(&mut self, table: &Table, row: &[ValueRef<'_>]) -> u128 {
        self.begin(table);
        for value in row {
            self.column(*value);
        }
        self.end()
    }

    fn begin(&mut self, table: &Table) {
        self.buffer.clear();
        self.column(ValueRef::Text(table.name.as_bytes()));
    }

    /// A kind, a length where there is one, and the content: no two rows read alike.
    fn column(&mut self, value: ValueRef<'_>) {
        let (kind, content) = match value {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(number) => {
                self.buffer.push(1);
                self.buffer.extend(number.to_be_bytes());
                return;
            }
            ValueRef::Real(number) => {
                self.buffer.push(2);
                self.buffer.extend(number.to_bits().to_be_bytes());
                return;
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        self.buffer.push(kind);
        self.buffer.extend((content.len() as u64).to_be_bytes());
        self.buffer.extend_from_slice(content);
    }

    fn end(&self) -> u128 {
        let hash = hmac_sha256(self.key.expose(), &[&self.buffer]);
        u128::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
    }

    fn added(&mut self, hash: u128) {
        self.sum = self.sum.wrapping_add(hash);
    }

    fn taken(&mut self, hash: u128) {
        self.sum = self.sum.wrapping_sub(hash);
    }

    /// The sum itself is written nowhere: from two of them somebody could learn the hash of a row between.
    fn tag(&self, name: &str) -> [u8; 32] {
        let parts: [&[u8]; 3] = [b"tally", name.as_bytes(), &self.sum.to_be_bytes()];
        hmac_sha256(self.key.expose(), &parts)
    }
}
