//! Entry bundles: up to 256 leaves in one file, each behind its length as a big-endian u16 (C2SP tlog-tiles §Log entries).

use crate::tile::WIDTH;

/// Adds one leaf to a bundle. `leaf` must be within [`crate::leaf::MAX_LEAF`]; longer ones never get this far.
pub(crate) fn put(bundle: &mut Vec<u8>, leaf: &[u8]) {
    let len = u16::try_from(leaf.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(leaf.get(..usize::from(len)).unwrap_or(leaf));
}

/// The leaves of a bundle in order, or `None` if a length does not fit the bytes or there are more than 256.
pub fn leaves(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = bundle;
    let mut leaves = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let (leaf, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        leaves.push(leaf);
        rest = tail;
    }
    (leaves.len() <= WIDTH).then_some(leaves)
}

#[cfg(test)]
mod tests;
