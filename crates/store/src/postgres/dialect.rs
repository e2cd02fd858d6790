//! PostgreSQL's words for what is written in SQLite's: parameters, the three types of columns, and one name that means something else.

use std::fmt::Write as _;

/// Rewrites a statement of `crate::sql`, or a step of the schema.
///
/// `?1` becomes `$1`. `INTEGER` is `BIGINT`, as SQLite's integers have 64 bits; `BLOB` is `BYTEA`; `TEXT` is compared byte by byte. A
/// `STRICT` table is the only kind here. `user` unquoted would be who is logged in: a column of that name would silently be something else.
pub(super) fn translate(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '\'' | '"' => quoted(rest, next),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                // Writing to a String does not fail.
                let _ = write!(out, "{}", meaning(word));
                rest = after;
                continue;
            }
            '?' => {
                out.push('$');
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            other => other.len_utf8(),
        };
        let (same, after) = rest.split_at(length);
        out.push_str(same);
        rest = after;
    }
    out
}

fn meaning(word: &str) -> &str {
    match word {
        "INTEGER" => "BIGINT",
        "TEXT" => "TEXT COLLATE \"C\"",
        "BLOB" => "BYTEA",
        "STRICT" => "",
        "user" => "\"user\"",
        other => other,
    }
}

/// Length of what is in quotes, with them. A quote inside is doubled, which reads as two quoted parts and comes out the same.
fn quoted(text: &str, quote: char) -> usize {
    let inside = text.get(1..).unwrap_or_default();
    inside.find(quote).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests;
