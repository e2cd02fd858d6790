//! A witness (C2SP tlog-witness v1.0.0): cosigns checkpoints of the logs it knows, each only if it continues the one it cosigned before.
//!
//! This is the whole of it but for HTTP: bytes of a request in, signature lines or a refusal out. What it has cosigned is on disk before
//! the answer is given, so that no stop makes it sign a second history.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::Clock;
use bailiwick_crypto::cosignature::CosignatureSigner;
use bailiwick_crypto::note::{Note, NoteError, NoteVerifier};

use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::tree::{CompactRange, is_consistent};

pub use error::{OpenWitnessError, Refusal};
pub use request::{MAX_PROOF_LINES, MAX_REQUEST, Request};

mod error;
mod evidence;
mod request;
mod state;

/// A witness of some logs. Requests for one log are answered one after the other, those for different logs side by side.
pub struct Witness {
    signer: CosignatureSigner,
    logs: BTreeMap<String, Known>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    /// Held as long as anything here may write.
    _lock: File,
}

/// A log that the witness knows.
struct Known {
    /// Any of these signs for it.
    keys: Vec<NoteVerifier>,
    /// Where its state is.
    dir: PathBuf,
    held: Mutex<Option<Held>>,
}

/// The newest checkpoint of a log that was cosigned.
#[derive(Debug, Clone)]
struct Held {
    checkpoint: Checkpoint,
    /// With the log's signatures and the witness's own.
    note: String,
}

impl Witness {
    /// Opens the state in `dir`, which is made if it is not there, for logs with these keys. Several keys of one name belong to one log.
    ///
    /// A directory belongs to one witness; one that another process uses, or whose files do not fit keys and name, is refused.
    pub fn open(
        dir: &Path,
        signer: CosignatureSigner,
        logs: Vec<NoteVerifier>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenWitnessError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenWitnessError::Io { path, source }
        };
        make_private(dir).map_err(at(dir))?;
        let lock = state::lock(dir)?;
        let verifier = signer.verifier()?;
        let mut keys: BTreeMap<String, Vec<NoteVerifier>> = BTreeMap::new();
        for key in logs {
            keys.entry(key.name().to_owned()).or_default().push(key);
        }
        let mut known = BTreeMap::new();
        for (origin, keys) in keys {
            let dir = dir.join(crate::origin_hash(&origin).to_hex());
            make_private(&dir).map_err(at(&dir))?;
            let held = state::load(&dir, &origin, &keys, &verifier)?;
            known.insert(
                origin,
                Known {
                    keys,
                    dir,
                    held: Mutex::new(held),
                },
            );
        }
        Ok(Self {
            signer,
            logs: known,
            disk,
            clock,
            _lock: lock,
        })
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        self.signer.name()
    }

    /// Its key, for those who are to trust it.
    pub fn vkey(&self) -> Result<String, NoteError> {
        Ok(self.signer.verifier()?.vkey())
    }

    /// Names of the logs that it knows.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Answers an `add-checkpoint` request with signature lines. Reads and writes files: call it where blocking is allowed.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, Refusal> {
        let request = Request::parse(body)?;
        let checkpoint = request.checkpoint()?;
        let known = self
            .logs
            .get(&checkpoint.origin)
            .ok_or(Refusal::UnknownLog)?;
        // What follows may be believed to come from the log, whatever it is.
        request
            .note
            .verify(&known.keys)
            .map_err(Refusal::Untrusted)?;
        if request.old > checkpoint.size {
            return Err(Refusal::Malformed(
                "the old size is greater than that of the checkpoint",
            ));
        }
        let mut held = known.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(split) = held
            .as_ref()
            .filter(|held| held.is_contradicted_by(&checkpoint))
        {
            // Two roots of one size, both signed: this proves a fork whatever else the request says.
            evidence::keep(&*self.disk, &known.dir, split, body, &checkpoint);
        }
        let size = held.as_ref().map_or(0, |held| held.checkpoint.size);
        if request.old != size {
            return Err(Refusal::Conflict { size });
        }
        let empty = CompactRange::default().root();
        if checkpoint.size == 0 && checkpoint.root != empty {
            return Err(Refusal::Inconsistent {
                old: 0,
                size: checkpoint.size,
            });
        }
        let old_root = held.as_ref().map_or(empty, |held| held.checkpoint.root);
        if !is_consistent(
            size,
            &old_root,
            checkpoint.size,
            &checkpoint.root,
            &request.proof,
        ) {
            if let Some(held) = held.as_ref() {
                evidence::keep(&*self.disk, &known.dir, held, body, &checkpoint);
            }
            return Err(Refusal::Inconsistent {
                old: size,
                size: checkpoint.size,
            });
        }
        let line = self
            .signer
            .cosign(request.note.text(), self.clock.wall())
            .map_err(Refusal::Sign)?;
        let next = Held::of(known, &request.note, line.clone(), checkpoint)?;
        self.disk
            .replace(&known.dir.join(state::FILE), next.note.as_bytes(), true)
            .map_err(Refusal::Storage)?;
        *held = Some(next);
        Ok(format!("{line}\n"))
    }

    /// The newest cosigned checkpoint of the log whose origin has this SHA-256 (64 lower-case hex digits): what monitors read.
    pub fn checkpoint(&self, origin_hash: &str) -> Option<String> {
        let known = self
            .logs
            .iter()
            .find(|(origin, _)| crate::origin_hash(origin).to_hex() == origin_hash)
            .map(|(_, known)| known)?;
        let held = known.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| held.note.clone())
    }
}

impl Held {
    /// The checkpoint with the signatures that were checked and the witness's own, and nothing that a stranger added.
    fn of(
        known: &Known,
        note: &Note,
        cosignature: bailiwick_crypto::note::NoteSignature,
        checkpoint: Checkpoint,
    ) -> Result<Self, Refusal> {
        let ours = |name: &str, id: u32| {
            known
                .keys
                .iter()
                .any(|key| key.name() == name && key.id() == id)
        };
        let mut kept = note.clone();
        kept.retain(|line| ours(&line.name, line.id));
        kept.add(cosignature).map_err(Refusal::Sign)?;
        Ok(Self {
            checkpoint,
            note: kept.to_string(),
        })
    }

    /// Whether another tree of the same size was signed.
    fn is_contradicted_by(&self, other: &Checkpoint) -> bool {
        self.checkpoint.size == other.size && self.checkpoint.root != other.root
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests;
