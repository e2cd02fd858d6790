//! Text of statements and what is in their answers. They go as simple queries: several statements are one round trip and one
//! transaction, and nothing is prepared in sessions that come and go.

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// A name, quoted.
pub(super) fn identifier(name: &str) -> String {
    postgres_protocol::escape::escape_identifier(name)
}

/// A text, quoted.
pub(super) fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text)
}

/// `'a', 'b'`; never empty.
pub(super) fn literals<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = texts.map(literal).collect();
    if quoted.is_empty() {
        return "NULL".to_owned();
    }
    quoted.join(", ")
}

/// `1, 2`; never empty.
pub(super) fn numbers(numbers: impl Iterator<Item = u64>) -> String {
    let written: Vec<String> = numbers.map(|number| number.to_string()).collect();
    if written.is_empty() {
        return "NULL".to_owned();
    }
    written.join(", ")
}

/// Rows of all statements, in order.
pub(super) fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// A column of a row.
pub(super) fn column<'a>(row: &'a SimpleQueryRow, name: &str) -> Option<&'a str> {
    row.try_get(name).ok().flatten()
}

/// A column that is a number.
pub(super) fn number(row: &SimpleQueryRow, name: &str) -> Option<u64> {
    column(row, name)?.parse().ok()
}
