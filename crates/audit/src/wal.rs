//! The write-ahead log: what makes an event durable. Segments of 4 KiB blocks; a batch starts on a block of its own, so no write
//! touches a sector that holds acknowledged data (`docs/reference/audit-log.md`).
//!
//! A segment is retired once everything in it is in synced tiles and under the checkpoint (`state`, `housekeeping`).

pub(crate) mod batch;
pub(crate) mod commit;
pub(crate) mod frame;
pub(crate) mod queue;
pub(crate) mod recover;
pub(crate) mod refused;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod spare;
pub(crate) mod writer;

/// Unit of placement; batches start on one.
pub(crate) const BLOCK: u64 = 4096;
/// Most events in one batch.
pub(crate) const MAX_BATCH_EVENTS: usize = 4096;
/// Most bytes of frames in one batch.
pub(crate) const MAX_BATCH_BYTES: usize = 4 << 20;

/// `len` rounded up to whole blocks.
pub(crate) const fn blocks(len: u64) -> u64 {
    len.div_ceil(BLOCK) * BLOCK
}
