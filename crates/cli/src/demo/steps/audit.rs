//! Step 8: the record verifies, every call has a proof, and one flipped byte in a copy is found and named.

use std::path::Path;

use bailiwick_audit::proof::Proof;
use bailiwick_audit::read::Directory;
use bailiwick_audit::verify::{Verdict, verify};
use bailiwick_core::event::EventType;
use bailiwick_crypto::note::NoteVerifier;

use super::super::child::SOON;
use super::super::narrate::Narrator;
use super::super::place::copy_tree;
use super::super::setting::{Setting, broken, until};
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    let log = setting.place.audit();
    narrator.step(
        "audit",
        "The record is checked from its files alone, with a key that was noted down beforehand.",
        &format!(
            "bailiwick audit verify {} --vkey {}",
            log.display(),
            setting.vkey()
        ),
    );
    let keys = [NoteVerifier::from_vkey(setting.vkey())?];
    let directory = Directory::new(log.clone());
    let calls = calls(&directory)?;
    let last = calls
        .last()
        .copied()
        .ok_or_else(|| broken("the log has no calls".to_owned()))?;
    // A checkpoint follows each event within moments.
    let verdict = until(SOON, "a checkpoint over all calls", async || {
        Ok(match verify(&log, &keys) {
            Verdict::Proven(report) if report.checkpoint.size <= last => None,
            verdict => Some(verdict),
        })
    });
    match verdict.await? {
        Verdict::Proven(report) => narrator.check(
            true,
            format!(
                "verified: all {} events are as they were signed",
                report.checkpoint.size
            ),
        ),
        other => narrator.check(false, format!("not verified: {other:?}")),
    }
    let proven = calls
        .iter()
        .filter(|index| proves(&directory, **index, &keys))
        .count();
    narrator.check(
        proven == calls.len(),
        format!(
            "{proven} of {} events of calls have a proof that holds offline",
            calls.len()
        ),
    );

    let copy = setting.place.root().join("copy");
    copy_tree(&log, &copy).map_err(|error| broken(error.to_string()))?;
    let index = flip(&directory, &copy, &calls)?;
    match verify(&copy, &keys) {
        Verdict::Altered(alteration) => {
            narrator.check(
                alteration.index == Some(index),
                format!("one byte flipped in event {index} of a copy: {alteration}"),
            );
        }
        other => narrator.check(
            false,
            format!("one byte was flipped in event {index} of a copy, and: {other:?}"),
        ),
    }
    let unflipped = matches!(verify(&log, &keys), Verdict::Proven(_));
    narrator.check(unflipped, "the original still verifies");
    Ok(())
}

/// Indexes of the events about calls.
fn calls(directory: &Directory) -> Result<Vec<u64>, Failure> {
    let mut found = Vec::new();
    for entry in directory.entries(0) {
        let entry = entry?;
        if matches!(
            entry.parse()?.event.kind,
            EventType::ToolIntent | EventType::ToolRefused | EventType::ToolResult
        ) {
            found.push(entry.index);
        }
    }
    Ok(found)
}

/// Whether the event's proof, written out and read again, holds.
fn proves(directory: &Directory, index: u64, keys: &[NoteVerifier]) -> bool {
    let text = directory
        .prove(index)
        .map(|proof| proof.to_string())
        .unwrap_or_default();
    Proof::parse(&text).is_ok_and(|proof| proof.index == index && proof.verify(keys).is_ok())
}

/// Flips one bit in a call's leaf, in every published file of the copy that holds it: which of several partial tiles counts is the
/// checkpoint's matter, and the log may have grown while it was copied. Gives the event's index.
fn flip(directory: &Directory, copy: &Path, calls: &[u64]) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| broken(error.to_string());
    let index = *calls
        .get(calls.len() / 2)
        .ok_or_else(|| broken("the log has no calls".to_owned()))?;
    let leaf = directory
        .entry(index)?
        .ok_or_else(|| broken(format!("event {index} is not there")))?
        .leaf;
    let mut waiting = vec![copy.join("tile/entries")];
    let mut found = false;
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).map_err(failed)?;
            let at = bytes
                .windows(leaf.len())
                .position(|window| window == leaf.as_slice());
            let byte = at.and_then(|at| bytes.get_mut(at + leaf.len() / 2));
            let Some(byte) = byte else { continue };
            *byte ^= 1;
            std::fs::write(path, bytes).map_err(failed)?;
            found = true;
        }
    }
    if found {
        Ok(index)
    } else {
        Err(broken(format!("no published file holds event {index}")))
    }
}
