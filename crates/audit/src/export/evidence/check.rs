//! Checks a bundle with keys that the reader brings. Needs nothing but its files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::note::{NoteError, NoteVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::statement::{self, Refusal};
use super::{DISCLOSURES, LEAVES, MAX_BYTES, MAX_EVENTS, POLICY, PROOFS, STATEMENT};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::leaf::Leaf;
use crate::proof::{Proof, ProofError};
use crate::seal;
use crate::verify::{Alteration, Altered, Verdict};

/// Most files of a bundle: a leaf, a proof and a disclosure for each event, and what there is once.
const MAX_FILES: usize = 4 * MAX_EVENTS;
/// Folders of a bundle; what lies beside them in an unpacked one is none of its files.
const FOLDERS: [&str; 4] = [LEAVES, PROOFS, DISCLOSURES, POLICY];

/// The files of a bundle, by name.
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<String, Vec<u8>>);

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadBundleError {
    /// The system refuses.
    #[error("{} cannot be read as a bundle", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is over its bounds.
    #[error("{} is over the bounds of a bundle", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
    },
}

impl Fault for ReadBundleError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::LogUnverifiable,
            Self::TooLarge { .. } => Code::TooLarge,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Name a bundle as `audit export evidence` wrote it, or the directory it was unpacked in.".into(),
            Self::TooLarge { .. } => format!("A bundle has at most {MAX_FILES} files and {} MiB.", MAX_BYTES >> 20),
        }
    }
}

impl Files {
    /// Whether a directory is an unpacked bundle rather than a log.
    pub fn are_in(dir: &Path) -> bool {
        dir.join(STATEMENT).is_file()
    }

    /// From an archive, or from the directory that it was unpacked in.
    pub fn read(path: &Path) -> Result<Self, ReadBundleError> {
        let mut files = Self::default();
        let read = if path.is_dir() {
            files.read_dir(path)
        } else {
            File::open(path).and_then(|file| files.read_tar(file))
        };
        match read {
            Ok(true) => Ok(files),
            Ok(false) => Err(ReadBundleError::TooLarge {
                path: path.to_owned(),
            }),
            Err(source) => Err(ReadBundleError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Bytes of one file.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    fn read_tar(&mut self, file: File) -> io::Result<bool> {
        // More than the files' own bytes, so that a stream of headers ends too.
        let mut archive = tar::Archive::new(io::BufReader::new(file).take(2 * MAX_BYTES as u64));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !self.put(name, &mut entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_dir(&mut self, dir: &Path) -> io::Result<bool> {
        for folder in FOLDERS.into_iter().chain([""]) {
            let listed = match fs::read_dir(dir.join(folder)) {
                Ok(listed) => listed,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in listed {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    let name = format!("{folder}{}", entry.file_name().to_string_lossy());
                    if !self.put(name, &mut File::open(entry.path())?)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether there is room for it.
    fn put(&mut self, name: String, from: &mut dyn Read) -> io::Result<bool> {
        let held: usize = self.0.values().map(Vec::len).sum();
        let room = MAX_BYTES.saturating_sub(held) as u64;
        let mut bytes = Vec::new();
        from.take(room + 1).read_to_end(&mut bytes)?;
        let fits = bytes.len() as u64 <= room && self.0.len() < MAX_FILES;
        self.0.insert(name, bytes);
        Ok(fits)
    }

    fn numbered<'a>(
        &'a self,
        folder: &'static str,
        end: &'static str,
    ) -> impl Iterator<Item = (u64, &'a str, &'a [u8])> {
        let in_folder = self
            .0
            .range(folder.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(folder));
        in_folder.filter_map(move |(name, bytes)| {
            let number = name.strip_prefix(folder)?.strip_suffix(end)?;
            Some((number.parse().ok()?, name.as_str(), bytes.as_slice()))
        })
    }
}

/// What is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceReport {
    /// The checkpoint under which the events are proven.
    pub checkpoint: Checkpoint,
    /// Events proven.
    pub events: usize,
    /// Values whose commitments opened.
    pub disclosed: usize,
    /// Policies whose bytes are those that decided.
    pub policies: usize,
    /// The key that signed the statement over all files; none if no key was brought for it.
    pub attested_by: Option<String>,
}

/// Checks every file: events against the log's keys, all files against the statement, and that against the keys of its makers, if there
/// are any.
pub fn check(
    files: &Files,
    log_keys: &[NoteVerifier],
    maker_keys: &[NoteVerifier],
) -> Result<EvidenceReport, Verdict> {
    let note = needed(files, checkpoint::FILE)?;
    let checkpoint = match Checkpoint::verify(note, log_keys) {
        Ok(checkpoint) => checkpoint,
        Err(CheckpointError::Note(NoteError::Unsigned)) => {
            return Err(cannot_tell(
                checkpoint::FILE,
                "the key given did not sign this checkpoint",
            ));
        }
        Err(_) => return Err(altered(Altered::Signature, None, None, checkpoint::FILE)),
    };
    let origin = checkpoint.origin.as_str();
    let mut leaves = BTreeMap::new();
    for (index, name, bytes) in files.numbered(LEAVES, ".json") {
        proven(files, log_keys, origin, index, name, bytes)?;
        let leaf = Leaf::parse(bytes)
            .map_err(|_| altered(Altered::Leaf, Some(origin), Some(index), name))?;
        leaves.insert(index, leaf);
    }
    let said = attested(files, maker_keys, origin)?;
    Ok(EvidenceReport {
        events: leaves.len(),
        disclosed: disclosures(files, &leaves, origin)?,
        policies: policies(files, origin)?,
        attested_by: said,
        checkpoint,
    })
}

/// That a leaf is in the log at its index.
fn proven(
    files: &Files,
    keys: &[NoteVerifier],
    origin: &str,
    index: u64,
    name: &str,
    leaf: &[u8],
) -> Result<(), Verdict> {
    let file = format!("{PROOFS}{index}.tlog-proof");
    let text = String::from_utf8_lossy(needed(files, &file)?);
    let wrong = |file: &str| altered(Altered::Leaf, Some(origin), Some(index), file);
    let proof = Proof::parse(&text).map_err(|_| wrong(&file))?;
    match proof.verify(keys) {
        Ok(checkpoint) if checkpoint.origin == origin && proof.index == index => {}
        Err(ProofError::Checkpoint(CheckpointError::Note(NoteError::Unsigned))) => {
            return Err(cannot_tell(
                &file,
                "the key given did not sign its checkpoint",
            ));
        }
        Ok(_) | Err(_) => return Err(wrong(&file)),
    }
    if proof.leaf == leaf {
        Ok(())
    } else {
        Err(wrong(name))
    }
}

/// That every file is the one that the statement names, and there is no other. Gives who signed it.
fn attested(files: &Files, keys: &[NoteVerifier], origin: &str) -> Result<Option<String>, Verdict> {
    let said = match statement::open(needed(files, STATEMENT)?, keys) {
        Ok(said) => said,
        Err(Refusal::Unsigned) => {
            return Err(cannot_tell(
                STATEMENT,
                "the evidence key given did not sign it",
            ));
        }
        Err(Refusal::Form | Refusal::BadSignature) => {
            return Err(altered(Altered::Signature, Some(origin), None, STATEMENT));
        }
    };
    for (name, hash) in &said.hashes {
        if sha256(&[needed(files, name)?]) != *hash {
            return Err(altered(Altered::Evidence, Some(origin), None, name));
        }
    }
    let in_folder = |name: &str| FOLDERS.iter().any(|folder| name.starts_with(folder));
    let added = files
        .0
        .keys()
        .find(|name| in_folder(name) && !said.hashes.contains_key(*name));
    match added {
        Some(name) => Err(altered(Altered::Evidence, Some(origin), None, name)),
        None => Ok(said.by),
    }
}

/// `[salt, path, value]`, salt and value in base64.
#[derive(Deserialize)]
struct Disclosures {
    index: u64,
    disclosures: Vec<(String, String, String)>,
}

/// That each value disclosed is the one that the leaf commits to.
fn disclosures(
    files: &Files,
    leaves: &BTreeMap<u64, Leaf>,
    origin: &str,
) -> Result<usize, Verdict> {
    let mut opened = 0;
    for (index, name, bytes) in files.numbered(DISCLOSURES, ".json") {
        let wrong = || altered(Altered::Disclosure, Some(origin), Some(index), name);
        let told: Disclosures = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        let leaf = leaves
            .get(&index)
            .filter(|_| told.index == index)
            .ok_or_else(wrong)?;
        for (salt, path, value) in told.disclosures {
            let salt = STANDARD
                .decode(salt)
                .ok()
                .and_then(|salt| <[u8; 32]>::try_from(salt).ok());
            let value = STANDARD.decode(value).ok();
            let (salt, value) = salt.zip(value).ok_or_else(wrong)?;
            if !seal::discloses(leaf, &salt, &path, &value) {
                return Err(wrong());
            }
            opened += 1;
        }
    }
    Ok(opened)
}

/// That each policy is the one whose version its name is.
fn policies(files: &Files, origin: &str) -> Result<usize, Verdict> {
    let mut good = 0;
    for (name, bytes) in &files.0 {
        if let Some(version) = name.strip_prefix(POLICY) {
            if version.parse::<Digest>().ok() != Some(sha256(&[bytes])) {
                return Err(altered(Altered::Evidence, Some(origin), None, name));
            }
            good += 1;
        }
    }
    Ok(good)
}

fn needed<'a>(files: &'a Files, name: &str) -> Result<&'a [u8], Verdict> {
    files
        .bytes(name)
        .ok_or_else(|| cannot_tell(name, "the bundle needs this file and it is not there"))
}

fn cannot_tell(file: &str, why: &str) -> Verdict {
    Verdict::CannotTell {
        file: PathBuf::from(file),
        why: why.to_owned(),
    }
}

fn altered(what: Altered, origin: Option<&str>, index: Option<u64>, file: &str) -> Verdict {
    Verdict::Altered(Alteration {
        what,
        origin: origin.map(str::to_owned),
        index,
        file: PathBuf::from(file),
    })
}
