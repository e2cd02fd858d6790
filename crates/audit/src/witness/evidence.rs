//! What a witness keeps of a log that contradicts itself: the checkpoint it holds and the request that does not fit it, side by side.

use std::fs;
use std::path::Path;

use super::Held;
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;

/// Below the log's directory.
pub(super) const DIR: &str = "evidence";
/// Most cases kept of one log. The first ones say enough; only the log's own key can make any.
pub(super) const MAX_CASES: usize = 32;

/// Keeps `held` and `body` as `<size>-<start of root>.{held,request}`. Whether this succeeds changes nothing about the refusal.
pub(super) fn keep(disk: &dyn Disk, dir: &Path, held: &Held, body: &[u8], submitted: &Checkpoint) {
    let dir = dir.join(DIR);
    let root: String = submitted.root.to_hex().chars().take(16).collect();
    let name = format!("{}-{root}", submitted.size);
    let origin = submitted.origin.as_str();
    tracing::error!(
        origin,
        held = held.checkpoint.size,
        submitted = submitted.size,
        case = name,
        "a log signed a checkpoint that does not continue the one cosigned before"
    );
    if dir.join(format!("{name}.request")).exists() {
        return;
    }
    // Two files a case.
    if fs::read_dir(&dir).is_ok_and(|entries| entries.count() >= 2 * MAX_CASES) {
        tracing::warn!(origin, "no more evidence of this log is kept");
        return;
    }
    let written = disk
        .replace(
            &dir.join(format!("{name}.held")),
            held.note.as_bytes(),
            true,
        )
        .and_then(|()| disk.replace(&dir.join(format!("{name}.request")), body, true));
    if let Err(error) = written {
        tracing::warn!(%error, origin, case = name, "the evidence cannot be kept");
    }
}
