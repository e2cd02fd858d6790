//! The body of an `add-checkpoint` request (tlog-witness §add-checkpoint), made by logs and read by witnesses.

use std::fmt;

use bailiwick_core::Digest;
use bailiwick_crypto::note::Note;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;
use crate::checkpoint::{Checkpoint, decimal};

/// Longest request read.
pub const MAX_REQUEST: usize = 64 << 10;
/// Most hashes of a consistency proof: one per bit of the size.
pub const MAX_PROOF_LINES: usize = 63;
/// Largest tree: its size fits a signed 64-bit number everywhere.
const MAX_SIZE: u64 = i64::MAX.cast_unsigned();

/// "This checkpoint continues the one of `old` leaves, as the proof shows."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Size of the tree that the witness cosigned last; 0 if none.
    pub old: u64,
    /// From there to the checkpoint.
    pub proof: Vec<Digest>,
    /// The checkpoint with the log's signatures.
    pub note: Note,
}

impl Request {
    /// Reads a request. Every line ends in a newline, sizes have no leading zeros, hashes are 32 bytes.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_REQUEST {
            return Err(Refusal::Malformed("it is over 64 KiB"));
        }
        let text = std::str::from_utf8(body).map_err(|_| Refusal::Malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(Refusal::Malformed(
            "no empty line separates proof and checkpoint",
        ))?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(decimal)
            .filter(|old| *old <= MAX_SIZE)
            .ok_or(Refusal::Malformed("its first line is not the old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return Err(Refusal::Malformed("its proof has over 63 lines"));
            }
            let hash = STANDARD.decode(line).ok();
            let hash = hash.and_then(|hash| hash.try_into().ok());
            proof.push(Digest(
                hash.ok_or(Refusal::Malformed("a line of its proof is not a hash"))?,
            ));
        }
        let note = Note::parse(note.as_bytes())
            .map_err(|_| Refusal::Malformed("its checkpoint is not a signed note"))?;
        Ok(Self { old, proof, note })
    }

    /// What the note says. Nothing is believed of it yet.
    pub fn checkpoint(&self) -> Result<Checkpoint, Refusal> {
        Checkpoint::parse(self.note.text())
            .ok()
            .filter(|checkpoint| checkpoint.size <= MAX_SIZE)
            .ok_or(Refusal::Malformed("its note is not a checkpoint"))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}
