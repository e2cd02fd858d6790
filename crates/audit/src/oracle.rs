//! Other people's code on our files: `tlog_tiles` computes roots and proofs from them, `signed_note` checks the checkpoint.

use std::fs;
use std::path::PathBuf;

use bailiwick_core::Digest;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, HashReader, TileHashReader, TileReader, tlog::Error};

use crate::bundle;
use crate::checkpoint;
use crate::fixtures::{ORIGIN, keys, leaf, published, root};
use crate::proof::Proof;
use crate::read::Directory;
use crate::tree::{is_consistent, leaf_hash};

/// Our tile files, behind their interface. They name the tile's height in the path, as Go's checksum database does.
struct Files(PathBuf);

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &tlog_tiles::Tile| {
            fs::read(self.0.join(tile.path().replacen("tile/8/", "tile/", 1))).unwrap()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Hashes as their own builder stores them, from the leaves alone.
#[derive(Default)]
struct Memory(Vec<Hash>);

impl HashReader for Memory {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()])
            .collect())
    }
}

#[test]
fn others_accept_our_tiles_proofs_and_checkpoints_at_every_awkward_size() {
    for (size, batch) in [
        (1, 1),
        (2, 1),
        (255, 100),
        (256, 256),
        (257, 13),
        (70_000, 4_000),
    ] {
        let dir = tempfile::tempdir().unwrap();
        published(dir.path(), size, batch);

        let note = fs::read(dir.path().join(checkpoint::FILE)).unwrap();
        let verifier = StandardVerifier::new(&keys()[0].vkey()).unwrap();
        let (known, unknown) = Note::from_bytes(&note)
            .unwrap()
            .verify(&VerifierList::new(vec![Box::new(verifier)]))
            .unwrap();
        assert_eq!((known.len(), unknown.len()), (1, 0));
        let theirs =
            tlog_tiles::Checkpoint::from_bytes(Note::from_bytes(&note).unwrap().text()).unwrap();
        assert_eq!(
            (theirs.origin(), theirs.size(), theirs.extension()),
            (ORIGIN, size, "")
        );

        let mut memory = Memory::default();
        for index in 0..size {
            let stored = tlog_tiles::stored_hashes(index, &leaf(index), &memory).unwrap();
            memory.0.extend(stored);
        }
        let tree_hash = tlog_tiles::tree_hash(size, &memory).unwrap();
        assert_eq!(theirs.hash(), &tree_hash);
        assert_eq!(root(size), Digest(tree_hash.0));

        let files = Files(dir.path().to_path_buf());
        let reader = TileHashReader::new(size, tree_hash, &files);
        let directory = Directory::new(dir.path().to_path_buf());
        for index in [
            0,
            1,
            2,
            127,
            254,
            255,
            256,
            511,
            512,
            65_535,
            65_536,
            size / 2,
            size - 1,
        ] {
            if index >= size {
                continue;
            }
            let expected = tlog_tiles::prove_record(size, index, &reader).unwrap();
            let ours = directory.prove(index).unwrap();
            assert_eq!(
                ours.path
                    .iter()
                    .map(|hash| Hash(hash.0))
                    .collect::<Vec<_>>(),
                expected,
                "{index} of {size}"
            );
            assert_eq!(ours.leaf, leaf(index));
            tlog_tiles::check_record(
                &expected,
                size,
                tree_hash,
                index,
                Hash(leaf_hash(&ours.leaf).0),
            )
            .unwrap();
            if index > 0 {
                let shown = directory.consistency(index, size).unwrap();
                let theirs: Vec<Hash> = shown.iter().map(|hash| Hash(hash.0)).collect();
                let old = Hash(root(index).0);
                tlog_tiles::check_tree(&theirs, size, tree_hash, index, old).unwrap();
                assert_eq!(
                    tlog_tiles::prove_tree(size, index, &reader).unwrap(),
                    theirs,
                    "{index} of {size}"
                );
                assert!(is_consistent(
                    index,
                    &root(index),
                    size,
                    &root(size),
                    &shown
                ));
            }
            let text = ours.to_string();
            let read_back = Proof::parse(&text).unwrap();
            assert_eq!(read_back, ours);
            assert_eq!(read_back.verify(&keys()).unwrap().size, size);
        }
    }
}

#[test]
fn bundles_are_length_prefixed_leaves() {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 300, 300);
    let bytes = fs::read(dir.path().join("tile/entries/001.p/44")).unwrap();
    assert_eq!(&bytes[..10], b"\x00\x08leaf 256");
    assert_eq!(bundle::leaves(&bytes).unwrap().len(), 44);
    assert_eq!(bundle::leaves(&bytes[..bytes.len() - 1]), None);
}
