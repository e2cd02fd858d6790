//! A frame: `len u32le | crc32c u32le of len, kind, body | kind u8 | body`. The smallest unit of the write-ahead log.

/// Bytes before a frame's body.
pub(crate) const OVERHEAD: usize = 9;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// First block of a segment.
    Segment = 1,
    /// Opens a batch.
    Batch = 2,
    /// One event: leaf, key slot, sealed values.
    Event = 3,
    /// Closes a batch.
    Commit = 4,
}

/// Appends a frame whose body is the concatenation of `parts`. Bodies stay below 4 GiB: a batch is at most 4 MiB.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, parts: &[&[u8]]) {
    let len = u32::try_from(parts.iter().map(|part| part.len()).sum::<usize>())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let kind = [kind as u8];
    let crc = parts.iter().fold(
        crc32c::crc32c_append(crc32c::crc32c(&len), &kind),
        |crc, part| crc32c::crc32c_append(crc, part),
    );
    out.extend_from_slice(&len);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Takes a frame of `kind` from the front of `bytes`: its body and what follows. `None` if it is cut, altered or of another kind.
pub(crate) fn take(bytes: &[u8], kind: Kind) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<1>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let actual = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(len), found), body);
    (found == &[kind as u8] && actual == u32::from_le_bytes(*crc)).then_some((body, rest))
}

/// Reads little-endian numbers and fixed parts from the front of a body.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    /// The rest must be nothing: trailing bytes mean another format.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
