//! The record without a node: straight from the log's files.

use std::path::{Path, PathBuf};

use bailiwick_audit::filter::Filter;
use bailiwick_audit::proof::{MAX_PROOF, Proof};
use bailiwick_audit::read::{Directory, Entry};
use bailiwick_audit::verify::{Verdict, verify as verify_log};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Fault as _, Problem};
use bailiwick_crypto::note::NoteVerifier;
use serde_json::{Value, json};

use super::held::{Expected, Held};
use super::story;
use crate::context::{Context, Page, read_file};
use crate::failure::Failure;
use crate::output::Out;
use crate::{Exit, Outcome};

/// Events that fit, in the order of the log.
pub(super) fn search(context: &Context, filter: &Filter, dir: PathBuf, page: &Page) -> Outcome {
    let from = match page.after.as_deref().map(str::parse::<u64>) {
        None => 0,
        Some(Ok(after)) => after.saturating_add(1),
        Some(Err(_)) => {
            return Err(Problem::new(
                Code::InvalidInput,
                "--after needs the index of an event",
                "",
            )
            .into());
        }
    };
    let mut events = Vec::new();
    for entry in Directory::existing(dir)?.entries(from) {
        let entry = entry?;
        let leaf = entry.parse()?;
        if filter.matches(&leaf) {
            events.push(json!({"index": entry.index, "leaf": leaf}));
            if events.len() >= usize::try_from(page.limit).unwrap_or(usize::MAX) {
                break;
            }
        }
    }
    let body = Value::Array(events);
    context.out.show(&body, |out, body| {
        story::tell(out, crate::output::table::items(body))
    });
    Ok(Exit::DONE)
}

/// A proof of one event.
pub(super) fn prove(context: &Context, event: EventId, dir: PathBuf) -> Outcome {
    let directory = Directory::existing(dir)?;
    let Some(Entry { index, .. }) = directory.find(event)? else {
        return Err(
            Problem::new(Code::NotFound, format!("the log has no event {event}"), "").into(),
        );
    };
    let proof = directory.prove(index)?.to_string();
    context
        .out
        .show(&json!({"index": index, "proof": proof}), |_, _| {
            proof.trim_end().to_owned()
        });
    Ok(Exit::DONE)
}

/// Checks a whole log, or one proof.
pub(super) fn verify(context: &Context, path: &Path, vkey: &str, held: &Held) -> Outcome {
    let keys = [key(vkey)?];
    let held = held.read(&keys)?;
    if path.is_file() {
        return verify_proof(context, path, &keys, &held);
    }
    let verdict = verify_log(path, &keys);
    if let Verdict::Proven(report) = &verdict {
        let found = held.check_log(path, &report.checkpoint, &keys)?;
        if let Some(refuted) = found.refuted {
            return Ok(refuted.show(context));
        }
        let mut body = as_json(&verdict);
        found.add_to(&mut body);
        context.out.show(&body, |out, _| {
            format!("{}{}", as_text(out, &verdict), found.as_text())
        });
        return Ok(Exit::DONE);
    }
    let exit = Exit(verdict.exit_code());
    context
        .out
        .show(&as_json(&verdict), |out, _| as_text(out, &verdict));
    Ok(exit)
}

fn verify_proof(context: &Context, path: &Path, keys: &[NoteVerifier], held: &Expected) -> Outcome {
    let bytes = read_file(path, MAX_PROOF)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::new(Code::LogAltered, "the proof is not text", ""))?;
    let proof = Proof::parse(&text)?;
    match proof.verify(keys) {
        Ok(checkpoint) => {
            if let Some(refuted) = held.check_note(path, proof.checkpoint.as_bytes(), keys)? {
                return Ok(refuted.show(context));
            }
            let body = json!({"verdict": "proven", "origin": checkpoint.origin, "index": proof.index, "size": checkpoint.size});
            context.out.show(&body, |_, _| {
                format!(
                    "proven: event {} of {} is in the tree of {} events",
                    proof.index, checkpoint.origin, checkpoint.size
                )
            });
            Ok(Exit::DONE)
        }
        Err(error) => {
            // A key that did not sign is no evidence of alteration.
            let altered = error.code() != Code::LogUnverifiable;
            Err(Failure::from(error).exits(if altered { 1 } else { 6 }))
        }
    }
}

/// A verdict as scripts read it.
pub(crate) fn as_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Proven(report) => json!({
            "verdict": "proven",
            "origin": report.checkpoint.origin,
            "size": report.checkpoint.size,
            "root": report.checkpoint.root,
            "wal_size": report.wal_size,
            "pruned": report.pruned,
        }),
        Verdict::Altered(alteration) => json!({
            "verdict": "altered",
            "message": alteration.to_string(),
            "origin": alteration.origin,
            "index": alteration.index,
            "file": alteration.file,
        }),
        Verdict::CannotTell { file, why } => {
            json!({"verdict": "cannot_tell", "file": file, "why": why})
        }
    }
}

pub(super) fn as_text(out: &Out, verdict: &Verdict) -> String {
    use crate::output::Style;
    match verdict {
        Verdict::Proven(report) => {
            let proven = out.paint(Style::Good, "proven");
            let (size, origin) = (report.checkpoint.size, &report.checkpoint.origin);
            let pruned = match report.pruned {
                0 => String::new(),
                pruned => format!("; the first {pruned} were pruned by retention, on record"),
            };
            format!(
                "{proven}: all {size} events of {origin} are as they were when the checkpoint was signed{pruned}"
            )
        }
        Verdict::Altered(alteration) => {
            format!("{}: {alteration}", out.paint(Style::Bad, "altered"))
        }
        Verdict::CannotTell { file, why } => format!("cannot tell: {}: {why}", file.display()),
    }
}

/// The key itself, or a file that holds it.
pub(crate) fn key(text: &str) -> Result<NoteVerifier, Failure> {
    Ok(NoteVerifier::from_vkey(&key_text(text)?)?)
}

/// The text of a key: the text itself, or what a file of this name holds.
pub(super) fn key_text(text: &str) -> Result<String, Failure> {
    let path = Path::new(text);
    if !path.exists() {
        return Ok(text.to_owned());
    }
    let bytes = read_file(path, LONGEST_KEY)?;
    // The first line: a file may be all of what `audit log` prints.
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Bytes of a key's file.
const LONGEST_KEY: usize = 4 << 10;
