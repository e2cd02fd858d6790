//! The checker: reads the files as they lie there.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bailiwick_audit::read::Directory;
use bailiwick_audit::verify::{Verdict, verify};
use bailiwick_core::Digest;
use bailiwick_core::event::{EventType, ParentRole};
use bailiwick_core::id::EventId;

/// Fails unless every receipt on standard input is at its index with its hash, no call has two results, and the whole log is proven.
pub(crate) fn run(dir: &Path) -> Result<()> {
    let keys = [super::signer()?.verifier()?];
    let verdict = verify(dir, &keys);
    let Verdict::Proven(report) = verdict else {
        bail!("{verdict}");
    };
    let hashes = hashes(dir)?;
    let mut receipts = 0_u64;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (index, hash) = line.split_once(' ').context("a receipt is INDEX HASH")?;
        let at = usize::try_from(index.parse::<u64>()?)?;
        let found = hashes
            .get(at)
            .with_context(|| format!("event {index} was acknowledged and is lost"))?;
        ensure!(
            *found == hash.parse()?,
            "event {index} was acknowledged as {hash} and is {found}"
        );
        receipts += 1;
    }
    let events = hashes.len();
    let signed = report.checkpoint.size;
    let mut out = io::stdout().lock();
    Ok(writeln!(
        out,
        "{receipts} receipts hold; {events} events, {signed} under the checkpoint"
    )?)
}

/// The leaf hash of every event, from its bytes.
fn hashes(dir: &Path) -> Result<Vec<Digest>> {
    let mut hashes = Vec::new();
    let mut results = HashMap::<EventId, usize>::new();
    for entry in Directory::new(dir.to_owned()).entries(0) {
        let entry = entry?;
        ensure!(
            entry.index == hashes.len() as u64,
            "event {} follows {}",
            entry.index,
            hashes.len()
        );
        hashes.push(entry.leaf_hash());
        let event = entry.parse()?.event;
        if event.kind == EventType::ToolResult {
            let parents = event.parents.iter();
            for intent in parents.filter(|parent| parent.role == ParentRole::Intent) {
                *results.entry(intent.id).or_default() += 1;
            }
        }
    }
    let twice = results.iter().find(|(_, count)| **count > 1);
    ensure!(twice.is_none(), "an intent has two results: {twice:?}");
    Ok(hashes)
}
