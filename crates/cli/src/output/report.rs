//! Errors for people (miette: code, message, help, places in files) and for scripts (one JSON object), on stderr.

use bailiwick_policy::Flaw;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};
use serde_json::{Value, json};

use super::{Out, Untrusted};
use crate::failure::{Failure, Place};

/// Most places of a file that are drawn; the JSON form has all.
const MOST_PLACES: usize = 20;

/// Prints a failure.
pub(crate) fn print(out: &Out, failure: &Failure) {
    if out.is_json() {
        out.error_line(&super::visible_json(&as_json(failure).to_string()));
    } else {
        out.error_line(as_text(failure, out.colors_errors()).trim_end());
    }
}

/// The problem document.
pub(crate) fn as_json(failure: &Failure) -> Value {
    let problem = &failure.problem;
    let mut document = json!({
        "code": problem.code,
        "message": problem.message,
        "help": problem.help,
        "request_id": failure.request_id,
    });
    if let (Some(members), false) = (document.as_object_mut(), failure.places.is_empty()) {
        let flaws: Vec<_> = failure.places.iter().map(|place| &place.flaw).collect();
        members.insert("problems".to_owned(), json!(flaws));
    }
    document
}

/// The drawing.
pub(crate) fn as_text(failure: &Failure, color: bool) -> String {
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_break_words(false);
    let mut text = String::new();
    let mut draw = |report: &Report| {
        // Writing to a String cannot fail.
        let _ = handler.render_report(&mut text, report.as_ref());
    };
    let code = failure.problem.code.as_str();
    for place in failure.places.iter().take(MOST_PLACES) {
        draw(&at_place(code, place));
    }
    if failure.places.is_empty() {
        let mut diagnostic =
            MietteDiagnostic::new(Untrusted(&failure.problem.message).to_string()).with_code(code);
        if let Some(help) = help(failure) {
            diagnostic = diagnostic.with_help(help);
        }
        draw(&Report::new(diagnostic));
    }
    text
}

fn help(failure: &Failure) -> Option<String> {
    let help = Untrusted(&failure.problem.help).to_string();
    match (help.is_empty(), &failure.request_id) {
        (true, None) => None,
        (false, None) => Some(help),
        (true, Some(id)) => Some(format!("request {}", Untrusted(id))),
        (false, Some(id)) => Some(format!("{help} (request {})", Untrusted(id))),
    }
}

fn at_place(code: &str, place: &Place) -> Report {
    let flaw = &place.flaw;
    let mut diagnostic =
        MietteDiagnostic::new(Untrusted(&flaw.message).to_string()).with_code(code);
    if !flaw.help.is_empty() {
        diagnostic = diagnostic.with_help(Untrusted(&flaw.help).to_string());
    }
    match &place.text {
        Some(text) if drawable(flaw, text) => {
            let label = LabeledSpan::underline(flaw.span.start..flaw.span.end);
            Report::new(diagnostic.with_label(label))
                .with_source_code(NamedSource::new(&flaw.file, text.clone()))
        }
        _ if flaw.file.is_empty() => Report::new(diagnostic),
        _ => {
            let place = format!("{}:{}:{}", flaw.file, flaw.line, flaw.column);
            let message = format!("{}: {}", Untrusted(&place), diagnostic.message);
            diagnostic.message = message;
            Report::new(diagnostic)
        }
    }
}

/// Whether the text can be drawn with the place underlined. A node's answer may name a place that is not in the text.
fn drawable(flaw: &Flaw, text: &str) -> bool {
    let said = flaw.line == 1 || (flaw.line > 1 && flaw.span.end > 0);
    said && text.get(flaw.span.clone()).is_some()
}

/// Columns of a drawing, whatever the terminal: messages read the same in a log.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests;
