//! What a directory holds when its log is opened: where the write-ahead log begins and ends, and what a stop left undone.

use std::fs;
use std::io;
use std::path::Path;

use bailiwick_core::event::Event;
use bailiwick_crypto::note::NoteVerifier;

use super::Options;
use super::open::OpenError;
use crate::checkpoint::{self, earlier};
use crate::disk::Disk;
use crate::erase::Job;
use crate::housekeeping::{Order, Work};
use crate::intents::OpenIntents;
use crate::read::{Directory, ReadError, mentions};
use crate::signers::Signers;
use crate::standing::{Signed, Standing};
use crate::state::{Base, State};
use crate::tile::RightEdge;
use crate::wal::recover::{Recovered, Start, recover};

/// What a directory holds when its log is opened.
pub(super) struct Found {
    pub(super) state: State,
    /// The tree's edge where the write-ahead log begins, and the intents open there.
    pub(super) edge: RightEdge,
    pub(super) intents: OpenIntents,
    pub(super) recovered: Recovered,
    /// The intents open at the end.
    pub(super) unanswered: Vec<Event>,
    /// Size of the stored checkpoint.
    pub(super) published: u64,
    /// An erasure that a stop interrupted.
    pub(super) orders: Vec<Order>,
    /// What was remembered of the log when all this was compared with it.
    pub(super) standing: Standing,
}

/// Where a log begins, and what it is held against.
pub(super) struct Known {
    /// Everything that it is known to have signed.
    pub(super) signed: Vec<Signed>,
    pub(super) start: Start,
    state: State,
    edge: RightEdge,
    published: u64,
    standing: Standing,
}

impl Known {
    pub(super) fn gather(options: &Options, signers: &Signers) -> Result<Self, OpenError> {
        let standing = options.checkpoints.standing(options.signer.name())?;
        let keys = signers.verifiers();
        let stored = stored_checkpoint(&options.dir, &keys)?;
        let published = stored.as_ref().map_or(0, |stored| stored.checkpoint.size);
        let kept = kept_checkpoint(&options.dir, &keys)?;
        let signed = signed(options, &keys, &standing, stored.into_iter().chain(kept))?;
        let state = State::read(&options.dir)?;
        let edge = state.base.edge(&options.dir)?;
        let start = Start {
            tree: edge.tree(),
            base: state.base.clone(),
        };
        Ok(Self {
            signed,
            start,
            state,
            edge,
            published,
            standing,
        })
    }
}

impl Found {
    /// Reads the directory and brings the end of its write-ahead log in order.
    pub(super) fn gather(
        options: &Options,
        signers: &Signers,
        wal: &Path,
    ) -> Result<Self, OpenError> {
        let Known {
            signed,
            start,
            state,
            edge,
            published,
            standing,
        } = Known::gather(options, signers)?;
        let directory = Directory::new(options.dir.clone());
        let before = intents_before(&directory, &start.base)?;
        let mut intents = before.clone();
        let recovered = recover(
            &*options.disk,
            wal,
            options.signer.name(),
            options.segment_size,
            &start,
            &signed,
            &mut |index, leaf| intents.see(index, leaf),
        )?;
        Ok(Self {
            unanswered: unanswered_events(&directory, &intents)?,
            published,
            standing,
            recovered,
            state,
            edge,
            intents: before,
            orders: interrupted_erasure(&*options.disk, &options.dir)?
                .map(|job| Order {
                    work: Work::Erase(job),
                    done: None,
                })
                .into_iter()
                .collect(),
        })
    }
}

/// Everything that this log is known to have signed: what its directory has, what is remembered elsewhere, what others hold.
fn signed(
    options: &Options,
    keys: &[NoteVerifier],
    standing: &Standing,
    stored: impl Iterator<Item = Signed>,
) -> Result<Vec<Signed>, OpenError> {
    let remembered = standing.note.as_ref();
    let remembered = remembered.map(|note| Signed::verify(note.as_bytes(), keys));
    let remembered = remembered.transpose().map_err(OpenError::Remembered)?;
    // What others show means something only as far as the log's own key signed it.
    let seen = options.seen.iter();
    let seen = seen.filter_map(|note| match Signed::verify(note, keys) {
        Ok(signed) => Some(signed),
        Err(error) => {
            tracing::warn!(%error, "what somebody holds is no checkpoint of this log");
            None
        }
    });
    Ok(stored.chain(remembered).chain(seen).collect())
}

/// The erasure that is on record and not done. One that never got on record is dropped: its event would have come first.
fn interrupted_erasure(disk: &dyn Disk, dir: &Path) -> Result<Option<Job>, OpenError> {
    let io = |source| OpenError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let Some(job) = Job::read(dir).map_err(io)? else {
        return Ok(None);
    };
    let id = job.event.to_string();
    for entry in Directory::new(dir.to_path_buf()).entries(job.size) {
        let entry = entry?;
        if mentions(&entry.leaf, &id) && entry.parse()?.event.id == job.event {
            return Ok(Some(job));
        }
    }
    Job::remove(disk, dir).map_err(io)?;
    Ok(None)
}

/// The intents that were open where the write-ahead log begins.
fn intents_before(directory: &Directory, base: &Base) -> Result<OpenIntents, ReadError> {
    let mut intents = OpenIntents::default();
    for index in &base.open {
        match directory.entry(*index) {
            Ok(Some(entry)) => intents.see(entry.index, &entry.leaf),
            // A call lives for an hour; nobody waits for one of a year ago.
            Ok(None) | Err(ReadError::Pruned { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(intents)
}

/// Intents closer than this are found by reading on: to look for each would read the same segment again for each.
const NEAR: u64 = 4096;

/// The intents in full.
fn unanswered_events(
    directory: &Directory,
    intents: &OpenIntents,
) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    let mut entries = directory.entries(0);
    for index in intents.indexes() {
        if index.saturating_sub(entries.position()) > NEAR {
            entries = directory.entries(index);
        }
        for entry in &mut entries {
            let entry = entry?;
            if entry.index == index {
                events.push(entry.parse()?.event);
                break;
            }
        }
    }
    Ok(events)
}

/// The newest checkpoint that this node signed, if its file is there and whole. A stop may have left it empty: it is not synced.
fn stored_checkpoint(dir: &Path, keys: &[NoteVerifier]) -> Result<Option<Signed>, OpenError> {
    let path = dir.join(checkpoint::FILE);
    let note = match fs::read(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    match Signed::verify(&note, keys) {
        Ok(stored) => Ok(Some(stored)),
        Err(error) => {
            tracing::warn!(%error, "the stored checkpoint is not readable; a new one will be published");
            Ok(None)
        }
    }
}

/// The newest of the earlier ones.
fn kept_checkpoint(dir: &Path, keys: &[NoteVerifier]) -> Result<Option<Signed>, OpenError> {
    let newest = earlier::newest(dir, keys).map_err(|source| OpenError::Io {
        path: dir.join(earlier::DIR),
        source,
    })?;
    Ok(newest.and_then(|note| Signed::verify(&note, keys).ok()))
}
