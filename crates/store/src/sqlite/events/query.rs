//! Finds events in the index of one day.

use std::fmt::Write;

use bailiwick_core::id::EventId;
use bailiwick_core::index::{Conditions, Cursor, Hit, Key, words};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::day::{
    COLUMNS, INDEX_BITS, INDEX_MASK, ORIGIN, bytes, decision, effect, place, signed, term,
};

/// A log, and the place in it from which on.
#[derive(Clone, Copy)]
pub(super) struct OfLog<'a> {
    pub(super) origin: &'a str,
    pub(super) from: u64,
}

/// A query as it grows.
struct Query<'c> {
    connection: &'c Connection,
    clauses: String,
    values: Vec<Value>,
    /// Logical times that it can be about.
    hlc: (i64, i64),
    /// Whether something names the rows by place or id, so that going through the day in order would be slow.
    by_place: bool,
}

/// Events of the day that meet the conditions, behind `after`, oldest first; at most `limit`.
pub(super) fn search(
    connection: &Connection,
    conditions: &Conditions,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<Hit>> {
    match Query::of(connection, conditions, after)? {
        Some(query) => query.run(after, limit),
        None => Ok(Vec::new()),
    }
}

/// Places of a log whose events meet the conditions: the first `limit` of the day.
pub(super) fn places(
    connection: &Connection,
    conditions: &Conditions,
    of: OfLog<'_>,
    limit: usize,
) -> rusqlite::Result<Vec<u64>> {
    let (Some(query), Some(log)) = (
        Query::of(connection, conditions, None)?,
        term(connection, ORIGIN, of.origin)?,
    ) else {
        return Ok(Vec::new());
    };
    // The pluses keep SQLite from going through the whole day by place or by time.
    let hlc = if query.by_place { "+e.hlc" } else { "e.hlc" };
    let ((from, until), (first, end)) = (query.hlc, (place(log, of.from), place(log + 1, 0)));
    let sql = format!(
        "SELECT e.place & {INDEX_MASK} FROM event e WHERE {hlc} >= {from} AND {hlc} < {until} \
         AND +e.place >= {first} AND +e.place < {end}{} ORDER BY +e.place LIMIT {limit}",
        query.clauses
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(query.values), unsigned)?;
    rows.collect()
}

/// Places of a log with events of these ids, and with events that one of these set off.
pub(super) fn linked(
    connection: &Connection,
    origin: &str,
    events: &[EventId],
) -> rusqlite::Result<Vec<u64>> {
    let Some(log) = term(connection, ORIGIN, origin)? else {
        return Ok(Vec::new());
    };
    let marks: Vec<String> = (1..=events.len())
        .map(|number| format!("?{number}"))
        .collect();
    let (marks, first, end) = (marks.join(", "), place(log, 0), place(log + 1, 0));
    let mut found = Vec::new();
    for column in ["id", "cause"] {
        let sql = format!(
            "SELECT place & {INDEX_MASK} FROM event WHERE {column} IN ({marks}) AND +place >= {first} AND +place < {end}"
        );
        let mut statement = connection.prepare(&sql)?;
        let ids = events
            .iter()
            .map(|event| Value::Blob(bytes(*event).to_vec()));
        for row in statement.query_map(params_from_iter(ids), unsigned)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// Leaves of a log with tokens, in order.
pub(super) fn with_tokens(
    connection: &Connection,
    of: OfLog<'_>,
    limit: usize,
) -> rusqlite::Result<Vec<u64>> {
    let Some(log) = term(connection, ORIGIN, of.origin)? else {
        return Ok(Vec::new());
    };
    let (first, end) = (place(log, of.from), place(log + 1, 0));
    let mut statement = connection.prepare(&format!(
        "SELECT DISTINCT place & {INDEX_MASK} FROM resource WHERE place >= {first} AND place < {end} ORDER BY place LIMIT {limit}"
    ))?;
    let leaves = statement.query_map([], unsigned)?;
    leaves.collect()
}

fn unsigned(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0))
}

impl<'c> Query<'c> {
    /// A query for the conditions; none if no event of the day meets them.
    fn of(
        connection: &'c Connection,
        conditions: &Conditions,
        after: Option<&Cursor>,
    ) -> rusqlite::Result<Option<Self>> {
        let (since, until) = conditions.millis();
        let from = since.max(0).saturating_mul(1 << 16);
        let after_hlc = after.map_or(0, |cursor| signed(cursor.hlc));
        let mut query = Self {
            connection,
            clauses: String::new(),
            values: Vec::new(),
            hlc: (from.max(after_hlc), until.saturating_mul(1 << 16)),
            by_place: false,
        };
        for (key, value) in conditions.values() {
            if !query.condition(key, value, conditions)? {
                return Ok(None);
            }
        }
        Ok(Some(query))
    }

    /// Adds a condition; false if no event of the day meets it.
    fn condition(&mut self, key: Key, value: &str, all: &Conditions) -> rusqlite::Result<bool> {
        let clause = match key {
            Key::Type => {
                let mut codes = Vec::new();
                for kind in all.types().unwrap_or_default() {
                    codes.extend(term(self.connection, key.as_str(), kind.as_str())?);
                }
                one_of("e.type", &codes)
            }
            Key::Node => {
                let logs = self.logs(value)?;
                one_of(&format!("e.place >> {INDEX_BITS}"), &logs)
            }
            Key::Id | Key::Cause => value.parse::<EventId>().ok().map(|id| {
                self.by_place = true;
                self.values.push(Value::Blob(bytes(id).to_vec()));
                let column = if key == Key::Id { "id" } else { "cause" };
                format!("e.{column} = ?{}", self.values.len())
            }),
            Key::Effect => effect(value).map(|number| format!("e.effect = {number}")),
            Key::Decision => decision(value).map(|number| {
                // Said as the partial index says it.
                let refused = if number > 1 {
                    " AND e.decision > 1"
                } else {
                    ""
                };
                format!("e.decision = {number}{refused}")
            }),
            Key::Resource => all.token().map(|token| {
                self.by_place = true;
                let token = token.0;
                format!("e.place IN (SELECT place FROM resource WHERE token = {token})")
            }),
            Key::Text => {
                self.by_place = true;
                let words = words(value);
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                self.values.push(Value::Text(quoted.join(" AND ")));
                let number = self.values.len();
                Some(format!(
                    "e.place IN (SELECT rowid FROM words WHERE words MATCH ?{number})"
                ))
            }
            _ => self.value(key, value)?,
        };
        let Some(clause) = clause else {
            return Ok(false);
        };
        // Writing to a String does not fail.
        let _ = write!(self.clauses, " AND {clause}");
        Ok(true)
    }

    /// A key whose first value has a column, and whose others are mentions.
    fn value(&mut self, key: Key, value: &str) -> rusqlite::Result<Option<String>> {
        let Some(term) = term(self.connection, key.as_str(), value)? else {
            return Ok(None);
        };
        let column = COLUMNS.iter().find(|(known, _)| *known == key);
        let mentioned: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM mention WHERE term = ?1)")?
            .query_row([term], |row| row.get(0))?;
        let (from, until) = self.hlc;
        let mentions = format!(
            "SELECT place FROM mention WHERE term = {term} AND hlc >= {from} AND hlc < {until}"
        );
        self.by_place |= mentioned;
        Ok(match (column, mentioned) {
            (None, _) => Some(format!("e.place IN ({mentions})")),
            (Some((_, column)), false) => Some(format!("e.{column} = {term}")),
            (Some((_, column)), true) => Some(format!(
                "e.place IN (SELECT place FROM event WHERE {column} = {term} AND hlc >= {from} AND hlc < {until} UNION ALL {mentions})"
            )),
        })
    }

    /// Terms of the logs of a node.
    fn logs(&self, node: &str) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT code, value FROM term WHERE kind = ?1")?;
        let rows = statement.query_map([ORIGIN], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        let mut codes = Vec::new();
        for row in rows {
            let (code, origin) = row?;
            if origin
                .rsplit_once('/')
                .map_or(origin.as_str(), |(_, name)| name)
                == node
            {
                codes.push(code);
            }
        }
        Ok(codes)
    }

    fn run(mut self, after: Option<&Cursor>, limit: usize) -> rusqlite::Result<Vec<Hit>> {
        // A plus keeps SQLite from going through the day in order of time where few rows are named.
        let hlc = if self.by_place { "+e.hlc" } else { "e.hlc" };
        let (from, until) = self.hlc;
        let mut sql = format!(
            "SELECT e.place & {INDEX_MASK}, e.hlc, e.id, o.value FROM event e CROSS JOIN term o ON o.code = e.place >> {INDEX_BITS} \
             WHERE {hlc} >= {from} AND {hlc} < {until}{}",
            self.clauses
        );
        if let Some(after) = after {
            self.values.push(Value::Integer(signed(after.hlc)));
            self.values.push(Value::Integer(signed(after.index)));
            self.values.push(Value::Text(after.origin.to_string()));
            let last = self.values.len();
            let _ = write!(
                sql,
                " AND (+e.hlc, e.place & {INDEX_MASK}, o.value) > (?{}, ?{}, ?{last})",
                last - 2,
                last - 1
            );
        }
        let _ = write!(
            sql,
            " ORDER BY {hlc}, e.place & {INDEX_MASK}, o.value LIMIT {limit}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(self.values), hit)?;
        rows.collect()
    }
}

fn one_of(column: &str, codes: &[i64]) -> Option<String> {
    let codes: Vec<_> = codes.iter().map(i64::to_string).collect();
    (!codes.is_empty()).then(|| format!("{column} IN ({})", codes.join(", ")))
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    let id: [u8; 16] = row.get(2)?;
    let origin: String = row.get(3)?;
    Ok(Hit {
        origin: origin.into(),
        index: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        hlc: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
        id: EventId::from_bits(u128::from_be_bytes(id)),
    })
}
