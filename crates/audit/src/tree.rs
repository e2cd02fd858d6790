//! The Merkle tree of the log: leaf and node hashes, the compact range that grows it, inclusion paths.
//!
//! RFC 6962 §2.1 (equally RFC 9162 §2.1): SHA-256 with domain bytes 0x00 for leaves and 0x01 for nodes.

use bailiwick_core::Digest;
use bailiwick_crypto::hash;

/// Hash of a leaf: SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    hash::sha256(&[&[0x00], leaf])
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut node = [0x01; 65];
    let (_, hashes) = node.split_at_mut(1);
    let (front, back) = hashes.split_at_mut(32);
    front.copy_from_slice(&left.0);
    back.copy_from_slice(&right.0);
    hash::sha256(&[&node])
}

/// The tree of a growing log, kept as the roots of its perfect subtrees: at most 64 hashes, one per set bit of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    peaks: Vec<Digest>,
}

impl CompactRange {
    /// The tree of `size` leaves with these perfect subtrees, from left to right: one for each bit that is set in `size`.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Digest>) -> Self {
        Self { size, peaks }
    }

    /// Adds one leaf hash on the right.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash; of an empty tree, the hash of nothing (RFC 6962 §2.1).
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => hash::sha256(&[]),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

impl FromIterator<Digest> for CompactRange {
    fn from_iter<I: IntoIterator<Item = Digest>>(hashes: I) -> Self {
        let mut range = Self::default();
        for hash in hashes {
            range.push(hash);
        }
        range
    }
}

/// The Merkle tree hash of the first `size` leaves. `node` is that of [`inclusion_path`].
pub fn root_of<E>(
    size: u64,
    node: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Digest, E> {
    if size == 0 {
        return Ok(CompactRange::default().root());
    }
    range_hash(0, size, node)
}

/// The sibling hashes from leaf `index` up to the root of the tree of `size` leaves (RFC 6962 §2.1.1).
///
/// `node(level, position)` gives the hash of the perfect subtree of 2^level leaves that starts at leaf `position << level`;
/// it is asked only for subtrees that are complete within `size`. An `index` outside the tree has an empty path.
pub fn inclusion_path<E>(
    index: u64,
    size: u64,
    node: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    while end - start > 1 {
        let split = start + left_size(end - start);
        if index < split {
            path.push(range_hash(split, end, node)?);
            end = split;
        } else {
            path.push(range_hash(start, split, node)?);
            start = split;
        }
    }
    path.reverse();
    Ok(path)
}

/// The root that `path` leads to from `leaf` at `index` of a tree of `size` leaves, or `None` if the path has the wrong length
/// for that place (RFC 9162 §2.1.3.2). Equal to the signed root: the leaf is in the tree.
pub fn root_from_path(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut position, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The hashes that show that the tree of `old` leaves is the beginning of the tree of `size` leaves (RFC 6962 §2.1.2). Empty where none
/// are needed, for `old` 0 and `old` equal to `size`, and where there is nothing to show, for a greater `old`.
///
/// `node` is that of [`inclusion_path`].
pub fn consistency_path<E>(
    old: u64,
    size: u64,
    node: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let mut path = Vec::new();
    if old == 0 || old >= size {
        return Ok(path);
    }
    let (mut start, mut end) = (0, size);
    while old < end {
        let split = start + left_size(end - start);
        if old <= split {
            path.push(range_hash(split, end, node)?);
            end = split;
        } else {
            path.push(range_hash(start, split, node)?);
            start = split;
        }
    }
    // Where the old tree is one perfect subtree, its root is known to whoever checks.
    if start > 0 {
        path.push(range_hash(start, end, node)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether the tree of `old` leaves with `old_root` is the beginning of the tree of `size` leaves with `root`, as `path` shows
/// (RFC 9162 §2.1.4.2). The empty tree is the beginning of every tree, and is shown by an empty path.
pub fn is_consistent(
    old: u64,
    old_root: &Digest,
    size: u64,
    root: &Digest,
    path: &[Digest],
) -> bool {
    if old == 0 {
        return path.is_empty() && *old_root == CompactRange::default().root();
    }
    if old >= size {
        return path.is_empty() && old == size && old_root == root;
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        match path.split_first() {
            Some(split) => split,
            None => return false,
        }
    };
    let skip = (old - 1).trailing_ones();
    let (mut position, mut last) = ((old - 1) >> skip, (size - 1) >> skip);
    let (mut found_old, mut found) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            found_old = node_hash(hash, &found_old);
            found = node_hash(hash, &found);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            found = node_hash(&found, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && found_old == *old_root && found == *root
}

/// Hash of the leaves `start..end`, where `start` is a multiple of the largest power of two within the range.
fn range_hash<E>(
    start: u64,
    end: u64,
    node: &mut dyn FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Digest, E> {
    let len = end - start;
    if len.is_power_of_two() {
        let level = len.trailing_zeros();
        // A u64 has 64 bits, so the level always fits.
        return node(u8::try_from(level).unwrap_or(u8::MAX), start >> level);
    }
    let split = start + left_size(len);
    let left = range_hash(start, split, node)?;
    let right = range_hash(split, end, node)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two smaller than `len`, for `len` > 1.
fn left_size(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

#[cfg(test)]
mod tests;
