//! Retention: what is older than the log is kept goes, announced on record a week ahead. Tiles of level 1 and up stay, so that what is
//! left is proven as before (`docs/reference/audit-log.md`, Retention).
//!
//! A pruning goes through four states, each durable before the next begins, so that a stop anywhere is resumed: the `log.retention` event
//! → announced in `state.json` → the new minimum in `state.json` → files deleted, from the oldest up.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::event::EventType;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::checkpoint::earlier;
use crate::disk::Disk;
use crate::leaf::Leaf;
use crate::payload;
use crate::read::{Directory, ReadError, mentions};
use crate::record::Answer;
use crate::seal::SLOT;
use crate::state::State;
use crate::tile::{Kind, Tile, WIDTH};

const WIDTH_U64: u64 = WIDTH as u64;
/// How long a pruning is on record before it is done.
pub const NOTICE: Duration = Duration::from_hours(7 * 24);
/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Most bundles deleted at a time, so that the thread's other work is not kept waiting.
const STRIDE: u64 = 256;
/// Events of a legal hold's first day may stand a little before it: producers of one moment are not in order.
const HOLD_MARGIN: Duration = Duration::from_hours(24);

/// How long leaves and kept values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Leaves, and with them their proofs.
    pub leaves: Duration,
    /// Kept values and the keys of commitments; never longer than leaves.
    pub values: Duration,
    /// Nothing recorded from then on is pruned.
    pub hold_from: Option<Timestamp>,
}

/// From which indexes on leaves and values stay; multiples of 256.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Minimum {
    pub(crate) leaves: u64,
    pub(crate) values: u64,
}

impl Minimum {
    /// The higher of each.
    fn or(self, other: Self) -> Self {
        Self {
            leaves: self.leaves.max(other.leaves),
            values: self.values.max(other.values),
        }
    }

    /// At most `bound` of each.
    fn at_most(self, bound: u64) -> Self {
        Self {
            leaves: self.leaves.min(bound),
            values: self.values.min(bound),
        }
    }
}

/// A pruning that is on record and waits for its day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// What stays.
    pub(crate) minimum: Minimum,
    /// When the rest goes.
    pub(crate) due: Timestamp,
    /// Place of its event.
    pub(crate) event: u64,
}

/// What the event says of it, in `change.id`.
pub(crate) fn named(minimum: Minimum) -> String {
    format!("{}/{}", minimum.leaves, minimum.values)
}

/// The index of leaves that a `log.retention` leaf announces; `None` for every other leaf.
pub(crate) fn announced_in(leaf: &[u8]) -> Option<u64> {
    if !mentions(leaf, "\"type\":\"log.retention\"") {
        return None;
    }
    let event = Leaf::parse(leaf).ok()?.event;
    let named = event.change.filter(|change| change.kind == KIND)?.id;
    let (leaves, _) = named.split_once('/')?;
    (event.kind == EventType::LogRetention)
        .then(|| leaves.parse().ok())
        .flatten()
}

/// `change.kind` of the event.
pub(crate) const KIND: &str = "retention";

/// The work of retention, a step at a time.
pub(crate) struct Pruner {
    retention: Retention,
    /// Being recorded.
    asked: Option<(Answer, Minimum, Timestamp)>,
    looked: Option<Duration>,
}

/// What a step asks of the thread.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Record this and hand back the answer with [`Pruner::asked`].
    pub(crate) announce: Option<(Minimum, Timestamp)>,
    /// Write the state.
    pub(crate) changed: bool,
    /// Come again soon.
    pub(crate) more: bool,
}

impl Pruner {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            asked: None,
            looked: None,
        }
    }

    /// The event is on its way.
    pub(crate) fn asked(&mut self, answer: Answer, (minimum, due): (Minimum, Timestamp)) {
        self.asked = Some((answer, minimum, due));
    }

    /// Moves the state on by what time and record allow: `wall` is the time to destroy by ([`crate::elapsed`]). Nothing from `bound` on is touched: it is not in synced tiles, or not published.
    pub(crate) fn step(
        &mut self,
        state: &mut State,
        directory: &Directory,
        bound: u64,
        (wall, monotonic): (Timestamp, Duration),
    ) -> Result<Step, ReadError> {
        let mut step = Step::default();
        if let Some((mut answer, minimum, due)) = self.asked.take() {
            match answer.try_recv() {
                Ok(Ok(receipt)) => {
                    state.announced = Some(Announced {
                        minimum,
                        due,
                        event: receipt.index,
                    });
                    step.changed = true;
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.asked = Some((answer, minimum, due));
                    step.more = true;
                }
                // Not recorded: announced again at the next look.
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
            }
            return Ok(step);
        }
        let hour = self
            .looked
            .is_none_or(|looked| monotonic.saturating_sub(looked) >= LOOK_EVERY);
        if let Some(announced) = &state.announced {
            if wall >= announced.due {
                // A hold that came after the announcement counts too.
                let held = self.held_from(directory, state, bound)?;
                let minimum = announced.minimum.at_most(held);
                state.retained_by = Some(announced.event);
                state.minimum = state.minimum.or(minimum);
                state.announced = None;
                step.changed = true;
            }
        } else if hour {
            self.looked = Some(monotonic);
            // What will be old enough when the notice is over.
            let old = |kept: Duration| wall.plus(NOTICE).minus(kept);
            let leaves = self.first_kept(directory, state, bound, old(self.retention.leaves))?;
            let values = self.retention.values.min(self.retention.leaves);
            let values = self.first_kept(directory, state, bound, old(values))?;
            let minimum = state.minimum.or(Minimum { leaves, values });
            if minimum != state.minimum {
                step.announce = Some((minimum, wall.plus(NOTICE)));
            }
        }
        Ok(step)
    }

    fn held_from(
        &self,
        directory: &Directory,
        state: &State,
        bound: u64,
    ) -> Result<u64, ReadError> {
        self.first_kept(directory, state, bound, Timestamp::from_micros(i64::MAX))
    }

    /// The first leaf of the first bundle whose last leaf is not older than `cut`, or is held.
    fn first_kept(
        &self,
        directory: &Directory,
        state: &State,
        bound: u64,
        cut: Timestamp,
    ) -> Result<u64, ReadError> {
        let hold = self.retention.hold_from;
        let cut = hold.map_or(cut, |hold| cut.min(hold.minus(HOLD_MARGIN)));
        // Logical time never falls, so bundles are in its order; it may be ahead of the wall clock, and then they stay longer.
        let (mut low, mut high) = (state.minimum.leaves / WIDTH_U64, bound / WIDTH_U64);
        while low < high {
            let middle = low.midpoint(high);
            let last = middle * WIDTH_U64 + WIDTH_U64 - 1;
            let Some(entry) = directory.entry(last)? else {
                high = middle;
                continue;
            };
            if entry.parse()?.hlc.wall() < cut {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low * WIDTH_U64)
    }
}

/// Deletes what is below the minimum and not gone yet, from the oldest up, and notes how far it got; true if there is more. Safe to
/// repeat.
pub(crate) fn prune(disk: &dyn Disk, dir: &Path, state: &mut State) -> io::Result<bool> {
    let (minimum, gone) = (state.minimum, state.gone);
    if gone.values < minimum.values {
        let until = minimum.values.min(gone.values + STRIDE * WIDTH_U64);
        prune_values(disk, dir, gone.values, until)?;
        state.gone.values = until;
        return Ok(true);
    }
    if gone.leaves < minimum.leaves {
        let until = minimum.leaves.min(gone.leaves + STRIDE * WIDTH_U64);
        for bundle in gone.leaves / WIDTH_U64..until / WIDTH_U64 {
            for kind in [Kind::Entries, Kind::Hashes(0)] {
                remove(disk, &dir.join(Tile::full(kind, bundle).path()))?;
            }
        }
        // What was signed over fewer leaves cannot be held against the tree any more.
        for size in earlier::sizes(dir)?
            .into_iter()
            .filter(|size| *size < until)
        {
            disk.remove(&dir.join(earlier::path(size)))?;
        }
        state.gone.leaves = until;
        return Ok(true);
    }
    Ok(false)
}

fn prune_values(disk: &dyn Disk, dir: &Path, from: u64, until: u64) -> io::Result<()> {
    for bundle in from / WIDTH_U64..until / WIDTH_U64 {
        remove(disk, &dir.join(payload::path(bundle, 256)))?;
    }
    let mut index = from;
    while index < until {
        let (path, offset) = payload::slot_place(index);
        let path = dir.join(path);
        let end = payload::next_file(index);
        if end <= until {
            disk.remove(&path)?;
        } else if let Ok(file) = fs::File::options().write(true).open(&path) {
            let slots = usize::try_from(until - index).unwrap_or(0);
            disk.write_at(&file, &vec![0; slots * SLOT], offset)?;
            disk.sync(&file)?;
        }
        index = end.min(until);
    }
    Ok(())
}

/// Removes a file, what a stop left half-written of it, and its partial ones.
fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.remove(path)?;
    disk.remove(&path.with_extension("tmp"))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".p");
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
