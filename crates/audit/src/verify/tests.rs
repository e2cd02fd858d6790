//! Every altered byte that a checkpoint covers is found, and the first bad index and file are named.

use bailiwick_core::Secret;
use bailiwick_core::event::EventType;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use tempfile::TempDir;

use super::*;
use crate::fixtures::{ORIGIN, files, keys, published, root, signer};

fn log(size: u64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), size, 100);
    dir
}

/// The verdict after a change to one file; the file is put back.
fn after(dir: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Verdict {
    let path = dir.join(file);
    let original = fs::read(&path).unwrap();
    let mut bytes = original.clone();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let verdict = verify(dir, &keys());
    fs::write(&path, original).unwrap();
    verdict
}

#[track_caller]
fn assert_altered(verdict: &Verdict, what: Altered, index: Option<u64>, file: &str) {
    match verdict {
        Verdict::Altered(found) => {
            assert_eq!(
                (found.what, found.index, found.file.to_str().unwrap()),
                (what, index, file),
                "{found}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(verdict.exit_code(), 1);
}

#[test]
fn untouched_logs_are_proven() {
    for size in [1, 2, 255, 256, 257, 700] {
        let dir = log(size);
        let Verdict::Proven(report) = verify(dir.path(), &keys()) else {
            panic!("size {size}")
        };
        assert_eq!(
            report.checkpoint,
            Checkpoint {
                origin: ORIGIN.into(),
                size,
                root: root(size)
            }
        );
        assert_eq!(report.wal_size, Some(size));
    }
}

#[test]
fn a_copy_of_the_published_files_is_proven_too() {
    let dir = log(300);
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let Verdict::Proven(report) = verify(dir.path(), &keys()) else {
        panic!()
    };
    assert_eq!(report.wal_size, None);
}

#[test]
fn a_tampered_leaf_is_named() {
    let dir = log(700);
    // `leaf 0` to `leaf 9` take 2 + 6 bytes each, so this is in the middle of `leaf 7`.
    let seventh = 7 * 8 + 4;
    let verdict = after(dir.path(), "tile/entries/000", |bytes| bytes[seventh] ^= 1);
    assert_altered(&verdict, Altered::Leaf, Some(7), "tile/entries/000");
    assert_altered(
        &after(dir.path(), "tile/entries/001", |bytes| bytes[2] ^= 1),
        Altered::Leaf,
        Some(256),
        "tile/entries/001",
    );
    let last = "tile/entries/002.p/188";
    assert_altered(
        &after(dir.path(), last, |bytes| *bytes.last_mut().unwrap() ^= 1),
        Altered::Leaf,
        Some(699),
        last,
    );
    let cut = after(dir.path(), last, |bytes| bytes.truncate(100));
    assert_altered(&cut, Altered::Leaf, Some(512), last);
}

#[test]
fn a_tampered_tile_is_named() {
    let dir = log(700);
    let tile = |file, at: usize| after(dir.path(), file, |bytes| bytes[at] ^= 1);
    assert_altered(
        &tile("tile/0/000", 32 * 7),
        Altered::Tile,
        Some(7),
        "tile/0/000",
    );
    assert_altered(
        &tile("tile/0/001", 32 * 255 + 31),
        Altered::Tile,
        Some(511),
        "tile/0/001",
    );
    assert_altered(
        &tile("tile/0/002.p/188", 0),
        Altered::Tile,
        Some(512),
        "tile/0/002.p/188",
    );
    assert_altered(
        &tile("tile/1/000.p/2", 32),
        Altered::Tile,
        Some(256),
        "tile/1/000.p/2",
    );
}

#[test]
fn bytes_added_behind_a_tile_or_bundle_are_named() {
    let dir = log(700);
    let add = |file, more: &[u8]| after(dir.path(), file, |bytes| bytes.extend_from_slice(more));
    let cases: [(&str, &[u8], Altered, u64); 6] = [
        ("tile/0/001", &[0; 32], Altered::Tile, 256),
        ("tile/0/001", &[0; 1], Altered::Tile, 256),
        ("tile/0/002.p/188", &[0; 32], Altered::Tile, 512),
        ("tile/1/000.p/2", &[0; 32], Altered::Tile, 0),
        ("tile/entries/002.p/188", &[0; 2], Altered::Leaf, 700),
        ("tile/entries/001", &[0; 1], Altered::Leaf, 256),
    ];
    for (file, more, what, index) in cases {
        assert_altered(&add(file, more), what, Some(index), file);
    }
}

#[test]
fn every_byte_of_a_small_log_is_covered() {
    let dir = log(3);
    let before: Vec<PathBuf> = files(dir.path());
    assert_eq!(before.len(), 4, "{before:?}");
    for file in before
        .iter()
        .filter(|file| !file.starts_with(dir.path().join("wal")))
    {
        let name = file
            .strip_prefix(dir.path())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        for at in 0..fs::read(file).unwrap().len() {
            let verdict = after(dir.path(), &name, |bytes| bytes[at] ^= 1);
            assert_ne!(verdict.exit_code(), 0, "{name} byte {at}: {verdict:?}");
        }
    }
}

#[test]
fn a_leaf_and_its_tile_altered_together_are_named() {
    let dir = log(700);
    let path = dir.path().join("tile/entries/001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let forged = leaf_hash(bundle::leaves(&bytes).unwrap()[0]);
    let verdict = after(dir.path(), "tile/0/001", |tile| {
        tile[..32].copy_from_slice(&forged.0);
    });
    assert_altered(&verdict, Altered::Leaf, Some(256), "tile/entries/001");
}

#[test]
fn a_tile_and_another_bundles_leaf_are_told_apart() {
    let dir = log(700);
    let path = dir.path().join("tile/0/000");
    let mut bytes = fs::read(&path).unwrap();
    bytes[32] ^= 1;
    fs::write(&path, bytes).unwrap();
    let verdict = after(dir.path(), "tile/entries/001", |bytes| bytes[2] ^= 1);
    assert_altered(&verdict, Altered::Leaf, Some(256), "tile/entries/001");
}

#[test]
fn a_wholly_rewritten_log_does_not_fit_the_signed_checkpoint() {
    let dir = log(300);
    let signed = fs::read(dir.path().join(checkpoint::FILE)).unwrap();
    let other = tempfile::tempdir().unwrap();
    published(other.path(), 299, 7);
    crate::fixtures::append_and_publish(other.path(), b"another last leaf");
    fs::write(other.path().join(checkpoint::FILE), signed).unwrap();
    let verdict = verify(other.path(), &keys());
    assert_altered(&verdict, Altered::Everything, None, "tile");
}

#[test]
fn a_checkpoint_is_believed_only_under_the_key_given() {
    let dir = log(10);
    let forger = NoteSigner::new(
        ORIGIN,
        Ed25519Key::from_seed(&Secret::new([8; 32])).unwrap(),
    )
    .unwrap();
    let impostor = Checkpoint {
        origin: ORIGIN.into(),
        size: 9,
        root: root(9),
    }
    .sign(&forger)
    .unwrap();
    let verdict = after(dir.path(), checkpoint::FILE, |bytes| {
        *bytes = impostor.clone().into_bytes();
    });
    assert_eq!(verdict.exit_code(), 6, "{verdict:?}");
    let text = String::from_utf8(fs::read(dir.path().join(checkpoint::FILE)).unwrap()).unwrap();
    let smaller = text.replacen("\n10\n", "\n9\n", 1);
    let verdict = after(dir.path(), checkpoint::FILE, |bytes| {
        *bytes = smaller.into_bytes();
    });
    assert_altered(&verdict, Altered::Signature, None, "checkpoint");
    // Signed by the right key, but for a log of another name.
    let other = Checkpoint {
        origin: "example.org/other".into(),
        size: 10,
        root: root(10),
    }
    .sign(&signer())
    .unwrap();
    let verdict = after(dir.path(), checkpoint::FILE, |bytes| {
        *bytes = other.into_bytes();
    });
    assert_altered(&verdict, Altered::Signature, None, "checkpoint");
}

#[test]
fn missing_files_cannot_be_told() {
    let dir = log(300);
    for file in [
        "checkpoint",
        "tile/0/000",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/1/000.p/1",
        "wal/0000000000000000",
    ] {
        let path = dir.path().join(file);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let verdict = verify(dir.path(), &keys());
        assert!(
            matches!(&verdict, Verdict::CannotTell { file: named, .. } if named.to_str() == Some(file)),
            "{file}: {verdict:?}"
        );
        assert_eq!(verdict.exit_code(), 6);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn the_write_ahead_log_is_held_to_the_tree() {
    let dir = log(300);
    let segment = "wal/0000000000000000";
    // The first byte of the second batch's opening frame, with a third behind it.
    let second = 4096 * (1 + blocks_of_batch(dir.path(), 1));
    let damaged = after(dir.path(), segment, |bytes| bytes[second] ^= 1);
    assert_altered(&damaged, Altered::Wal, Some(100), segment);
    let third = second + 4096 * blocks_of_batch(dir.path(), second / 4096);
    let cut = after(dir.path(), segment, |bytes| bytes[third..].fill(0));
    assert_altered(&cut, Altered::Wal, Some(200), segment);
    let header = after(dir.path(), segment, |bytes| bytes[20] ^= 1);
    assert_altered(&header, Altered::Wal, Some(0), segment);
}

fn blocks_of_batch(dir: &Path, block: usize) -> usize {
    let bytes = fs::read(dir.join("wal/0000000000000000")).unwrap();
    let opening = crate::wal::batch::opening(&bytes[block * 4096..]).unwrap();
    (opening.bytes as usize).div_ceil(4096)
}

#[test]
fn a_write_ahead_log_of_other_leaves_is_named() {
    let dir = log(300);
    let other = tempfile::tempdir().unwrap();
    published(other.path(), 150, 50);
    crate::fixtures::append_and_publish(other.path(), b"never in the tree");
    let segment = "wal/0000000000000000";
    let forged = fs::read(other.path().join(segment)).unwrap();
    let verdict = after(dir.path(), segment, |bytes| *bytes = forged);
    assert_altered(&verdict, Altered::Wal, Some(150), segment);
}

/// A `log.retention` event over leaves below `minimum`.
fn retention_leaf(minimum: u64) -> Vec<u8> {
    let mut event = crate::fixtures::event(EventType::LogRetention);
    event.change = Some(bailiwick_core::event::ChangeRef {
        kind: "retention".into(),
        id: format!("{minimum}/{minimum}"),
        before: None,
        after: None,
    });
    let leaf = crate::leaf::Leaf {
        v: 1,
        node: "node-1".into(),
        src: crate::leaf::Source {
            svc: "serve".into(),
            version: "0".into(),
        },
        ts: bailiwick_core::Timestamp::from_secs(1),
        hlc: crate::hlc::Hlc(1),
        event,
        sealed: Vec::new(),
    };
    serde_json::to_vec(&leaf).unwrap()
}

#[test]
fn what_is_left_of_a_large_pruned_log_is_proven_and_its_upper_tiles_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let minimum = 65_536 + 512;
    published(dir.path(), 70_000, 4_000);
    crate::fixtures::append_and_publish(dir.path(), &retention_leaf(minimum));
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    for bundle in 0..minimum / 256 {
        for kind in [Kind::Entries, Kind::Hashes(0)] {
            fs::remove_file(dir.path().join(Tile::full(kind, bundle).path())).unwrap();
        }
    }
    let mut state = State::default();
    state.minimum.leaves = minimum;
    state
        .write(&crate::fixtures::TestDisk::default(), dir.path())
        .unwrap();
    match verify(dir.path(), &keys()) {
        Verdict::Proven(report) => {
            assert_eq!((report.pruned, report.checkpoint.size), (minimum, 70_001));
        }
        other => panic!("{other:?}"),
    }
    let directory = crate::read::Directory::new(dir.path().to_path_buf());
    for index in [minimum, 70_000] {
        directory.prove(index).unwrap().verify(&keys()).unwrap();
    }
    // Of what is pruned only the upper tiles are left, and they are checked all the same.
    for (file, at) in [("tile/1/000", 77), ("tile/1/001.p/17", 20)] {
        let path = dir.path().join(file);
        let intact = fs::read(&path).unwrap();
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(verify(dir.path(), &keys()).exit_code(), 1, "{file}");
        fs::write(&path, intact).unwrap();
    }
}
