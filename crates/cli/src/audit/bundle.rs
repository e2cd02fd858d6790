//! `audit verify` on a bundle of evidence.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bailiwick_audit::export::evidence::{EvidenceReport, Files, check};
use serde_json::{Value, json};

use super::held::Held;
use super::offline::{as_json, as_text, key};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Out, Style};
use crate::{Exit, Outcome};

/// The bundle at a path, if that is one: a tar archive, or the directory that it was unpacked in.
pub(super) fn at(path: &Path) -> Result<Option<Files>, Failure> {
    if Files::are_in(path) || is_tar(path) {
        return Ok(Some(Files::read(path)?));
    }
    Ok(None)
}

/// Checks it.
pub(super) fn verify(
    context: &Context,
    files: &Files,
    vkey: &str,
    maker: Option<&str>,
    held: &Held,
) -> Outcome {
    let keys = [key(vkey)?];
    let makers: Vec<_> = maker.map(key).into_iter().collect::<Result<_, _>>()?;
    let held = held.read(&keys)?;
    let report = match check(files, &keys, &makers) {
        Ok(report) => report,
        Err(verdict) => {
            context
                .out
                .show(&as_json(&verdict), |out, _| as_text(out, &verdict));
            return Ok(Exit(verdict.exit_code()));
        }
    };
    if let Some(refuted) = held.check_bundle(files, &report.checkpoint, &keys)? {
        return Ok(refuted.show(context));
    }
    context
        .out
        .show(&in_json(&report), |out, _| in_words(out, &report));
    Ok(Exit::DONE)
}

fn in_json(report: &EvidenceReport) -> Value {
    json!({
        "verdict": "proven",
        "origin": report.checkpoint.origin,
        "size": report.checkpoint.size,
        "events": report.events,
        "disclosed": report.disclosed,
        "policies": report.policies,
        "attested_by": report.attested_by,
    })
}

fn in_words(out: &Out, report: &EvidenceReport) -> String {
    let by = match &report.attested_by {
        Some(key) => format!("every file is attested by {key}"),
        None => "who made the bundle was not checked, as no --evidence-key was given".to_owned(),
    };
    format!(
        "{}: {} events of {} are in its tree of {} events, {} disclosed values are what they commit to; {by}",
        out.paint(Style::Good, "proven"),
        report.events,
        report.checkpoint.origin,
        report.checkpoint.size,
        report.disclosed,
    )
}

/// Whether a file has the mark of a tar archive (POSIX ustar: `ustar` at byte 257).
fn is_tar(path: &Path) -> bool {
    let mut head = [0; 262];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    path.is_file() && read.is_ok() && head.ends_with(b"ustar")
}
