//! `evidence`: a bundle that proves some events to somebody who has neither node nor log. A tar archive of
//! `checkpoint leaves/ proofs/ disclosures/ policy/ timeline.txt VERIFY.md`, and one in-toto Statement over the SHA-256 of each
//! in a DSSE envelope. It holds no key: those who check it bring theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use bailiwick_core::Digest;
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::note::{Note, NoteSigner};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{ExportError, Exporter, Recorded};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::proof;
use crate::read::{Directory, Entry};
use crate::seal::Revealed as Opened;
use crate::timeline::Revealed;

pub use check::{EvidenceReport, Files, ReadBundleError, check};

mod check;
pub mod statement;
mod story;

/// Most events in one bundle: each has a proof of its own.
pub const MAX_EVENTS: usize = 10_000;
/// Most bytes of a bundle's files together.
pub const MAX_BYTES: usize = 256 << 20;

const LEAVES: &str = "leaves/";
const PROOFS: &str = "proofs/";
const DISCLOSURES: &str = "disclosures/";
const POLICY: &str = "policy/";
const TIMELINE: &str = "timeline.txt";
const VERIFY: &str = "VERIFY.md";
const JSON: &str = ".json";
/// The envelope with the statement; the one file that it does not name.
const STATEMENT: &str = "statement.dsse.json";
/// How others check a bundle. Its commands are run as they stand by the tests.
const INSTRUCTIONS: &str = include_str!("evidence/VERIFY.md");

/// A bundle in the making. Takes events; what they disclose, and the policies that decided, are added by who may.
#[derive(Debug)]
pub struct Evidence {
    directory: Directory,
    note: Vec<u8>,
    checkpoint: Checkpoint,
    conditions: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    events: usize,
    policies: BTreeSet<Digest>,
    /// What was disclosed, for the story.
    revealed: Revealed,
}

impl Evidence {
    /// A bundle under a checkpoint of a log: the newest that witnesses cosigned if it covers the first `least` leaves, else the newest.
    /// `conditions` are the words that selected the events; they stand in the statement.
    pub fn begin(
        directory: Directory,
        conditions: Vec<String>,
        least: u64,
    ) -> Result<Self, ExportError> {
        let read = |note: &[u8]| -> Result<Checkpoint, CheckpointError> {
            Checkpoint::parse(Note::parse(note)?.text())
        };
        let witnessed = directory.witnessed()?;
        let witnessed = witnessed.and_then(|note| read(&note).ok().map(|found| (note, found)));
        let (note, checkpoint) = match witnessed {
            Some((note, found)) if found.size >= least => (note, found),
            _ => {
                let note = directory.checkpoint()?.ok_or(ExportError::Unpublished)?;
                let found = read(&note)?;
                (note, found)
            }
        };
        let mut evidence = Self {
            directory,
            note: note.clone(),
            checkpoint,
            conditions,
            files: BTreeMap::new(),
            bytes: 0,
            events: 0,
            policies: BTreeSet::new(),
            revealed: BTreeMap::new(),
        };
        evidence.put(checkpoint::FILE.to_owned(), note)?;
        Ok(evidence)
    }

    /// Name of the log.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// Leaves that the checkpoint covers; later ones cannot be proven by it.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Versions of the policies that decided about the events taken.
    pub fn policies(&self) -> &BTreeSet<Digest> {
        &self.policies
    }

    /// Adds the canonical bytes of a policy bundle, whose SHA-256 is its version.
    pub fn policy(&mut self, canonical: Vec<u8>) -> Result<(), ExportError> {
        let name = format!("{POLICY}{}", sha256(&[&canonical]).to_hex());
        self.put(name, canonical)
    }

    /// Adds opened values of an event. That they would be opened is on record by then.
    pub fn disclose(&mut self, index: u64, values: &[Opened]) -> Result<(), ExportError> {
        if let Some(leaf) = self.files.get(&format!("{LEAVES}{index}{JSON}")) {
            let leaf = leaf.clone();
            let id = Entry { index, leaf }.parse()?.event.id;
            let told = values.iter().map(|value| {
                let text = String::from_utf8_lossy(value.value.expose());
                (value.path.clone(), text.into_owned())
            });
            self.revealed.entry(id).or_default().extend(told);
        }
        let values = values.iter().map(|value| {
            let (salt, bytes) = (value.salt.expose(), value.value.expose());
            json!([STANDARD.encode(salt), value.path, STANDARD.encode(bytes)])
        });
        let values: Vec<_> = values.collect();
        let text = serde_json::to_vec(&json!({"index": index, "disclosures": values}))?;
        self.put(format!("{DISCLOSURES}{index}{JSON}"), text)
    }

    /// Writes the archive, signed by `signer` if there is one.
    pub fn write(
        mut self,
        signer: Option<&NoteSigner>,
        out: &mut dyn Write,
    ) -> Result<(), ExportError> {
        let revealed = std::mem::take(&mut self.revealed);
        let timeline = story::tell(&self.entries(), &self.checkpoint, revealed)?;
        self.put(TIMELINE.to_owned(), timeline.into_bytes())?;
        self.put(VERIFY.to_owned(), INSTRUCTIONS.as_bytes().to_vec())?;
        let missing: Vec<_> = self
            .policies
            .iter()
            .filter(|digest| {
                !self
                    .files
                    .contains_key(&format!("{POLICY}{}", digest.to_hex()))
            })
            .collect();
        let predicate = json!({
            "origin": self.checkpoint.origin,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root,
            "events": self.events,
            "conditions": self.conditions,
            "policies_not_included": missing,
        });
        let hashes = self
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), sha256(&[bytes])));
        let statement = statement::statement(hashes, &predicate)?;
        let envelope = statement::envelope(&statement, signer)?;
        let mut archive = tar::Builder::new(out);
        archive.mode(tar::HeaderMode::Deterministic);
        let files = self
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        for (name, bytes) in files.chain([(STATEMENT, envelope.as_slice())]) {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, name, bytes)?;
        }
        Ok(archive.into_inner()?.flush()?)
    }

    /// The events in the bundle, in the order of the log.
    fn entries(&self) -> Vec<Entry> {
        let leaves = self.files.iter().filter_map(|(name, leaf)| {
            let index = name.strip_prefix(LEAVES)?.strip_suffix(JSON)?;
            let (index, leaf) = (index.parse().ok()?, leaf.clone());
            Some(Entry { index, leaf })
        });
        let mut entries: Vec<Entry> = leaves.collect();
        entries.sort_by_key(|entry| entry.index);
        entries
    }

    fn put(&mut self, name: String, bytes: Vec<u8>) -> Result<(), ExportError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(ExportError::TooLong { bound: MAX_BYTES });
        }
        self.files.insert(name, bytes);
        Ok(())
    }
}

impl Exporter for Evidence {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        if self.events >= MAX_EVENTS {
            return Err(ExportError::TooLarge {
                shape: "evidence",
                bound: MAX_EVENTS,
            });
        }
        self.events += 1;
        let index = record.index;
        let proof = proof::prove_under(&self.directory, &self.note, index)?;
        self.put(
            format!("{PROOFS}{index}.tlog-proof"),
            proof.to_string().into_bytes(),
        )?;
        self.put(format!("{LEAVES}{index}{JSON}"), record.bytes.to_vec())?;
        let decision = record.leaf.event.decision.as_ref();
        self.policies
            .extend(decision.and_then(|decision| decision.versions.bundle));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
