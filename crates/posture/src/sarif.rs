//! A report as SARIF 2.1.0 (OASIS), for what shows findings beside code. Never a snippet: the region is line and column.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::report::{Place, Report};
use crate::secrets::Severity;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The document.
pub fn document(report: &Report, version: &str) -> Value {
    let mut rules: BTreeMap<&str, Severity> = BTreeMap::new();
    for (check, severity) in report
        .secrets
        .iter()
        .map(|secret| (secret.check.as_str(), secret.severity))
        .chain(
            report
                .exposures
                .iter()
                .map(|exposure| (exposure.check, exposure.severity)),
        )
    {
        let known = rules.entry(check).or_insert(severity);
        *known = (*known).max(severity);
    }
    let secrets = report.secrets.iter().map(|secret| {
        let name = secret.key.as_ref().map(|key| format!(" `{key}`")).unwrap_or_default();
        json!({
            "ruleId": secret.check,
            "level": level(secret.severity),
            "message": {"text": format!("{}{name}, {} bytes, {} places: {}", secret.check, secret.length, secret.count, secret.remedy)},
            "locations": secret.places.iter().map(location).collect::<Vec<_>>(),
            "partialFingerprints": {"bailiwickSecret/v1": secret.fingerprint},
            "properties": {"security-severity": score(secret.severity), "link": secret.link},
        })
    });
    let exposures = report.exposures.iter().map(|exposure| {
        json!({
            "ruleId": exposure.check,
            "level": level(exposure.severity),
            "message": {"text": exposure.what},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(&exposure.place)}}}],
            "properties": {"security-severity": score(exposure.severity)},
        })
    });
    let not_read = report.coverage.gaps.iter().map(|gap| {
        json!({"level": "warning", "message": {"text": format!("not read: {}: {}", gap.place, gap.reason)}})
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bailiwick scan",
                "version": version,
                "rules": rules.iter().map(|(id, severity)| json!({
                    "id": id,
                    "defaultConfiguration": {"level": level(*severity)},
                    "properties": {"security-severity": score(*severity)},
                })).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": not_read.collect::<Vec<_>>(),
                "properties": {"kind": report.kind, "target": report.target, "complete": report.coverage.is_complete()},
            }],
            "results": secrets.chain(exposures).collect::<Vec<_>>(),
        }],
    })
}

fn location(place: &Place) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(&place.at)}});
    if let (Some(line), Some(column)) = (place.line, place.column)
        && let Some(members) = physical.as_object_mut()
    {
        members.insert(
            "region".to_owned(),
            json!({"startLine": line, "startColumn": column}),
        );
    }
    let mut location = json!({"physicalLocation": physical});
    let logical: Vec<Value> = [
        ("commit", &place.commit),
        ("object", &place.object),
        ("note", &place.note),
    ]
    .into_iter()
    .filter_map(|(kind, value)| {
        value
            .as_ref()
            .map(|value| json!({"kind": kind, "name": value}))
    })
    .collect();
    if let (false, Some(members)) = (logical.is_empty(), location.as_object_mut()) {
        members.insert("logicalLocations".to_owned(), Value::Array(logical));
    }
    location
}

/// A relative reference (RFC 3986 §4.2): everything but what a path may hold is escaped.
fn uri(place: &str) -> String {
    let mut uri = String::with_capacity(place.len());
    for byte in place.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// `security-severity` as code scanning reads it.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    }
}

#[cfg(test)]
mod tests;
