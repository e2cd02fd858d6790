//! Tiles and entry bundles: their names on disk, their bytes, and the right edge from which they grow.
//!
//! C2SP tlog-tiles §Merkle Tree and §Log entries: 256 hashes or leaves to a file, so any file server can serve the log.

use std::path::PathBuf;

use bailiwick_core::Digest;

use crate::tree::CompactRange;

/// Hashes in a full tile, leaves in a full bundle.
pub const WIDTH: usize = 256;
const WIDTH_U64: u64 = 256;

/// What a file under `tile/` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Leaves: `tile/entries/…`.
    Entries,
    /// Hashes of one level: `tile/<level>/…`. Level 0 holds leaf hashes; each hash above stands for a full tile below.
    Hashes(u8),
}

/// The name of one tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Leaves or hashes of a level.
    pub kind: Kind,
    /// Place within the level, from 0.
    pub index: u64,
    /// Members, 1 to 256; below 256 the tile is partial.
    pub width: u16,
}

impl Tile {
    /// A full tile or bundle.
    pub fn full(kind: Kind, index: u64) -> Self {
        Self {
            kind,
            index,
            width: 256,
        }
    }

    /// This tile without a partial width.
    #[must_use]
    pub fn widened(self) -> Self {
        Self { width: 256, ..self }
    }

    /// The tile with this path below the log's directory; none if no tile is written so. Whatever else a path could say, such as `..`, is
    /// none.
    pub fn parse(path: &str) -> Option<Self> {
        let (number, width) = match path.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (path, 256),
        };
        let mut parts = number.split('/');
        let kind = match (parts.next()?, parts.next()?) {
            ("tile", "entries") => Kind::Entries,
            ("tile", level) => Kind::Hashes(level.parse().ok()?),
            _ => return None,
        };
        let mut index: u64 = 0;
        for part in parts {
            let group: u64 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
            index = index.checked_mul(1_000)?.checked_add(group)?;
        }
        let tile = Self { kind, index, width };
        ((1..=256).contains(&width) && tile.path().to_str() == Some(path)).then_some(tile)
    }

    /// Path below the log's directory, such as `tile/0/x001/234.p/17`.
    pub fn path(self) -> PathBuf {
        let mut path = PathBuf::from("tile");
        match self.kind {
            Kind::Entries => path.push("entries"),
            Kind::Hashes(level) => path.push(level.to_string()),
        }
        numbered(path, self.index, self.width)
    }

    /// Index of the first leaf that this tile covers.
    pub fn first_leaf(self) -> u64 {
        let shift = match self.kind {
            Kind::Entries => 8,
            Kind::Hashes(level) => 8 * (u32::from(level) + 1),
        };
        self.index.checked_shl(shift).unwrap_or(u64::MAX)
    }
}

/// The name of number `index` below `dir`, in groups of three digits; with its width if that is not 256.
pub(crate) fn numbered(mut dir: PathBuf, index: u64, width: u16) -> PathBuf {
    let mut groups = Vec::new();
    let mut rest = index;
    loop {
        groups.push(rest % 1000);
        rest /= 1000;
        if rest == 0 {
            break;
        }
    }
    while let Some(group) = groups.pop() {
        match (groups.is_empty(), width) {
            (false, _) => dir.push(format!("x{group:03}")),
            (true, 256) => dir.push(format!("{group:03}")),
            (true, width) => {
                dir.push(format!("{group:03}.p"));
                dir.push(width.to_string());
            }
        }
    }
    dir
}

/// Every tile and bundle of a tree of `size` leaves that holds the rightmost members: the partial ones, and per level the tile
/// in which the tree ends. Used to name what a checkpoint of that size needs beyond full tiles.
pub fn partials(size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut width = size;
    let mut level = 0;
    while width > 0 {
        let rest = u16::try_from(width % WIDTH_U64).unwrap_or(0);
        if rest > 0 {
            let index = width / WIDTH_U64;
            if level == 0 {
                tiles.push(Tile {
                    kind: Kind::Entries,
                    index,
                    width: rest,
                });
            }
            tiles.push(Tile {
                kind: Kind::Hashes(level),
                index,
                width: rest,
            });
        }
        width /= WIDTH_U64;
        level += 1;
    }
    tiles
}

/// The tile of `level` in which position `index` lies, at the width it has in a tree of `size` leaves.
pub fn tile_of(level: u8, position: u64, size: u64) -> Tile {
    let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    let index = position / WIDTH_U64;
    let width = hashes
        .saturating_sub(index.saturating_mul(WIDTH_U64))
        .min(WIDTH_U64);
    Tile {
        kind: Kind::Hashes(level),
        index,
        width: u16::try_from(width).unwrap_or(256),
    }
}

/// Hashes of a tile's bytes, or `None` if the length is not a whole number of hashes.
pub fn hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    rest.is_empty()
        .then(|| chunks.iter().map(|chunk| Digest(*chunk)).collect())
}

/// Bytes of a tile.
pub fn to_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The unfinished tiles of a growing tree: per level the hashes since the last full tile.
#[derive(Debug, Clone, Default)]
pub struct RightEdge {
    size: u64,
    levels: Vec<Vec<Digest>>,
}

impl RightEdge {
    /// Adds a leaf hash; `full` is told of each tile that became full, from level 0 upwards.
    pub fn push(&mut self, leaf: Digest, full: &mut dyn FnMut(Tile, &[Digest])) {
        self.size += 1;
        let mut hash = leaf;
        let mut level = 0_u8;
        let mut filled = self.size;
        loop {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(WIDTH));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else {
                return;
            };
            hashes.push(hash);
            if hashes.len() < WIDTH {
                return;
            }
            filled /= WIDTH_U64;
            full(Tile::full(Kind::Hashes(level), filled - 1), hashes);
            hash = hashes.drain(..).collect::<CompactRange>().root();
            level += 1;
        }
    }

    /// The edge of a tree of `size` leaves; `tile` gives the hashes of each of its partial tiles.
    pub(crate) fn at<E>(
        size: u64,
        tile: &mut dyn FnMut(Tile) -> Result<Vec<Digest>, E>,
    ) -> Result<Self, E> {
        let mut levels: Vec<Vec<Digest>> = Vec::new();
        for partial in partials(size) {
            if let Kind::Hashes(level) = partial.kind {
                levels.resize_with(usize::from(level) + 1, Vec::new);
                if let Some(hashes) = levels.last_mut() {
                    *hashes = tile(partial)?;
                }
            }
        }
        Ok(Self { size, levels })
    }

    /// The tree whose edge this is.
    pub(crate) fn tree(&self) -> CompactRange {
        let levels = self.levels.iter().rev();
        CompactRange::from_peaks(
            self.size,
            levels.flat_map(|hashes| perfect_subtrees(hashes)).collect(),
        )
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The partial tiles of the present size with their hashes.
    pub fn partials(&self) -> impl Iterator<Item = (Tile, &[Digest])> {
        partials(self.size)
            .into_iter()
            .filter_map(|tile| match tile.kind {
                Kind::Entries => None,
                Kind::Hashes(level) => self
                    .levels
                    .get(usize::from(level))
                    .map(|hashes| (tile, hashes.as_slice())),
            })
    }

    /// The Merkle tree hash, computed from the tiles alone.
    pub fn root(&self) -> Digest {
        let mut root = None;
        for hashes in &self.levels {
            for hash in perfect_subtrees(hashes).into_iter().rev() {
                root = Some(match root {
                    None => hash,
                    Some(right) => crate::tree::node_hash(&hash, &right),
                });
            }
        }
        root.unwrap_or_else(|| CompactRange::default().root())
    }
}

/// Roots of the perfect subtrees of `hashes`, from the left (widest) to the right.
fn perfect_subtrees(hashes: &[Digest]) -> Vec<Digest> {
    let mut rest = hashes;
    let mut roots = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(1 << rest.len().ilog2());
        roots.push(head.iter().copied().collect::<CompactRange>().root());
        rest = tail;
    }
    roots
}

#[cfg(test)]
mod tests;
