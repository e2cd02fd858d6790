//! Tables and records for people, made from the API's JSON. Every cell goes through [`Untrusted`]; ids are never cut; times are
//! relative on a terminal and RFC 3339 in a pipe.

use bailiwick_core::{Clock as _, Timestamp};
use bailiwick_crypto::system::SystemClock;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Out, Untrusted};

/// A column: its heading and the JSON pointer of its value.
pub(crate) type Column = (&'static str, &'static str);

/// The items of a list answer (or of an array), one row each; `empty` says what it means that there are none.
pub(crate) fn list(out: &Out, body: &Value, columns: &[Column], empty: &str) -> String {
    let items = items(body);
    if items.is_empty() {
        out.note(empty);
        return String::new();
    }
    let mut table = plain(out);
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for item in items {
        table.add_row(
            columns
                .iter()
                .map(|(_, pointer)| cell(out, item.pointer(pointer))),
        );
    }
    if let Some(next) = body.get("next").and_then(Value::as_str) {
        out.note(&format!("more: --after {next}"));
    }
    finished(table)
}

/// One thing, a line per member.
pub(crate) fn record(out: &Out, body: &Value) -> String {
    let mut table = plain(out);
    let Some(members) = body.as_object() else {
        return cell(out, Some(body));
    };
    for (name, value) in members {
        if let Some(children) = value
            .as_array()
            .filter(|children| children.iter().any(Value::is_object))
        {
            for (at, child) in children.iter().enumerate() {
                table.add_row([format!("{name}[{at}]"), cell(out, Some(child))]);
            }
        } else {
            table.add_row([name.clone(), cell(out, Some(value))]);
        }
    }
    finished(table)
}

/// The items of a list answer, or the elements of an array.
pub(crate) fn items(body: &Value) -> &[Value] {
    let items = body.get("items").unwrap_or(body);
    items.as_array().map_or(&[], Vec::as_slice)
}

/// One value as people read it.
pub(crate) fn cell(out: &Out, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => match instant(text) {
            Some(at) if out.is_terminal() => relative(at, SystemClock.wall()),
            _ => Untrusted(text).to_string(),
        },
        Some(Value::Array(values))
            if values
                .iter()
                .all(|value| !value.is_object() && !value.is_array()) =>
        {
            let texts: Vec<_> = values.iter().map(|value| cell(out, Some(value))).collect();
            if texts.is_empty() {
                "-".to_owned()
            } else {
                texts.join(", ")
            }
        }
        Some(other) => Untrusted(&other.to_string()).to_string(),
    }
}

/// Times are the only texts of this form in the API.
fn instant(text: &str) -> Option<Timestamp> {
    let looks = text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    if looks { text.parse().ok() } else { None }
}

/// `12 s ago`, `in 3 min`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let (distance, past) = if at <= now {
        (now.since(at), true)
    } else {
        (at.since(now), false)
    };
    let seconds = distance.as_secs();
    let amount = match seconds {
        0 => return "now".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800..=31_536_000 => format!("{} d", seconds / 86_400),
        _ => return at.to_string(),
    };
    if past {
        format!("{amount} ago")
    } else {
        format!("in {amount}")
    }
}

/// Columns of the terminal; none in a pipe, where nothing is wrapped or cut.
pub(crate) fn columns(out: &Out) -> Option<usize> {
    let width = out.is_terminal().then(|| Table::new().width()).flatten();
    width.map(usize::from)
}

/// Columns two apart, without an edge.
fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A table without lines; it wraps only on a terminal.
fn plain(out: &Out) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(if out.is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    table
}

#[cfg(test)]
mod tests;
