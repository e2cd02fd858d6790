//! Every answer of tlog-witness §add-checkpoint, and that a witness never signs two histories, whatever fails.

use std::fs;
use std::sync::atomic::Ordering;

use bailiwick_core::{Digest, Secret, Timestamp};
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::SystemClock;

use super::*;
use crate::fixtures::{EIO, JumpingClock, ORIGIN, TestDisk, keys, leaf, root, signer};
use crate::tree::{consistency_path, leaf_hash};

struct Bench {
    dir: tempfile::TempDir,
    disk: Arc<TestDisk>,
    clock: Arc<dyn Clock>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    fn try_open(&self, logs: Vec<NoteVerifier>) -> Result<Witness, OpenWitnessError> {
        Witness::open(
            self.dir.path(),
            own(1),
            logs,
            self.disk.clone(),
            self.clock.clone(),
        )
    }

    fn open(&self) -> Witness {
        self.try_open(keys().to_vec()).unwrap()
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join(crate::origin_hash(ORIGIN).to_hex())
    }
}

fn own(seed: u8) -> CosignatureSigner {
    let key = Ed25519Key::from_seed(&Secret::new([seed; 32])).unwrap();
    CosignatureSigner::new("witness.example/w1", key).unwrap()
}

fn verifier() -> CosignatureVerifier {
    own(1).verifier().unwrap()
}

/// Hashes of `count` leaves of one of several histories; history 0 is that of the fixtures.
fn leaves(count: u64, history: u8) -> Vec<Digest> {
    let mut leaves: Vec<Digest> = (0..count).map(|index| leaf_hash(&leaf(index))).collect();
    if let Some(first) = leaves.first_mut().filter(|_| history > 0) {
        first.0[0] ^= history;
    }
    leaves
}

fn proof(old: u64, leaves: &[Digest]) -> Vec<Digest> {
    consistency_path::<()>(old, leaves.len() as u64, &mut |level, position| {
        let start = usize::try_from(position << level).unwrap();
        Ok(leaves[start..start + (1 << level)]
            .iter()
            .copied()
            .collect::<CompactRange>()
            .root())
    })
    .unwrap()
}

fn note(size: u64, history: u8) -> Note {
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: leaves(size, history)
            .into_iter()
            .collect::<CompactRange>()
            .root(),
    };
    Note::parse(checkpoint.sign(&signer()).unwrap().as_bytes()).unwrap()
}

/// An honest request of one history.
fn request(old: u64, size: u64, history: u8) -> Request {
    Request {
        old,
        proof: proof(old, &leaves(size, history)),
        note: note(size, history),
    }
}

fn send(witness: &Witness, request: &Request) -> Result<String, Refusal> {
    witness.add_checkpoint(request.to_string().as_bytes())
}

/// The size that a witness says it holds.
fn held(witness: &Witness) -> u64 {
    let hash = crate::origin_hash(ORIGIN).to_hex();
    witness.checkpoint(&hash).map_or(0, |note| {
        Checkpoint::verify(note.as_bytes(), &keys()).unwrap().size
    })
}

#[test]
fn a_growing_log_is_cosigned_step_by_step_and_across_restarts() {
    let bench = Bench::new();
    let mut old = 0;
    for size in [0, 1, 2, 255, 256, 257, 1_000, 1_000] {
        let witness = bench.open();
        assert_eq!(held(&witness), old);
        let lines = send(&witness, &request(old, size, 0)).unwrap();
        // As a client does: put the lines behind the checkpoint and ask the note.
        let cosigned = Note::parse(format!("{}{lines}", note(size, 0)).as_bytes()).unwrap();
        let (time, _) = verifier().cosignature(&cosigned).unwrap().unwrap();
        assert!(bench.clock.wall().since(time).as_secs() < 60);
        let served = witness
            .checkpoint(&crate::origin_hash(ORIGIN).to_hex())
            .unwrap();
        assert_eq!(served, cosigned.to_string());
        old = size;
    }
    assert!(bench.open().checkpoint("00").is_none());
    assert_eq!(held(&bench.open()), 1_000);
    assert_eq!(
        root(1_000),
        leaves(1_000, 0)
            .into_iter()
            .collect::<CompactRange>()
            .root()
    );
}

#[test]
fn requests_that_are_none_are_malformed() {
    let witness = Bench::new().open();
    let good = request(0, 3, 0).to_string();
    let hash = format!("{}\n", "A".repeat(43) + "=");
    let bad = [
        String::new(),
        "\n\n".into(),
        good.replacen("old 0", "old", 1),
        good.replacen("old 0", "old 00", 1),
        good.replacen("old 0", "old +0", 1),
        good.replacen("old 0", "OLD 0", 1),
        good.replacen("old 0", "old 9223372036854775808", 1),
        good.replacen("old 0\n", "old 0\r\n", 1),
        good.replacen("old 0\n", "old 0\nAAAA\n", 1),
        good.replacen("old 0\n", "old 0\nnot base64\n", 1),
        good.replacen("old 0\n", &format!("old 0\n{}", hash.repeat(64)), 1),
        good.trim_end().to_owned(),
        good.replacen("\n3\n", "\n03\n", 1),
        good.replacen("\n3\n", "\n9223372036854775808\n", 1),
        format!("{good}{}", "x".repeat(MAX_REQUEST)),
        request(4, 3, 0).to_string(),
    ];
    for body in bad {
        let refusal = witness.add_checkpoint(body.as_bytes()).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Malformed(_)),
            "{refusal}: {body}"
        );
    }
    assert!(matches!(
        witness.add_checkpoint(b"old 0\n\n\xff\n\n"),
        Err(Refusal::Malformed(_))
    ));
    // 63 lines are a request; that they prove nothing is another matter.
    let full = good.replacen("old 0\n", &format!("old 0\n{}", hash.repeat(63)), 1);
    assert!(matches!(
        witness.add_checkpoint(full.as_bytes()),
        Err(Refusal::Inconsistent { .. })
    ));
    assert_eq!(held(&witness), 0);
}

#[test]
fn strangers_and_altered_checkpoints_are_refused() {
    let witness = Bench::new().open();
    let sign = |origin: &str, key: Ed25519Key| {
        let checkpoint = Checkpoint {
            origin: origin.into(),
            size: 3,
            root: root(3),
        };
        let note = checkpoint
            .sign(&NoteSigner::new(origin, key).unwrap())
            .unwrap();
        witness.add_checkpoint(format!("old 0\n\n{note}").as_bytes())
    };
    let stranger = || Ed25519Key::generate().unwrap();
    assert!(matches!(
        sign("example.org/other", stranger()),
        Err(Refusal::UnknownLog)
    ));
    assert!(matches!(
        sign(ORIGIN, stranger()),
        Err(Refusal::Untrusted(NoteError::Unsigned))
    ));
    let altered = request(0, 3, 0).to_string().replacen("\n3\n", "\n4\n", 1);
    assert!(matches!(
        witness.add_checkpoint(altered.as_bytes()),
        Err(Refusal::Untrusted(NoteError::BadSignature { .. }))
    ));
    // A stranger's line beside the log's own is ignored, and is not passed on.
    let mut two = request(0, 3, 0);
    let extra = NoteSigner::new("stranger", stranger()).unwrap();
    let line = Note::sign(two.note.text(), &[&extra]).unwrap().signatures()[0].clone();
    two.note.add(line).unwrap();
    send(&witness, &two).unwrap();
    let served = witness
        .checkpoint(&crate::origin_hash(ORIGIN).to_hex())
        .unwrap();
    assert!(!served.contains("stranger"), "{served}");
}

#[test]
fn another_old_size_is_a_conflict_that_says_the_size() {
    let witness = Bench::new().open();
    send(&witness, &request(0, 300, 0)).unwrap();
    for old in [0, 1, 299, 301] {
        let refusal = send(&witness, &request(old, 301, 0)).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Conflict { size: 300 }),
            "{refusal}"
        );
    }
    // An older checkpoint, sent again: it cannot start from what is held.
    assert!(matches!(
        send(&witness, &request(0, 200, 0)),
        Err(Refusal::Conflict { size: 300 })
    ));
    assert!(matches!(
        send(&witness, &request(300, 200, 0)),
        Err(Refusal::Malformed(_))
    ));
    assert_eq!(held(&witness), 300);
}

#[test]
fn a_second_history_is_refused_and_kept_as_evidence() {
    let bench = Bench::new();
    let witness = bench.open();
    send(&witness, &request(0, 300, 0)).unwrap();
    let evidence = bench.state().join(evidence::DIR);
    assert!(!evidence.exists());

    // The same size with another root, honest within its own history.
    let fork = request(300, 300, 1);
    assert!(matches!(
        send(&witness, &fork),
        Err(Refusal::Inconsistent {
            old: 300,
            size: 300
        })
    ));
    // A larger tree of the other history.
    assert!(matches!(
        send(&witness, &request(300, 400, 1)),
        Err(Refusal::Inconsistent { .. })
    ));
    // The fork again, from the size that the witness does not hold: still evidence, and a conflict.
    let elsewhere = Request {
        old: 0,
        proof: Vec::new(),
        ..request(300, 300, 2)
    };
    assert!(matches!(
        send(&witness, &elsewhere),
        Err(Refusal::Conflict { size: 300 })
    ));
    let mut names: Vec<String> = fs::read_dir(&evidence)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6, "{names:?}");
    let of = |name: &str| {
        let request = fs::read(evidence.join(name)).unwrap();
        let held = fs::read(evidence.join(name.replace(".request", ".held"))).unwrap();
        (
            Request::parse(&request).unwrap(),
            Checkpoint::verify(&held, &keys()).unwrap(),
        )
    };
    for name in names.iter().filter(|name| name.ends_with(".request")) {
        // Both sides carry the log's signature: this is what can be shown to others.
        let (request, held) = of(name);
        request.note.verify(&keys()).unwrap();
        let submitted = request.checkpoint().unwrap();
        assert!(name.starts_with(&submitted.size.to_string()));
        assert_eq!((held.size, held.root), (300, root(300)));
        assert!(!is_consistent(
            held.size,
            &held.root,
            submitted.size,
            &submitted.root,
            &request.proof
        ));
    }
    // The honest history goes on.
    send(&witness, &request(300, 400, 0)).unwrap();

    for history in 3..=255 {
        let _ = send(&witness, &request(400, 400, history));
    }
    let kept = fs::read_dir(&evidence).unwrap().count();
    assert_eq!(kept, 2 * evidence::MAX_CASES);
}

#[test]
fn an_empty_tree_has_the_root_of_nothing() {
    let witness = Bench::new().open();
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size: 0,
        root: root(3),
    };
    let note = checkpoint.sign(&signer()).unwrap();
    assert!(matches!(
        witness.add_checkpoint(format!("old 0\n\n{note}").as_bytes()),
        Err(Refusal::Inconsistent { old: 0, size: 0 })
    ));
}

#[test]
fn what_cannot_be_kept_is_not_cosigned() {
    let bench = Bench::new();
    let witness = bench.open();
    send(&witness, &request(0, 3, 0)).unwrap();
    for failing in [&bench.disk.write, &bench.disk.sync] {
        failing.store(EIO, Ordering::SeqCst);
        assert!(matches!(
            send(&witness, &request(3, 9, 0)),
            Err(Refusal::Storage(_))
        ));
        assert_eq!(held(&witness), 3);
        failing.store(0, Ordering::SeqCst);
    }
    // It may have been stored in spite of the failed sync, but it was never shown: the other history is refused all the same.
    drop(witness);
    let witness = bench.open();
    let size = held(&witness);
    assert!(send(&witness, &request(size, 9, 1)).is_err());
    send(&witness, &request(size, 9, 0)).unwrap();
}

#[test]
fn a_clock_before_1970_signs_nothing() {
    let bench = Bench {
        clock: Arc::new(JumpingClock::frozen(Timestamp::from_secs(-5).as_micros())),
        ..Bench::new()
    };
    let witness = bench.open();
    assert!(matches!(
        send(&witness, &request(0, 3, 0)),
        Err(Refusal::Sign(_))
    ));
    assert_eq!(held(&witness), 0);
}

#[test]
fn racing_requests_leave_one_history() {
    let witness = Bench::new().open();
    send(&witness, &request(0, 50, 0)).unwrap();
    // Several continuations of 50, each of another size: one wins, the others conflict. None rolls the state back.
    let signed: Vec<u64> = std::thread::scope(|scope| {
        let runs: Vec<_> = (51..59_u64)
            .map(|size| {
                let witness = &witness;
                scope.spawn(move || {
                    let answer = send(witness, &request(50, size, 0));
                    match answer {
                        Ok(_) => Some(size),
                        Err(Refusal::Conflict { .. }) => None,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        runs.into_iter()
            .filter_map(|run| run.join().unwrap())
            .collect()
    });
    assert_eq!(signed.len(), 1);
    assert_eq!(held(&witness), signed[0]);
}

#[test]
fn a_state_that_does_not_fit_does_not_open() {
    let bench = Bench::new();
    let witness = bench.open();
    send(&witness, &request(0, 3, 0)).unwrap();
    assert!(matches!(
        bench.try_open(keys().to_vec()),
        Err(OpenWitnessError::Locked { .. })
    ));
    drop(witness);

    let file = bench.state().join(state::FILE);
    let good = fs::read(&file).unwrap();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(
            matches!(
                bench.try_open(keys().to_vec()),
                Err(OpenWitnessError::State { .. })
            ),
            "byte {place}"
        );
    }
    fs::write(&file, note(3, 0).to_string()).unwrap();
    assert!(matches!(
        bench.try_open(keys().to_vec()),
        Err(OpenWitnessError::State { .. })
    ));
    fs::write(&file, &good).unwrap();
    let other = Witness::open(
        bench.dir.path(),
        own(2),
        keys().to_vec(),
        bench.disk.clone(),
        bench.clock.clone(),
    );
    assert!(matches!(other, Err(OpenWitnessError::State { .. })));
    assert_eq!(held(&bench.open()), 3);
}
