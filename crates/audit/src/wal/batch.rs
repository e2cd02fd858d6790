//! A batch: `BATCH`, its `EVENT`s, `COMMIT`. It is written by one `pwrite`, made durable by one `fdatasync`, and is either whole or
//! not there. `prev_commit` chains batches by the hash of their `COMMIT`s; `root` ties each to the tree.

use bailiwick_core::{Digest, Timestamp};
use bailiwick_crypto::hash;

use super::frame::{self, Fields, Kind};
use super::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::leaf::MAX_LEAF;

/// Opens every batch. Bytes from 0xF8 up occur in no UTF-8 text, so no leaf can hold a false batch.
const MAGIC: [u8; 8] = *b"\xf8\xffBWB1\xff\xf9";
/// A wrapped event key, or zeros where nothing is sealed.
pub(crate) const SLOT: usize = 64;
const OPENING: usize = 48;
const CLOSING: usize = 96;

/// The opening frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) first_index: u64,
    pub(crate) events: u32,
    /// All frames of the batch, without the zeros behind them.
    pub(crate) bytes: u32,
}

/// The closing frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) number: u64,
    /// Tree size with this batch.
    pub(crate) size: u64,
    pub(crate) root: Digest,
    /// [`Commit::digest`] of the batch before; zeros for the first.
    pub(crate) prev_commit: Digest,
    pub(crate) wall: Timestamp,
    pub(crate) hlc: u64,
}

impl Commit {
    /// SHA-256 of the frame's body: what the next batch continues. The root in it stands for all leaves.
    pub(crate) fn digest(&self) -> Digest {
        hash::sha256(&[&self.body()])
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(CLOSING);
        body.extend_from_slice(&self.number.to_le_bytes());
        body.extend_from_slice(&self.size.to_le_bytes());
        body.extend_from_slice(&self.root.0);
        body.extend_from_slice(&self.prev_commit.0);
        body.extend_from_slice(&self.wall.as_micros().to_le_bytes());
        body.extend_from_slice(&self.hlc.to_le_bytes());
        body
    }
}

/// One event as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) leaf: &'a [u8],
    pub(crate) slot: &'a [u8; SLOT],
    pub(crate) sealed: &'a [u8],
}

/// The frame of one event, made by its producer: the commit thread is one, producers are many.
#[derive(Debug, Clone)]
pub(crate) struct EventFrame(Vec<u8>);

impl EventFrame {
    pub(crate) fn new(stored: Stored<'_>) -> Self {
        let mut frame = Vec::with_capacity(event_len(stored.leaf.len(), stored.sealed.len()));
        let leaf_len = u32::try_from(stored.leaf.len()).unwrap_or(u32::MAX);
        frame::put(
            &mut frame,
            Kind::Event,
            &[
                &leaf_len.to_le_bytes(),
                stored.leaf,
                stored.slot,
                stored.sealed,
            ],
        );
        Self(frame)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is in it.
    pub(crate) fn stored(&self) -> Option<Stored<'_>> {
        stored(self.0.get(frame::OVERHEAD..)?)
    }
}

/// Bytes that an event takes in a batch.
pub(crate) fn event_len(leaf: usize, sealed: usize) -> usize {
    frame::OVERHEAD + 4 + leaf + SLOT + sealed
}

/// Bytes of a batch beyond its events.
pub(crate) const FIXED: usize = 2 * frame::OVERHEAD + OPENING + CLOSING;

/// Bytes of a batch of these events.
pub(crate) fn len(events: &[&EventFrame]) -> usize {
    FIXED
        + events
            .iter()
            .map(|event| event.bytes().len())
            .sum::<usize>()
}

/// Puts the frames of a batch, those of its events among them, in place of what `out` holds. `opening.bytes` and `opening.events` are
/// set here.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    mut opening: Opening,
    events: &[&EventFrame],
    commit: &Commit,
) {
    let bytes = len(events);
    opening.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    opening.events = u32::try_from(events.len()).unwrap_or(u32::MAX);
    out.clear();
    out.reserve(bytes);
    frame::put(
        out,
        Kind::Batch,
        &[
            &MAGIC,
            &opening.segment.to_le_bytes(),
            &opening.epoch.to_le_bytes(),
            &opening.number.to_le_bytes(),
            &opening.first_index.to_le_bytes(),
            &opening.events.to_le_bytes(),
            &opening.bytes.to_le_bytes(),
        ],
    );
    for event in events {
        out.extend_from_slice(event.bytes());
    }
    frame::put(out, Kind::Commit, &[&commit.body()]);
}

/// The opening frame at the front of a block, if one is there.
pub(crate) fn opening(block: &[u8]) -> Option<Opening> {
    let (body, _) = frame::take(block, Kind::Batch)?;
    let mut fields = Fields(body);
    (fields.array()? == &MAGIC).then_some(())?;
    let opening = Opening {
        segment: fields.u64()?,
        epoch: fields.u64()?,
        number: fields.u64()?,
        first_index: fields.u64()?,
        events: fields.u32()?,
        bytes: fields.u32()?,
    };
    fields.end()?;
    let events = usize::try_from(opening.events).ok()?;
    let bytes = usize::try_from(opening.bytes).ok()?;
    (events > 0 && events <= MAX_BATCH_EVENTS && (FIXED..=MAX_BATCH_BYTES).contains(&bytes))
        .then_some(opening)
}

/// A complete batch: every frame present and unaltered. Whether it belongs where it stands is the reader's to check.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) opening: Opening,
    pub(crate) events: Vec<Stored<'a>>,
    pub(crate) commit: Commit,
}

/// Parses exactly the frames of one batch.
pub(crate) fn decode(bytes: &[u8]) -> Option<Batch<'_>> {
    let opening = opening(bytes)?;
    (usize::try_from(opening.bytes).ok()? == bytes.len()).then_some(())?;
    let (_, mut rest) = frame::take(bytes, Kind::Batch)?;
    let mut events = Vec::with_capacity(usize::try_from(opening.events).ok()?);
    for _ in 0..opening.events {
        let (body, tail) = frame::take(rest, Kind::Event)?;
        events.push(stored(body)?);
        rest = tail;
    }
    let (body, tail) = frame::take(rest, Kind::Commit)?;
    let mut fields = Fields(body);
    let commit = Commit {
        number: fields.u64()?,
        size: fields.u64()?,
        root: Digest(*fields.array()?),
        prev_commit: Digest(*fields.array()?),
        wall: Timestamp::from_micros(i64::from_le_bytes(*fields.array()?)),
        hlc: fields.u64()?,
    };
    fields.end()?;
    let consistent = tail.is_empty()
        && commit.number == opening.number
        && Some(commit.size) == opening.first_index.checked_add(u64::from(opening.events));
    consistent.then_some(Batch {
        opening,
        events,
        commit,
    })
}

/// What the body of an event's frame holds.
fn stored(body: &[u8]) -> Option<Stored<'_>> {
    let mut fields = Fields(body);
    let leaf_len = usize::try_from(fields.u32()?).ok()?;
    (leaf_len <= MAX_LEAF).then_some(())?;
    Some(Stored {
        leaf: fields.bytes(leaf_len)?,
        slot: fields.array()?,
        sealed: fields.0,
    })
}

#[cfg(test)]
mod tests;
