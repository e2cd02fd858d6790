//! Names against the examples of the specification and against `tlog_tiles`; the right edge against the compact range.

use super::*;
use crate::tree::leaf_hash;

#[test]
fn paths_are_those_of_the_specification() {
    let path = |kind, index, width| Tile { kind, index, width }.path().display().to_string();
    assert_eq!(
        path(Kind::Hashes(0), 1_234_067, 256),
        "tile/0/x001/x234/067"
    );
    assert_eq!(path(Kind::Entries, 0, 256), "tile/entries/000");
    assert_eq!(path(Kind::Hashes(2), 999, 1), "tile/2/999.p/1");
    assert_eq!(
        path(Kind::Entries, 1_000, 255),
        "tile/entries/x001/000.p/255"
    );
    for index in [0, 1, 999, 1_000, 123_456, 1_000_000_000] {
        for width in [1, 17, 255, 256] {
            let theirs = tlog_tiles::Tile::new(8, 1, index, u32::from(width), false).path();
            // Their path names the tile height too, as Go's checksum database does.
            assert_eq!(
                path(Kind::Hashes(1), index, width),
                theirs.replacen("tile/8/", "tile/", 1)
            );
        }
    }
}

#[test]
fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
    for kind in [Kind::Entries, Kind::Hashes(0), Kind::Hashes(3)] {
        for index in [0, 999, 1_000, 123_456, u64::MAX] {
            for width in [1, 255, 256] {
                let tile = Tile { kind, index, width };
                let path = tile.path();
                assert_eq!(Tile::parse(path.to_str().unwrap()), Some(tile), "{path:?}");
            }
        }
    }
    for other in [
        "",
        "tile",
        "tile/0",
        "tile/entries/",
        "tile/0/../../checkpoint",
        "tile/entries/x001/../000",
        "tile/entries/1",
        "tile/entries/000/",
        "tile/entries//000",
        "tile/./entries/000",
        "tile/00/000",
        "tile/+1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/+1",
        "tile/0/x999/999/999",
        "tile/0/x99999999999999999999/000",
        "/tile/0/000",
        "keys/000",
        "tile/0/000\0",
    ] {
        assert_eq!(Tile::parse(other), None, "{other:?}");
    }
}

#[test]
fn the_example_tree_of_70_000_has_the_partials_it_should() {
    let names: Vec<String> = partials(70_000)
        .iter()
        .map(|tile| tile.path().display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "tile/entries/273.p/112",
            "tile/0/273.p/112",
            "tile/1/001.p/17",
            "tile/2/000.p/1"
        ]
    );
    assert_eq!(
        partials(256),
        [Tile {
            kind: Kind::Hashes(1),
            index: 0,
            width: 1
        }]
    );
    assert!(partials(0).is_empty());
}

#[test]
fn right_edge_and_compact_range_agree_on_every_root() {
    let (mut edge, mut range) = (RightEdge::default(), CompactRange::default());
    let mut full = Vec::new();
    assert_eq!(edge.root(), range.root());
    for i in 0..1_100_u32 {
        let leaf = leaf_hash(&i.to_be_bytes());
        edge.push(leaf, &mut |tile, hashes| full.push((tile, hashes.len())));
        range.push(leaf);
        assert_eq!(edge.root(), range.root());
        assert_eq!(
            edge.partials()
                .map(|(tile, hashes)| (usize::from(tile.width), hashes.len()))
                .find(|(w, l)| w != l),
            None
        );
    }
    assert_eq!(full.len(), 4);
    assert_eq!(full[3], (Tile::full(Kind::Hashes(0), 3), 256));
}

#[test]
fn a_tile_that_is_cut_is_no_tile() {
    let bytes = to_bytes(&[leaf_hash(b"a"), leaf_hash(b"b")]);
    assert_eq!(hashes(&bytes).unwrap().len(), 2);
    assert_eq!(hashes(&bytes[1..]), None);
}
